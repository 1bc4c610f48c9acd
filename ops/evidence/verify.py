#!/usr/bin/env python3
"""Verifies evidence taken out of a Crossdock log: python3 verify.py --key KEY FILE [FILE …]

This one file is all that is needed: no network, no database, nothing of Crossdock, Python 3.9 or newer. Each FILE is what
`crossdock evidence` wrote (the events of an order, or that one checkpoint continues another) or a checkpoint itself. KEY is the log's
public key, as text or in a file, which you were given by somebody you trust and not together with FILE. Exit code 0: all of it holds.

What is proved of an order's events: each stands in the log at its position, byte for byte, as the checkpoint's signer knew it at that time
(RFC 6962, 2.1.1); none before the last of them was left out; and that none after it was, the signer says in a statement of his own.
"""

import argparse
import base64
import binascii
import hashlib
import json
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple, Optional
from uuid import UUID

ORDER, CONSISTENCY = "crossdock order evidence 1", "crossdock consistency evidence 1"  # what a file says that it is
EMPTY = hashlib.sha256().digest()  # the root of no leaves

Valid = Callable[[bytes, bytes, bytes], bool]  # of public key, text and signature


class ForgedError(Exception):
    """It is not what it says it is."""


# ---------------------------------------------------------------- Ed25519 (RFC 8032, 5.1.7)

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
BASE_Y = 4 * pow(5, -1, P) % P

Point = tuple[int, int, int, int]  # X, Y, Z, T


def _point(text: bytes) -> Optional[Point]:
    """A point from its 32 bytes; None where there is none, or where these are not how it is written."""
    y = int.from_bytes(text, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def _sum(one: Point, other: Point) -> Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(factor: int, point: Point) -> Point:
    found: Point = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            found = _sum(found, point)
        point = _sum(point, point)
        factor >>= 1
    return found


def is_signed(public: bytes, text: bytes, signature: bytes) -> bool:
    """Whether the holder of the private half of these 32 bytes signed this text with these 64."""
    if len(public) != 32 or len(signature) != 64:
        return False
    owner, commitment, scalar = _point(public), _point(signature[:32]), int.from_bytes(signature[32:], "little")
    base = _point(BASE_Y.to_bytes(32, "little"))
    if owner is None or commitment is None or base is None or scalar >= L:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + text).digest(), "little") % L
    left, right = _times(scalar, base), _sum(commitment, _times(challenge, owner))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


# ---------------------------------------------------------------- signed notes (c2sp.org/signed-note)


class Key(NamedTuple):
    name: str
    id: bytes
    public: bytes


def read_key(text: str) -> Key:
    """`name+id+base64`, as a log's public key is written."""
    name, _, rest = text.strip().partition("+")
    number, _, encoded = rest.partition("+")
    public = _base64(encoded)
    if not name or " " in name or len(public) != 33 or public[0] != 1:
        raise ForgedError("not a public key: NAME+ID+BASE64, of Ed25519")
    if key_id(name, public[1:]).hex() != number:
        raise ForgedError(f"the key of {name} does not have the id {number}")
    return Key(name, bytes.fromhex(number), public[1:])


def key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]


def open_note(note: str, keys: Sequence[Key], valid: Valid = is_signed) -> tuple[str, list[Key]]:
    """The text of a note and by which of these keys it is signed. ForgedError unless it is by one, or if one of them did not sign this."""
    text, gap, below = note.rpartition("\n\n")
    if not gap or not below.endswith("\n"):
        raise ForgedError("not a signed note: a text, an empty line, signatures")
    text += "\n"
    if any(ord(letter) < 32 and letter != "\n" for letter in note):
        raise ForgedError("a note with control characters")
    signers = []
    for line in below[:-1].split("\n"):
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        signature = _base64(encoded)
        if dash != "—" or not name or len(signature) < 5:
            raise ForgedError("a note with a line below it that is no signature")
        for key in keys:
            if (key.name, key.id) == (name, signature[:4]):
                if not valid(key.public, text.encode(), signature[4:]):
                    raise ForgedError(f"the signature of {name} is not of this text")
                signers.append(key)
    if not signers:
        raise ForgedError("not signed by a key that is trusted")
    return text, signers


