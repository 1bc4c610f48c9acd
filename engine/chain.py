"""The proof that nobody has changed the log: its hashes, computed again from what is stored.

What is hashed is written down in migrations/0001_log.sql. Whatever is altered, taken out, put in or moved is found. Only an end that was
cut off together with the head's row looks like a younger log: that shows against a hash kept elsewhere.
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import anyio.lowlevel
from msgspec import Struct

from engine.errors import ChainError
from schemas.envelope import Envelope
from schemas.events import UnknownEvent, tag_of
from schemas.values import Instant, TenantId

GENESIS = bytes(32)  # what the first event's hash follows
PAGE_EVENTS = 5_000  # some 5 MB at a time

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # of the database's time stamps, which count microseconds
MICROSECOND = timedelta(microseconds=1)
NULL = b"\xff\xff\xff\xff"  # instead of a length
LAST_ROW = b"\xff\xff"

# First what is of one size in every row: the last of it is the size of the rest, which is just what is hashed, as COPY sends it.
COPY_PAGE = """
SELECT position, version, CASE WHEN octet_length(hash) = 32 THEN hash ELSE decode(repeat('00', 32), 'hex') END,
    104 + CASE WHEN causation_id IS NULL THEN 0 ELSE 16 END + octet_length(tenant) + octet_length(stream) + octet_length(type)
        + octet_length(actor) + octet_length(subject) + octet_length(data::text) + coalesce(octet_length(sealed), 0),
    recorded_at, occurred_at, schema_version, event_id, correlation_id, causation_id, tenant, stream, type, actor, subject, data, sealed
