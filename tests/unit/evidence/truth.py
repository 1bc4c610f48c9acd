"""A log of 21 events, whole evidence of it, and how to look whether something is believed."""

import base64
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

from ops.evidence import verify
from ops.evidence.keys import SigningKey, signed
from tests.rfc6962 import path, proof, root_of

LOG, OTHER_LOG = "crossdock.example.com/acme", "crossdock.example.com/other"
KEY, NEXT, STRANGER = (SigningKey(LOG, bytes([number]) * 32) for number in (1, 2, 3))
THEIRS = SigningKey(OTHER_LOG, bytes([1]) * 32)
SIZE = 21  # events in the log; no power of two
MINE, YOURS = "order-asos:A", "order-asos:B"
NOON = "2026-11-20T12:00:00+00:00"

Bundle = dict[str, Any]


def event(position: int) -> Bundle:
    mine = position % 3 == 0
    return {
        "position": position,
        "stream": MINE if mine else YOURS,
        "version": position // 3 if mine else position - position // 3,
        "event_id": str(UUID(int=position)),
        "type": "order_placed",
        "schema_version": 1,
        "occurred_at": NOON,
        "recorded_at": NOON,
        "correlation_id": str(UUID(int=1000)),
        "causation_id": str(UUID(int=999)),
        "actor": "mirakl:asos",
        "subject": "asos:A",
        "data": '{"type":"order_placed"}',
        "sealed": base64.b64encode(bytes(range(40))).decode(),
    }


EVENTS = [event(position) for position in range(1, SIZE + 1)]
LEAVES = [verify.leaf_of("acme", each) for each in EVENTS]


def text_of(size: int, origin: str = LOG, leaves: Sequence[bytes] = LEAVES) -> str:
    root = base64.b64encode(root_of(leaves[:size])).decode()
    return f"{origin}\n{size}\n{root}\ntime {NOON}\nchain {bytes(32).hex()}\nprojection orders {size} {bytes(32).hex()}\n"


def bundle_of(stream: str = MINE, size: int = SIZE, key: SigningKey = KEY, rotations: Sequence[str] = ()) -> Bundle:
    events = [
        each | {"proof": [one.hex() for one in path(each["position"] - 1, LEAVES[:size])]}
        for each in EVENTS[:size]
        if each["stream"] == stream
    ]
    events[0]["opened"] = '{"first_name":"Zoë"}'
    note = signed(text_of(size), [key])
    return {
        "format": verify.ORDER,
        "name": stream,
        "tenant": "acme",
        "checkpoint": note,
        "statement": signed(verify.statement_of(note, stream, "acme", NOON, events), [key]),
        "rotations": list(rotations),
        "events": events,
    }


def consistency_of(old: int, new: int) -> Bundle:
    return {
        "format": verify.CONSISTENCY,
        "old": signed(text_of(old), [KEY]),
        "new": signed(text_of(new), [KEY]),
        "proof": [each.hex() for each in proof(old, LEAVES[:new])],
        "rotations": [],
    }


def rotation(*keys: SigningKey, old: SigningKey = KEY, new: SigningKey = NEXT) -> str:
    return signed(f"{new.key.name}/rotation\n{old.text}\n{new.text}\ntime {NOON}\n", keys)


def flipped(data: bytes) -> Iterator[bytes]:
    for bit in range(8 * len(data)):
        changed_ = bytearray(data)
        changed_[bit // 8] ^= 1 << bit % 8
        yield bytes(changed_)


def believed(check: Callable[..., Any], *given: Any) -> bool:
    try:
        check(*given)
    except verify.ForgedError:
        return False
    return True