def trusted(keys: Sequence[Key], rotations: Sequence[str], valid: Valid = is_signed) -> list[Key]:
    """These keys, and those that followed them: each rotation is signed by the old and by the new one."""
    found, rest = list(keys), list(rotations)
    while True:
        for note in rest:
            old, new, _ = read_rotation(note)
            if old in found:
                _, signers = open_note(note, [old, new], valid)
                if old not in signers or new not in signers:
                    raise ForgedError("a rotation of keys that only one of them signed")
                found.append(new)
                rest.remove(note)
                break
        else:
            return found


def read_rotation(note: str) -> tuple[Key, Key, datetime]:
    """Which key gave way to which, and when: as it says, unproved."""
    lines = note.partition("\n\n")[0].split("\n")
    if len(lines) != 4 or not lines[0].endswith("/rotation") or not lines[3].startswith("time "):
        raise ForgedError("not a rotation of keys")
    old, new = read_key(lines[1]), read_key(lines[2])
    if lines[0] != old.name + "/rotation" or new.name != old.name:
        raise ForgedError("a rotation of the keys of two logs")
    return old, new, _time(lines[3][5:])


def _base64(text: str) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ForgedError("what should be base64 is not") from None
    if base64.b64encode(found).decode() != text:
        raise ForgedError("base64 that is written in another way than it should be")
    return found


# ---------------------------------------------------------------- checkpoints, as c2sp.org/tlog-checkpoint has them


class Checkpoint(NamedTuple):
    origin: str  # whose log
    size: int  # events in it
    root: bytes  # of the Merkle tree over them
    time: datetime
    chain: bytes  # the hash of the last of them, in the log's own chain
    digests: dict[str, tuple[int, str]]  # projection: the position it was folded to, and the SHA-256 of its rows then


def read_checkpoint(text: str) -> Checkpoint:
    """What a checkpoint's text says; `open_note` proves who says it."""
    lines = text.split("\n")
    if len(lines) < 5 or lines.pop():
        raise ForgedError("not a checkpoint: origin, size, root, time")
    origin, size, root, *more = lines
    if not size.isascii() or not size.isdecimal() or str(int(size)) != size:
        raise ForgedError("a checkpoint whose size is no number")
    if len(_base64(root)) != 32:
        raise ForgedError("a checkpoint whose root is no SHA-256")
    said: dict[str, list[str]] = {}
    for line in more:
        kind, _, rest = line.partition(" ")
        said.setdefault(kind, []).append(rest)
    if len(said.get("time", ())) != 1 or len(said.get("chain", ())) != 1:
        raise ForgedError("a checkpoint without its time, or without the hash of its last event")
    digests = {}
    for each in said.get("projection", ()):
        name, position, digest = each.split(" ")
        digests[name] = (int(position), digest)
    return Checkpoint(origin, int(size), _base64(root), _time(said["time"][0]), bytes.fromhex(said["chain"][0]), digests)


def open_checkpoint(note: str, keys: Sequence[Key], valid: Valid = is_signed) -> Checkpoint:
    """A checkpoint that one of these keys signed in the name of its own log."""
    text, signers = open_note(note, keys, valid)
    found = read_checkpoint(text)
    if found.origin not in [key.name for key in signers]:
        raise ForgedError(f"a checkpoint of {found.origin}, signed by another log's key")
    return found


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise ForgedError(f"not a moment: {text}") from None
    if found.tzinfo is None:
        raise ForgedError(f"a moment without its offset: {text}")
    return found


