"""What engine/chain.py asks, in the form in which COPY sends it."""

import struct
from datetime import datetime
from typing import Any
from uuid import UUID

from engine import chain
from engine.chain import EPOCH, MICROSECOND
from ops.simulate.memory.answers.log import run
from ops.simulate.memory.events import HASH
from ops.simulate.memory.registry import answers
from ops.simulate.memory.transaction import Transaction

_long, _int = struct.Struct(">q").pack, struct.Struct(">i").pack


@answers(chain, "COPY_PAGE", "position version hash size " + " ".join(f"field{place}" for place in range(13)))
def copy_page(tx: Transaction, tenant: str, after: int, upto: int) -> list[tuple[bytes | None, ...]]:
    """Bytes as the wire has them."""
    found = []
    for event in run(tx, tenant, after, upto):
        (position, stream, version, event_id, kind, schema_version, data, subject, sealed, occurred_at, recorded_at) = event[:11]
        correlation_id, causation_id, actor, hash_ = event[11:]
        fields = [
            *(_wire(value) for value in (recorded_at, occurred_at)),
            _int(schema_version),
            *(_wire(value) for value in (event_id, correlation_id, causation_id, tenant, stream, kind, actor, subject, data, sealed)),
        ]
        # Before the texts stand 12 bytes for each time, 8 for the version, 20 for each id; before each text 4.
        size = sum(4 + len(field or b"") for field in fields)
        found.append((_long(position), _long(version), hash_, _int(size), *fields))
    return found


def _wire(value: Any) -> bytes | None:
    match value:
        case datetime():
            return _long((value - EPOCH) // MICROSECOND)
        case UUID():
            return value.bytes
        case str():
            return value.encode()
    return value  # type: ignore[no-any-return]


@answers(chain, "END", "position hash last")
def end(tx: Transaction, tenant: str) -> list[tuple[int, bytes | None, int]]:
    there = tx.database.log(tenant)
    seen = there.seen(tx, tenant)
    if not there.has_head(tx):
        return [(0, None, 0)]
    return [(seen, bytes(there.events[seen - 1][HASH]) if seen else chain.GENESIS, seen)]


@answers(chain, "HASH_AT", "hash")
def hash_at(tx: Transaction, tenant: str, position: int) -> list[tuple[bytes]]:
    return [(event[HASH],) for event in run(tx, tenant, position - 1, position)] if position > 0 else []
