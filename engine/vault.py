"""Seals what is said of people, and forgets them by destroying a key.

Each subject (one buyer in one order) has a key of its own; the master key, which is never in the database, wraps it. Sealing is
deterministic, so that the same fact is stored as the same bytes however often it is heard. Of an erased subject the row stays, without
the key: what is heard of it later is stored without what would be sealed.
"""

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
import stat
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from engine.codec import to_json
from engine.errors import ErasedError, SchemaError, StartupError
from engine.ports import Rng
from schemas.envelope import Envelope
from schemas.events import AnyPersonal, Personal
from schemas.values import Instant, TenantId

FIND_KEYS = "SELECT subject, wrapped FROM crossdock.keys WHERE tenant = $1 AND subject = any($2::text[]) ORDER BY subject"
FIND_ANY_KEY = "SELECT wrapped FROM crossdock.keys WHERE tenant = $1 AND wrapped IS NOT NULL ORDER BY subject LIMIT 1"
FIND_ERASED = "SELECT subject FROM crossdock.keys WHERE tenant = $1 AND subject = any($2::text[]) AND wrapped IS NULL ORDER BY subject"

# The keys that are there, and those of $3 for subjects that have none; one that somebody else adds at this moment is in neither. With $5
# the commit is not waited for: what is sealed with a key is committed after it, and no commit outlives a crash that an earlier one did not.
FIND_OR_ADD_KEYS = """
WITH found AS (
    SELECT subject, wrapped FROM crossdock.keys WHERE tenant = $1 AND subject = any($2::text[])
), added AS (
    INSERT INTO crossdock.keys (tenant, subject, wrapped, created_at)
    SELECT $1, new.subject, new.wrapped, $4
    FROM unnest($2::text[], $3::bytea[]) AS new (subject, wrapped)
    CROSS JOIN (SELECT CASE WHEN $5 THEN set_config('synchronous_commit', 'off', true) END) AS how
    WHERE NOT EXISTS (SELECT FROM found WHERE found.subject = new.subject)
    ON CONFLICT DO NOTHING
    RETURNING subject, wrapped
)
SELECT subject, wrapped FROM found UNION ALL SELECT subject, wrapped FROM added ORDER BY subject
"""
# The rows are locked in the order of their names, before the log is: whoever seals takes them the same way.
ERASE = """
INSERT INTO crossdock.keys AS k (tenant, subject, wrapped, created_at, erased_at)
SELECT $1, subject, NULL, $3, $3 FROM unnest($2::text[]) AS subject ORDER BY subject
ON CONFLICT (tenant, subject) DO UPDATE SET wrapped = NULL, erased_at = $3 WHERE k.wrapped IS NOT NULL
RETURNING subject
"""

KEY_BYTES = 32  # of one that is kept outside the database
NAME_BYTES = 8  # of a key, in front of what it sealed
NOTHING = bytes(NAME_BYTES)  # what stands for something that was withheld, its subject being erased: the name of no key, and no more
_personal = msgspec.json.Decoder(AnyPersonal)


class Key:
    """A subject's key: the name it goes by, and its cipher."""

    def __init__(self, raw: bytes) -> None:
        self.name = hashlib.sha256(b"crossdock key\0" + raw).digest()[:NAME_BYTES]
        self.cipher = AESSIV(raw)