# ---------------------------------------------------------------- Merkle proofs (RFC 9162, 2.1.3.2 and 2.1.4.2; the trees are RFC 6962's)


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def prove_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raises ForgedError unless the leaf with this hash, counted from 0, is in the tree of that size and root."""
    if not 0 <= index < size:
        raise ForgedError(f"a tree of {size} leaves has no leaf {index}")
    place, last, found = index, size - 1, leaf
    for each in proof:
        if last == 0:
            raise ForgedError("a proof that is too long")
        if place & 1 or place == last:
            found = _node(each, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = _node(found, each)
        place, last = place >> 1, last >> 1
    if last != 0 or found != root:
        raise ForgedError(f"the proof of event {index + 1} does not lead to the checkpoint's root")


def prove_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raises ForgedError unless the newer tree begins with the older one."""
    if old_size > new_size:
        raise ForgedError(f"a log that shrank from {old_size} events to {new_size}")
    if old_size == 0 and old_root != EMPTY:
        raise ForgedError("an empty log with another root than that of nothing")
    if old_size in (0, new_size):
        if proof or (old_size == new_size and old_root != new_root):
            raise ForgedError("two checkpoints of one size that differ, or a proof where there is nothing to prove")
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path or _climbed(old_size, new_size, path) != (old_root, new_root):
        raise ForgedError(f"the log of {new_size} events does not continue that of {old_size}")