FROM crossdock.events WHERE tenant = $1 AND position > $2 AND position <= $3 ORDER BY position
"""

# Where the log says it ends, and where it does, at one moment.
END = """
SELECT coalesce(h.position, 0) AS position, h.hash, coalesce(
    (SELECT e.position FROM crossdock.events AS e WHERE e.tenant = $1 ORDER BY e.position DESC LIMIT 1), 0
) AS last
FROM (SELECT) AS here LEFT JOIN crossdock.heads AS h ON h.tenant = $1
"""

HASH_AT = "SELECT hash FROM crossdock.events WHERE tenant = $1 AND position = $2"


_head = struct.Struct(">6x8s4x8s4x32s4xi").unpack_from  # of a row: each field after its length, the row after the number of its fields
HEAD_BYTES = 70
_two_places = struct.Struct(">qq").pack


class Verified(Struct, frozen=True):
    """The chain holds from where it was begun up to here."""

    position: int
    hash: bytes  # of that position: kept elsewhere, it proves later that this is still the same log
    events: int  # how many were looked at


class Link(Struct, frozen=True):
    """An event as the chain sees it."""

    position: int
    version: int
    content: bytes  # sha256(content)
    hash: bytes  # as stored

    @property
    def entry(self) -> bytes:
        """What the chain adds for it, and what is a leaf of the Merkle tree."""
        return _two_places(self.position, self.version) + self.content

    def hash_after(self, previous: bytes) -> bytes:
        """What the hash must be."""
        return sha256(previous + self.entry).digest()


def check(links: Iterable[Link], start: Verified) -> Verified:
    """Follow the chain from `start`. Raises ChainError with the first position that is not as it was, and what is wrong with it."""
    position, follows, events = start.position, start.hash, start.events
    links = iter(links)
    for link in links:
        position += 1
        if link.position != position:
            raise ChainError(position, "is missing" if link.position > position else "is there twice")
        follows = link.hash_after(follows)
        if follows != link.hash:
            raise ChainError(position, _what_differs(link, next(links, None)))
        events += 1
    return Verified(position, follows, events)


def _what_differs(link: Link, successor: Link | None) -> str:
    if successor is None:
        return "was altered"
    if successor.hash_after(link.hash) == successor.hash:
        return "was altered: its hash is the one that was followed, what is stored beside it is not what was hashed"
    return "has another hash than the one that was followed"


def link(envelope: Envelope) -> Link:
    """The same from an event in hand, wherever it comes from."""
    tag = envelope.event.tag if isinstance(envelope.event, UnknownEvent) else tag_of(envelope.event)
    return Link(
        envelope.position,
        envelope.version,
        sha256(
            b"".join(
                (
                    _field(_time(envelope.recorded_at)),
                    _field(_time(envelope.occurred_at)),
                    _field(struct.pack(">i", envelope.schema_version)),
                    _field(envelope.event_id.bytes),
                    _field(envelope.correlation_id.bytes),
                    _field(envelope.causation_id.bytes if envelope.causation_id else None),
                    *(_field(text.encode()) for text in (envelope.tenant, envelope.stream, tag, envelope.actor, envelope.subject)),
                    _field(envelope.data.encode()),
                    _field(envelope.sealed),
                )
            )
        ).digest(),
        envelope.hash,
    )


def _field(value: bytes | None) -> bytes:
    return NULL if value is None else struct.pack(">i", len(value)) + value


def _time(instant: Instant) -> bytes:
    return struct.pack(">q", (instant - EPOCH) // MICROSECOND)


async def verify(
    pool: Any,
    tenant: TenantId,
    after: int = 0,
    progress: Callable[[int, int], None] | None = None,
    entries: Callable[[Sequence[bytes]], Awaitable[None]] | None = None,
) -> Verified:
    """Compute a tenant's chain again, from a position that is trusted to where the log ended when this was called.

    `progress` is told how far it is and how far it goes, `entries` given what the chain adds for each event (Link.entry), a page at a time,
    once that page has proved right. Raises ChainError.
    """
    async with pool.acquire() as conn:
        end = await conn.fetchrow(END, tenant)
        start = await conn.fetchval(HASH_AT, tenant, after) if after else GENESIS
    head = end["position"]
    if end["last"] > head:
        raise ChainError(head + 1, "is beyond the head")
    if start is None or after > head:
        raise ChainError(after, "is missing")
    verified = Verified(after, start, 0)
    coming = asyncio.create_task(_page(pool, tenant, after, head))
    try:
        while verified.position < head:
            page = await coming
            reached = min(verified.position + PAGE_EVENTS, head)
            coming = asyncio.create_task(_page(pool, tenant, reached, head))
            await anyio.lowlevel.checkpoint()  # it sets out before we compute
            added: list[bytes] = []
            verified = _follow(page, verified, added) or check(_links(page), verified)
            if verified.position < reached:
                raise ChainError(verified.position + 1, "is missing")
            if entries:
                await entries(added)
            if progress:
                progress(verified.position, head)
    finally:
        coming.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await coming
    if verified.hash != (end["hash"] or GENESIS):
        raise ChainError(head, "has another hash than the head")
    return verified


async def _page(pool: Any, tenant: TenantId, after: int, upto: int) -> bytes:
    """Rows of COPY_PAGE in COPY's binary format."""
    chunks: list[bytes] = []

    async def take(chunk: bytes) -> None:
        chunks.append(chunk)

    async with pool.acquire() as conn:
        await conn.copy_from_query(COPY_PAGE, tenant, after, min(after + PAGE_EVENTS, upto), output=take, format="binary")
    return b"".join(chunks)


def _follow(page: bytes, start: Verified, entries: list[bytes]) -> Verified | None:
    """As `check`, in half the time, and with the entries; None where something is wrong, for `check` to say what."""
    position, follows, row = start.position, start.hash, 19
    while page[row : row + 2] != LAST_ROW:
        place, version, stored, size = _head(page, row)
        row += HEAD_BYTES + size
        position += 1
        entry = place + version + sha256(page[row - size : row]).digest()
        follows = sha256(follows + entry).digest()
        entries.append(entry)
        if follows != stored or place != position.to_bytes(8):
            return None
    return Verified(position, follows, start.events + position - start.position)


def _links(page: bytes) -> Iterator[Link]:
    """What COPY sends: 19 bytes, then each row as the number of its fields (2 bytes) and the fields; and at last a number of -1."""
    row = 19
    while page[row : row + 2] != LAST_ROW:
        place, version, stored, size = _head(page, row)
        row += HEAD_BYTES + size
        yield Link(int.from_bytes(place), int.from_bytes(version), sha256(page[row - size : row]).digest(), stored)