class Vault:
    """The keys of one tenant's subjects. It keeps none in memory: an erasure holds at once, in every process."""

    def __init__(self, pool: Any, tenant: TenantId, master: bytes) -> None:
        if len(master) != KEY_BYTES:
            raise StartupError(f"the master key must be {KEY_BYTES} bytes")
        self._pool, self._tenant, self._master = pool, tenant, master

    async def prove(self) -> None:
        """Raise StartupError if the keys here were wrapped with another master key; where there are none, any will do."""
        self._unwrap(await self._pool.fetchval(FIND_ANY_KEY, self._tenant))

    async def keys_for(self, subjects: Iterable[str], now: Instant, conn: Any = None) -> dict[str, Key | None]:
        """The key of each subject, made where there is none, None where the subject is erased; two processes at once agree on one.

        Durable no later than what is sealed with it; inside a transaction of the caller's (`conn`), with that transaction.
        """
        wanted = sorted(set(subjects))
        if conn is not None:
            return await self._keys_for(wanted, now, conn, alone=False)
        async with self._pool.acquire() as own:
            return await self._keys_for(wanted, now, own, alone=True)

    async def _keys_for(self, wanted: Sequence[str], now: Instant, conn: Any, *, alone: bool) -> dict[str, Key | None]:
        fresh = [aes_key_wrap(self._master, AESSIV.generate_key(512)) for _ in wanted]  # noqa: TID251 - a key is the library's affair
        rows = await conn.fetch(FIND_OR_ADD_KEYS, self._tenant, wanted, fresh, now, alone)
        wrapped = {row["subject"]: row["wrapped"] for row in rows}
        if missing := [subject for subject in wanted if subject not in wrapped]:
            wrapped |= await self._find(conn, missing)  # somebody else was quicker
        return {subject: self._unwrap(wrapped[subject]) for subject in wanted}

    def seal(self, key: Key | None, stream: str, event_id: UUID, personal: Personal) -> bytes:
        """Under nothing where there is no key: the same fact heard before the erasure and after it stays one."""
        if key is None:
            return NOTHING
        return key.name + key.cipher.encrypt(to_json(personal), self._about(stream, event_id))

    async def open(self, envelope: Envelope) -> Personal | None:
        """What was sealed beside an event; None if nothing was. Raises ErasedError once the key is gone."""
        if envelope.sealed is None:
            return None
        [found] = await self.open_all([envelope])
        if found is None:
            raise ErasedError(f"what was sealed beside event {envelope.event_id} is erased")
        return found

    async def open_all(self, envelopes: Sequence[Envelope]) -> list[Personal | None]:
        """The same for many in one look-up; None also where the key is gone."""
        subjects = sorted({envelope.subject for envelope in envelopes if envelope.sealed is not None})
        async with self._pool.acquire() as conn:
            wrapped = await self._find(conn, subjects)
        keys = {subject: self._unwrap(key) for subject, key in wrapped.items()}
        return [self._open(envelope, keys) for envelope in envelopes]

    async def erased(self, subjects: Iterable[str]) -> set[str]:
        """Those of them that are erased."""
        rows = await self._pool.fetch(FIND_ERASED, self._tenant, sorted(set(subjects)))
        return {row["subject"] for row in rows}

    async def erase(self, conn: Any, subjects: Iterable[str], now: Instant) -> set[str]:
        """Destroy the subjects' keys in the caller's transaction: nothing that was sealed under them can be read again once it is
        committed, and nothing is sealed for them any more. Append what tells of it after this, never before. Returns those that were not
        erased already.
        """
        rows = await conn.fetch(ERASE, self._tenant, sorted(set(subjects)), now)
        return {row["subject"] for row in rows}

    async def _find(self, conn: Any, subjects: Sequence[str]) -> dict[str, bytes | None]:
        return {row["subject"]: row["wrapped"] for row in await conn.fetch(FIND_KEYS, self._tenant, subjects)}

    def _open(self, envelope: Envelope, keys: Mapping[str, Key | None]) -> Personal | None:
        key = keys.get(envelope.subject)
        if envelope.sealed is None or key is None or envelope.sealed[:NAME_BYTES] != key.name:
            return None
        try:
            text = key.cipher.decrypt(envelope.sealed[NAME_BYTES:], self._about(envelope.stream, envelope.event_id))
            personal: Personal = _personal.decode(text)
        except InvalidTag:
            raise SchemaError(f"what is sealed beside event {envelope.event_id} is not what was sealed there") from None
        except msgspec.MsgspecError:
            raise SchemaError(f"what is sealed beside event {envelope.event_id} fits no schema") from None
        return personal

    def _unwrap(self, wrapped: bytes | None) -> Key | None:
        if wrapped is None:
            return None
        try:
            return Key(aes_key_unwrap(self._master, wrapped))
        except InvalidUnwrap:
            raise StartupError("the master key is not the one that the keys in this database were wrapped with") from None

    def _about(self, stream: str, event_id: UUID) -> list[bytes]:
        """What a sealed part is bound to: moved elsewhere, it does not open."""
        return [b"crossdock 1", self._tenant.encode(), stream.encode(), event_id.bytes]


# ---------------------------------------------------------------- the master key, and others of its form


def key_of(text: str, name: str) -> bytes:
    """A key from its text: 32 bytes in base64. Raises StartupError, which says `name` (where the text is from) and never the text."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise StartupError(f"{name}: give {KEY_BYTES} bytes in base64, as `openssl rand -base64 {KEY_BYTES}` writes them")
    return key


def read_key(path: Path) -> bytes:
    """The key in a file that not everybody may read. StartupError names the file."""
    try:
        mode = path.stat().st_mode
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise StartupError(f"no key can be read from {path}: {type(error).__name__}") from None
    if stat.S_IMODE(mode) & 0o007:
        raise StartupError(f"{path} holds a key and can be read by everybody. Mend it with: chmod 600 {path}")
    return key_of(text, str(path))


def key_file(path: Path, rng: Rng) -> bytes:
    """The key in this file, which is made when it is not there; two processes at once agree on one."""
    if not path.exists():
        path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)  # an embedded database may move in later: its user must pass
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}-")  # 0600
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(rng.token(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(name)  # whole or not at all, and never over another's
        Path(name).unlink()
    return read_key(path)


def master_key_from(environment: Mapping[str, str]) -> bytes | None:
    """The master key from CROSSDOCK_MASTER_KEY, or from the file that CROSSDOCK_MASTER_KEY_FILE names; None where neither is set."""
    if text := environment.get("CROSSDOCK_MASTER_KEY"):
        return key_of(text, "CROSSDOCK_MASTER_KEY")
    if path := environment.get("CROSSDOCK_MASTER_KEY_FILE"):
        return read_key(Path(path))
    return None


def blocklist_key(master: bytes) -> bytes:
    """The key by which buyers are known again of whom nothing is kept: whoever reads the settings cannot try names out on them."""
    return hmac.digest(master, b"crossdock blocklist", hashlib.sha256)