def _climbed(old_size: int, new_size: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The roots of both trees that a proof leads to."""
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    was = now = path[0]
    for each in path[1:]:
        if last == 0:
            raise ForgedError("a proof that is too long")
        if place & 1 or place == last:
            was, now = _node(each, was), _node(each, now)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            now = _node(now, each)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise ForgedError("a proof that is too short")
    return was, now


# ---------------------------------------------------------------- events

MICROSECOND, EPOCH = timedelta(microseconds=1), datetime(2000, 1, 1, tzinfo=timezone.utc)


def leaf_of(tenant: str, event: Mapping[str, Any]) -> bytes:
    """The hash of an event in the tree: of its position, its version, and the SHA-256 of all that it says, as the log's chain has it."""
    cause, sealed = event["causation_id"], event["sealed"]
    parts = [
        struct.pack(">q", (_time(event["recorded_at"]) - EPOCH) // MICROSECOND),
        struct.pack(">q", (_time(event["occurred_at"]) - EPOCH) // MICROSECOND),
        struct.pack(">i", event["schema_version"]),
        UUID(event["event_id"]).bytes,
        UUID(event["correlation_id"]).bytes,
        None if cause is None else UUID(cause).bytes,
        *(text.encode() for text in (tenant, event["stream"], event["type"], event["actor"], event["subject"], event["data"])),
        None if sealed is None else _base64(sealed),
    ]
    content = b"".join(b"\xff\xff\xff\xff" if part is None else struct.pack(">i", len(part)) + part for part in parts)
    entry = struct.pack(">qq", event["position"], event["version"]) + hashlib.sha256(content).digest()
    return hashlib.sha256(b"\x00" + entry).digest()


def statement_of(checkpoint: str, name: str, tenant: str, stated_at: str, events: Sequence[Mapping[str, Any]]) -> str:
    """What the log's keeper signs beside an order's events: these are all of them, and this is what is sealed beside some."""
    origin, size, root = checkpoint.split("\n")[:3]
    lines = [f"{origin}/statement", size, root, f"time {stated_at}", f"asked {json.dumps([tenant, name])}"]
    counts: dict[str, int] = {}
    for event in events:
        counts[event["stream"]] = counts.get(event["stream"], 0) + 1
    lines += [f"stream {number} {json.dumps(stream)}" for stream, number in sorted(counts.items())]
    for event in events:
        if event.get("opened") is not None:
            lines.append(f"opened {event['position']} {hashlib.sha256(event['opened'].encode()).hexdigest()}")
    return "".join(line + "\n" for line in lines)


def verify_order(bundle: Mapping[str, Any], keys: Sequence[Key], valid: Valid = is_signed) -> Checkpoint:
    """The checkpoint that all events of this order are proved against. ForgedError if anything is not so."""
    if bundle["format"] != ORDER:
        raise ForgedError(f"not {ORDER}")
    keys = trusted(keys, bundle["rotations"], valid)
    checkpoint, events = open_checkpoint(bundle["checkpoint"], keys, valid), bundle["events"]
    said = open_note(bundle["statement"], [key for key in keys if key.name == checkpoint.origin], valid)[0]
    stated_at = next((line[5:] for line in said.split("\n") if line.startswith("time ")), "")
    if said != statement_of(bundle["checkpoint"], bundle["name"], bundle["tenant"], stated_at, events):
        raise ForgedError("these are not the events that the log's keeper stated to be all")
    position = 0
    versions: dict[str, int] = {}
    for event in events:
        if event["position"] <= position:
            raise ForgedError(f"event {event['position']} is there twice, or not in its place")
        position = event["position"]
        versions[event["stream"]] = versions.get(event["stream"], 0) + 1
        if event["version"] != versions[event["stream"]]:
            raise ForgedError(f"version {versions[event['stream']]} of {event['stream']} was left out")
        proof = [bytes.fromhex(each) for each in event["proof"]]
        if any(len(each) != 32 for each in proof):
            raise ForgedError("a proof with something in it that is no hash")
        prove_inclusion(leaf_of(bundle["tenant"], event), position - 1, checkpoint.size, proof, checkpoint.root)
    return checkpoint


def verify_consistency(bundle: Mapping[str, Any], keys: Sequence[Key], valid: Valid = is_signed) -> tuple[Checkpoint, Checkpoint]:
    """The two checkpoints of which the newer continues the older. ForgedError if it does not."""
    if bundle["format"] != CONSISTENCY:
        raise ForgedError(f"not {CONSISTENCY}")
    keys = trusted(keys, bundle["rotations"], valid)
    old, new = open_checkpoint(bundle["old"], keys, valid), open_checkpoint(bundle["new"], keys, valid)
    if old.origin != new.origin:
        raise ForgedError("checkpoints of two logs")
    prove_consistency(old.size, old.root, new.size, new.root, [bytes.fromhex(each) for each in bundle["proof"]])
    return old, new


# ---------------------------------------------------------------- as a command


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--key", action="append", required=True, help="the log's public key, or a file with some, one a line")
    parser.add_argument("--quiet", action="store_true", help="only say whether it holds")
    parser.add_argument("file", nargs="+")
    given = parser.parse_args(arguments)
    try:
        texts = [Path(each).read_text(encoding="utf-8") if Path(each).is_file() else each for each in given.key]
        keys = [read_key(line) for text in texts for line in text.split("\n") if line.strip()]
    except (ForgedError, OSError, ValueError) as error:
        print(f"NOT VERIFIED: --key: {error}", file=sys.stderr)
        return 1
    for name in given.file:
        try:
            text = Path(name).read_text(encoding="utf-8")
        except OSError as error:
            print(f"{name}: NOT VERIFIED: {error.strerror}", file=sys.stderr)
            return 1
        except ValueError:
            print(f"{name}: NOT VERIFIED: not a text, so nothing that `crossdock evidence` wrote", file=sys.stderr)
            return 1
        try:
            print(f"{name}: {look(text, keys, quiet=given.quiet)}")
        except ForgedError as error:
            print(f"{name}: DOES NOT HOLD: {error}", file=sys.stderr)
            return 1
        except (KeyError, TypeError, ValueError, AttributeError, struct.error, OverflowError) as error:
            print(f"{name}: DOES NOT HOLD: it is not in the form of evidence ({type(error).__name__})", file=sys.stderr)
            return 1
    return 0


def look(text: str, keys: Sequence[Key], *, quiet: bool) -> str:
    """What was found to hold, in words."""
    if not text.startswith("{"):
        found = open_checkpoint(text, keys)
        return f"holds: {found.origin} had {found.size} events at {found.time.isoformat()}"
    bundle = json.loads(text)
    if bundle["format"] == CONSISTENCY:
        old, new = verify_consistency(bundle, keys)
        return f"holds: the log of {new.size} events ({new.time.isoformat()}) begins with that of {old.size} ({old.time.isoformat()})"
    found = verify_order(bundle, keys)
    if not quiet:
        for event in bundle["events"]:
            print(_plain(f"{event['position']:>9}  {event['recorded_at']}  {event['actor']}  {event['type']}  {event['data']}"))
            if event.get("opened") is not None:
                print(_plain(f"{'':>9}  opened: {event['opened']}"))
    return f"holds: {len(bundle['events'])} events of {bundle['name']}, as {found.origin} had them at {found.time.isoformat()}"


def _plain(text: str) -> str:
    """Nothing in an event speaks to the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
