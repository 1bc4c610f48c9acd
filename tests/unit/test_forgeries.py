"""Every way to forge evidence that we know of, and the line of verify.py that catches it: without that line, the forgery is believed.

The verifier is the only thing an auditor trusts; one that accepts what it should not is worse than none (GO-2022-1117).
"""

import base64
import copy
import hashlib
import json
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from ops.evidence import verify
from ops.evidence.keys import SigningKey, is_signed, signed

LOG, OTHER_LOG = "crossdock.example.com/acme", "crossdock.example.com/other"
KEY, NEXT, STRANGER = (SigningKey(LOG, bytes([number]) * 32) for number in (1, 2, 3))
THEIRS = SigningKey(OTHER_LOG, bytes([1]) * 32)
SIZE = 21  # events in the log; no power of two
MINE, YOURS = "order-asos:A", "order-asos:B"
NOON = "2026-11-20T12:00:00+00:00"

Bundle = dict[str, Any]


# ---------------------------------------------------------------- a log, and what is true of it: word for word as RFC 6962 defines it


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(leaves: Sequence[bytes]) -> int:
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return k


def root_of(leaves: Sequence[bytes]) -> bytes:
    """MTH of 2.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256().digest()
    k = split(leaves)
    return node(root_of(leaves[:k]), root_of(leaves[k:]))


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of 2.1.1."""
    if len(leaves) < 2:
        return []
    k = split(leaves)
    return [*path(m, leaves[:k]), root_of(leaves[k:])] if m < k else [*path(m - k, leaves[k:]), root_of(leaves[:k])]


def proof(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PROOF of 2.1.2."""
    return subproof(m, leaves, whole=True) if 0 < m < len(leaves) else []


def subproof(m: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [root_of(leaves)]
    k = split(leaves)
    if m <= k:
        return [*subproof(m, leaves[:k], whole=whole), root_of(leaves[k:])]
    return [*subproof(m - k, leaves[k:], whole=False), root_of(leaves[:k])]


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


# ---------------------------------------------------------------- what is true is believed


def test_what_is_true_is_believed() -> None:
    assert verify.verify_order(bundle_of(), [KEY.key]).size == SIZE
    for stream in (MINE, YOURS):
        assert verify.verify_order(bundle_of(stream), [KEY.key], is_signed).root == root_of(LEAVES)
    turned = bundle_of(key=NEXT, rotations=[rotation(KEY, NEXT)])
    assert verify.verify_order(turned, [KEY.key], is_signed) == verify.verify_order(turned, [NEXT.key], is_signed)
    for old in range(SIZE + 1):
        for new in range(old, SIZE + 1):
            verify.verify_consistency(consistency_of(old, new), [KEY.key], is_signed)


# ---------------------------------------------------------------- forgeries, each with the line that catches it


def altered(field: str, value: Any) -> Callable[[], Bundle]:
    def forge() -> Bundle:
        bundle = bundle_of()
        assert bundle["events"][2][field] != value
        bundle["events"][2][field] = value
        return bundle

    return forge


def changed(change: Callable[[Bundle], Any]) -> Callable[[], Bundle]:
    def forge() -> Bundle:
        bundle = bundle_of()
        change(bundle)
        return bundle

    return forge


def restated(change: Callable[[list[Bundle]], Any]) -> Callable[[], Bundle]:
    """By somebody who can have the statement signed anew, but no checkpoint: the log's keeper himself."""

    def forge() -> Bundle:
        bundle = bundle_of()
        change(bundle["events"])
        said = verify.statement_of(bundle["checkpoint"], bundle["name"], bundle["tenant"], NOON, bundle["events"])
        return bundle | {"statement": signed(said, [KEY])}

    return forge


def swap_rows(events: list[Bundle]) -> None:
    events[1], events[2] = events[2], events[1]


def swap_contents(events: list[Bundle]) -> None:
    for field in ("data", "event_id", "occurred_at"):
        events[1][field], events[2][field] = events[2][field], events[1][field]


def swap_proofs(events: list[Bundle]) -> None:
    events[1]["proof"], events[2]["proof"] = events[2]["proof"], events[1]["proof"]


def swap_siblings(events: list[Bundle]) -> None:
    proof_ = events[2]["proof"]
    proof_[0], proof_[1] = proof_[1], proof_[0]


def another_orders_proof(events: list[Bundle]) -> None:
    events[2]["proof"] = bundle_of(YOURS)["events"][2]["proof"]


def another_orders_event(events: list[Bundle]) -> None:
    yours = bundle_of(YOURS)["events"]
    events.append(yours[-1] | {"stream": MINE, "version": len(events) + 1})
    events.sort(key=lambda each: int(each["position"]))


def older_checkpoint() -> Bundle:
    """All of it true, but for an event that the older checkpoint does not have."""
    bundle, older = bundle_of(), bundle_of(size=SIZE - 4)
    bundle["checkpoint"] = older["checkpoint"]
    said = verify.statement_of(bundle["checkpoint"], bundle["name"], bundle["tenant"], NOON, bundle["events"])
    return bundle | {"statement": signed(said, [KEY])}


def invented_log() -> Bundle:
    """Another history, whole and consistent, and signed by a key of the forger's own with the log's name."""
    return bundle_of(key=STRANGER)


def other_logs_checkpoint() -> Bundle:
    """Signed by a key that is trusted, but for another log."""
    bundle = bundle_of()
    note = signed(text_of(SIZE), [THEIRS])
    return bundle | {"checkpoint": note}


PROVED = ("if last != 0 or found != root:", "if last != 0:")  # inclusion
STATED = ("if said != statement_of(", "if not statement_of(")
SIGNED = ("if not valid(key.public, text.encode(), signature[4:]):", "if False:")
ORDERED = ('if event["position"] <= position:', "if False:")
COUNTED = ('if event["version"] != versions[event["stream"]]:', "if False:")
NAMED = ("if found.origin not in [key.name for key in signers]:", "if False:")
TRUSTED = ("if not signers:", "if False:")

# What is forged, how, and what of the verifier must be broken for it to be believed. Where two lines stand in its way, both.
ORDERS: Mapping[str, tuple[Callable[[], Bundle], Sequence[tuple[str, str]]]] = {
    "event_id": (altered("event_id", str(UUID(int=77))), [PROVED]),
    "type": (altered("type", "order_refused"), [PROVED]),
    "schema_version": (altered("schema_version", 2), [PROVED]),
    "occurred_at": (altered("occurred_at", "2026-11-20T12:00:00.000001+00:00"), [PROVED]),
    "recorded_at": (altered("recorded_at", "2026-11-19T12:00:00+00:00"), [PROVED]),
    "correlation_id": (altered("correlation_id", str(UUID(int=77))), [PROVED]),
    "causation_id": (altered("causation_id", str(UUID(int=77))), [PROVED]),
    "causation_id taken away": (altered("causation_id", None), [PROVED]),
    "actor": (altered("actor", "person:somebody"), [PROVED]),
    "subject": (altered("subject", "asos:B"), [PROVED]),
    "data": (altered("data", '{"type":"order_placed" }'), [PROVED]),
    "sealed": (altered("sealed", base64.b64encode(bytes(40)).decode()), [PROVED]),
    "sealed taken away": (altered("sealed", None), [PROVED]),
    "stream": (altered("stream", YOURS), [STATED, COUNTED, PROVED]),
    "version": (altered("version", 4), [COUNTED, PROVED]),
    "position": (altered("position", 10), [PROVED]),
    "tenant": (changed(lambda bundle: bundle.update(tenant="evil")), [STATED, PROVED]),
    "name": (changed(lambda bundle: bundle.update(name="another order")), [STATED]),
    "what is opened": (changed(lambda bundle: bundle["events"][0].update(opened='{"first_name":"Eve"}')), [STATED]),
    "something opened besides": (changed(lambda bundle: bundle["events"][1].update(opened="{}")), [STATED]),
    "the last event dropped": (changed(lambda bundle: bundle["events"].pop()), [STATED]),
    "one in the middle dropped": (restated(lambda events: events.pop(3)), [COUNTED]),
    "the first dropped": (restated(lambda events: events.pop(0)), [COUNTED]),
    "all dropped": (changed(lambda bundle: bundle["events"].clear()), [STATED]),
    "an event twice": (restated(lambda events: events.insert(3, copy.deepcopy(events[2]))), [ORDERED, COUNTED]),
    "an event twice, as the next one": (
        restated(lambda events: events.append(events[-1] | {"version": len(events) + 1})),
        [ORDERED, PROVED],
    ),
    "rows swapped": (restated(swap_rows), [ORDERED, COUNTED]),
    "contents swapped": (restated(swap_contents), [PROVED]),
    "proofs swapped": (restated(swap_proofs), [PROVED]),
    "siblings swapped": (restated(swap_siblings), [PROVED]),
    "another order's proof": (restated(another_orders_proof), [PROVED]),
    "another order's event as this one's": (restated(another_orders_event), [COUNTED, PROVED]),
    "a proof of a larger log": (
        older_checkpoint,
        [("if not 0 <= index < size:", "if False:"), PROVED, ("if last == 0:", "if False:"), ("if last != 0:", "if False:")],
    ),
    "an invented log": (invented_log, [TRUSTED, NAMED]),
    "a checkpoint that nobody signed": (
        changed(lambda bundle: bundle.update(checkpoint=text_of(SIZE) + "\n— stranger " + base64.b64encode(bytes(68)).decode() + "\n")),
        [TRUSTED, NAMED],
    ),
    "a signature of another text": (
        changed(lambda bundle: bundle.update(checkpoint=signed(text_of(SIZE), [KEY]).replace(f"\n{SIZE}\n", f"\n{SIZE + 1}\n"))),
        [SIGNED, STATED, ("if last != 0 or found != root:", "if False:")],
    ),
    "a root of another log": (
        changed(lambda bundle: bundle.update(checkpoint=text_of(SIZE, leaves=LEAVES[::-1]) + "\n" + KEY.sign(text_of(SIZE)))),
        [SIGNED, STATED, PROVED],
    ),
    "another log's key": (other_logs_checkpoint, [NAMED]),
    "a statement of another order": (changed(lambda bundle: bundle.update(statement=bundle_of(YOURS)["statement"])), [STATED]),
    "a checkpoint for a statement": (changed(lambda bundle: bundle.update(statement=bundle["checkpoint"])), [STATED]),
    "a key that only the old one vouches for": (
        lambda: bundle_of(key=STRANGER, rotations=[rotation(KEY, new=STRANGER)]),
        [("if old not in signers or new not in signers:", "if False:")],
    ),
    "a key that only the new one vouches for": (
        lambda: bundle_of(key=STRANGER, rotations=[rotation(STRANGER, new=STRANGER)]),
        [("if old not in signers or new not in signers:", "if False:")],
    ),
    "an old key that the new one would bring back": (
        lambda: bundle_of(key=STRANGER, rotations=[rotation(STRANGER, KEY, old=STRANGER, new=KEY)]),
        [
            ("            if old in found:\n", "            if old in found or new in found:\n"),
            ("                found.append(new)", "                found += [old, new]"),
        ],
    ),
    "a consistency for an order": (
        lambda: consistency_of(5, SIZE) | bundle_of() | {"format": verify.CONSISTENCY},
        [('if bundle["format"] != ORDER:', "if False:")],
    ),
}


def weakened(breaks: Sequence[tuple[str, str]]) -> types.ModuleType:
    """The verifier with some of its lines broken."""
    source = Path(verify.__file__).read_text(encoding="utf-8")
    for was, now in breaks:
        assert was in source, was
        source = source.replace(was, now)
    module = types.ModuleType("weakened")
    exec(compile(source, "weakened", "exec"), module.__dict__)  # noqa: S102 - our own text
    return module


def keys_in(module: types.ModuleType) -> list[Any]:
    return [module.Key(*key.key) for key in (KEY, THEIRS)]


@pytest.mark.parametrize("name", ORDERS)
def test_a_forged_order_is_refused_and_would_be_believed_without_the_line_that_refuses_it(name: str) -> None:
    forge, breaks = ORDERS[name]
    forged = json.loads(json.dumps(forge()))
    with pytest.raises(verify.ForgedError):
        verify.verify_order(forged, keys_in(verify), is_signed)
    broken = weakened(breaks)
    broken.verify_order(forged, keys_in(broken), is_signed)
    for line in breaks:  # each of them is enough
        broken = weakened([other for other in breaks if other is not line])
        with pytest.raises(broken.ForgedError):
            broken.verify_order(forged, keys_in(broken), is_signed)


# ---------------------------------------------------------------- one checkpoint does not continue another


def shown(**change: Any) -> Callable[[], Bundle]:
    return lambda: consistency_of(6, SIZE) | change


def proof_of(*steps: int) -> list[str]:
    """Some of the steps of a true proof, in this order."""
    true = consistency_of(6, SIZE)["proof"]
    return [true[step] for step in steps]


FORKED = [*LEAVES[:4], *(leaf[::-1] for leaf in LEAVES[4:])]
LED = ("if not path or _climbed(old_size, new_size, path) != (old_root, new_root):", "if False:")
SAME = ("if proof or (old_size == new_size and old_root != new_root):", "if False:")

CONSISTENCIES: Mapping[str, tuple[Callable[[], Bundle], Sequence[tuple[str, str]]]] = {
    "another history after the fourth event": (shown(new=signed(text_of(SIZE, leaves=FORKED), [KEY])), [LED]),
    "its own true proof": (
        shown(new=signed(text_of(SIZE, leaves=FORKED), [KEY]), proof=[each.hex() for each in proof(6, FORKED)]),
        [LED],
    ),
    "the same size, another history": (
        lambda: consistency_of(6, 6) | {"new": signed(text_of(6, leaves=FORKED), [KEY])},
        [SAME],
    ),
    "a log that shrank": (
        lambda: consistency_of(6, SIZE) | {"old": consistency_of(6, SIZE)["new"], "new": consistency_of(6, SIZE)["old"]},
        [("if old_size > new_size:", "if False:"), LED],
    ),
    "an empty log that was none": (
        lambda: consistency_of(0, SIZE) | {"old": signed(text_of(1).replace("\n1\n", "\n0\n"), [KEY])},
        [("if old_size == 0 and old_root != EMPTY:", "if False:")],
    ),
    "a proof where there is nothing to prove": (lambda: consistency_of(6, 6) | {"proof": proof_of(0)}, [SAME]),
    "no proof": (shown(proof=[]), [LED]),
    "the last step dropped": (shown(proof=proof_of(0, 1, 2)), [LED]),
    "the first step dropped": (shown(proof=proof_of(1, 2, 3)), [LED]),
    "two steps swapped": (shown(proof=proof_of(0, 2, 1, 3)), [LED]),
    "a step twice": (shown(proof=proof_of(0, 1, 1, 2, 3)), [LED]),
    "another log's checkpoint": (
        lambda: consistency_of(6, SIZE) | {"old": signed(text_of(6, OTHER_LOG), [THEIRS])},
        [("if old.origin != new.origin:", "if False:")],
    ),
    "a checkpoint signed by a stranger": (shown(old=signed(text_of(6), [STRANGER])), [TRUSTED, NAMED]),
    "an order for a consistency": (
        lambda: bundle_of() | consistency_of(6, SIZE) | {"format": verify.ORDER},
        [('if bundle["format"] != CONSISTENCY:', "if False:")],
    ),
}


@pytest.mark.parametrize("name", CONSISTENCIES)
def test_a_forged_consistency_is_refused_and_would_be_believed_without_the_line_that_refuses_it(name: str) -> None:
    forge, breaks = CONSISTENCIES[name]
    forged = json.loads(json.dumps(forge()))
    with pytest.raises(verify.ForgedError):
        verify.verify_consistency(forged, keys_in(verify), is_signed)
    broken = weakened(breaks)
    broken.verify_consistency(forged, keys_in(broken), is_signed)


# ---------------------------------------------------------------- every bit, index and size


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


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
def test_every_bit_of_an_inclusion_proof_counts(size: int) -> None:
    root = root_of(LEAVES[:size])
    for index in range(size):
        leaf, true = LEAVES[index], path(index, LEAVES[:size])
        assert believed(verify.prove_inclusion, leaf, index, size, true, root)
        for step, sibling in enumerate(true):
            for other in flipped(sibling):
                assert not believed(verify.prove_inclusion, leaf, index, size, [*true[:step], other, *true[step + 1 :]], root)
        for other in (*flipped(leaf),):
            assert not believed(verify.prove_inclusion, other, index, size, true, root)
        for other in flipped(root):
            assert not believed(verify.prove_inclusion, leaf, index, size, true, other)


@pytest.mark.parametrize("sizes", [(1, 2), (2, 3), (3, 7), (4, 8), (6, 13), (8, 13)])
def test_every_bit_of_a_consistency_proof_counts(sizes: tuple[int, int]) -> None:
    old, new = sizes
    was, now, true = root_of(LEAVES[:old]), root_of(LEAVES[:new]), proof(old, LEAVES[:new])
    assert believed(verify.prove_consistency, old, was, new, now, true)
    for step, node_ in enumerate(true):
        for other in flipped(node_):
            assert not believed(verify.prove_consistency, old, was, new, now, [*true[:step], other, *true[step + 1 :]])
    assert not any(believed(verify.prove_consistency, old, other, new, now, true) for other in flipped(was))
    assert not any(believed(verify.prove_consistency, old, was, new, other, true) for other in flipped(now))


def test_a_proof_is_of_one_event_in_one_place() -> None:
    """For every tree of up to 21 leaves: no other index, no step more or less, no other order of them; and none of an empty tree."""
    for size in range(1, SIZE + 1):
        root = root_of(LEAVES[:size])
        for index in range(size):
            leaf, true = LEAVES[index], path(index, LEAVES[:size])
            others = [other for other in range(-1, size + 2) if other != index]
            assert not any(believed(verify.prove_inclusion, leaf, other, size, true, root) for other in others)
            assert not believed(verify.prove_inclusion, leaf, index, size, [*true, leaf], root)
            assert not believed(verify.prove_inclusion, leaf, index, size, [leaf, *true], root)
            assert not true or not believed(verify.prove_inclusion, leaf, index, size, true[:-1], root)
            assert len(true) < 2 or not believed(verify.prove_inclusion, leaf, index, size, true[::-1], root)
            assert not any(believed(verify.prove_inclusion, leaf, 0, nothing, [], verify.EMPTY) for nothing in (0, -1))
            assert size == 1 or not believed(verify.prove_inclusion, root, 0, size, [], root), "an inner node is no leaf"


def test_a_root_of_a_smaller_log_is_not_that_of_a_larger_one() -> None:
    """A size that is not the root's is caught by the signature, for checkpoints say both; here too, where the path has another length."""
    for size in range(1, SIZE + 1):
        for other in range(SIZE + 1):
            for index in range(size):
                true = path(index, LEAVES[:size])
                if len(path(min(index, max(0, other - 1)), LEAVES[:other])) != len(true):
                    assert not believed(verify.prove_inclusion, LEAVES[index], index, other, true, root_of(LEAVES[:size]))


# ---------------------------------------------------------------- notes and keys


def test_every_bit_of_a_note_counts() -> None:
    note = signed(text_of(SIZE), [KEY]).encode()
    assert believed(verify.open_checkpoint, note.decode(), [KEY.key], is_signed)
    for other in flipped(note):
        try:
            text = other.decode()
        except UnicodeDecodeError:
            continue
        assert not believed(verify.open_checkpoint, text, [KEY.key], is_signed), text


@pytest.mark.parametrize(
    "text",
    [
        f"{LOG}\n021\n" + text_of(SIZE).split("\n", 2)[2],
        f"{LOG}\n+21\n" + text_of(SIZE).split("\n", 2)[2],
        f"{LOG}\n٢١\n" + text_of(SIZE).split("\n", 2)[2],
        f"{LOG}\n21\nAAAA\n" + text_of(SIZE).split("\n", 3)[3],
        text_of(SIZE).replace("time", "times"),
        text_of(SIZE) + f"time {NOON}\n",
        text_of(SIZE).replace("+00:00", ""),
        f"{LOG}\n21\n",
        "",
    ],
)
def test_a_checkpoint_is_written_in_one_way(text: str) -> None:
    assert not believed(verify.open_checkpoint, signed(text, [KEY]), [KEY.key], is_signed)


@pytest.mark.parametrize(
    "key",
    [
        KEY.text.replace("crossdock", "Crossdock"),
        KEY.text[:-4] + "AAA=",
        KEY.text.replace(KEY.key.id.hex(), "00000000"),
        STRANGER.text.replace(STRANGER.key.id.hex(), KEY.key.id.hex()),
        LOG,
        "",
    ],
)
def test_a_key_that_is_not_what_its_id_says_is_refused(key: str) -> None:
    assert verify.read_key(KEY.text) == KEY.key
    assert not believed(verify.read_key, key)


# ---------------------------------------------------------------- Ed25519

# RFC 8032, 7.1: public key, message, signature
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("public", "text", "signature"), VECTORS)
def test_signatures_are_those_of_rfc_8032(public: str, text: str, signature: str) -> None:
    key, message, signed_ = bytes.fromhex(public), bytes.fromhex(text), bytes.fromhex(signature)
    assert verify.is_signed(key, message, signed_)
    assert not verify.is_signed(key, message + b"x", signed_)
    for place in range(0, 64, 7):
        other = bytearray(signed_)
        other[place] ^= 1
        assert not verify.is_signed(key, message, bytes(other))
    larger = (int.from_bytes(signed_[32:], "little") + verify.L).to_bytes(32, "little")
    assert not verify.is_signed(key, message, signed_[:32] + larger), "the same signature, written otherwise"
    for short in (signed_[:63], signed_ + b"x", b""):
        assert not verify.is_signed(key, message, short)
    assert not verify.is_signed(key[:31], message, signed_) and not verify.is_signed(b"\xff" * 32, message, signed_)


def test_both_checks_of_a_signature_say_the_same() -> None:
    """Ours, and that of `cryptography`: of true ones, of ones with a bit flipped in key, text or signature, and of odd points."""
    points = [
        bytes(32),
        bytes([1]) + bytes(31),
        b"\xec" + b"\xff" * 30 + b"\x7f",
        b"\xee" + b"\xff" * 30 + b"\x7f",
        bytes([1]) + bytes(30) + b"\x80",
    ]
    for number in range(24):
        key, text = SigningKey(LOG, hashlib.sha256(bytes([number])).digest()), bytes([number]) * number
        public, signature = key.key.public, base64.b64decode(key.sign(text.decode("latin-1")).split()[2])[4:]
        text = text.decode("latin-1").encode()
        for place in (0, 31 + number % 33, 63):
            other = bytearray(signature)
            other[place] ^= 1 << number % 8
            assert verify.is_signed(public, text, bytes(other)) == is_signed(public, text, bytes(other))
        assert verify.is_signed(public, text, signature) and is_signed(public, text, signature)
        odd = points[number % len(points)]
        for made in (odd + signature[32:], odd + bytes(32)):
            assert verify.is_signed(public, text, made) == is_signed(public, text, made)


# ---------------------------------------------------------------- as a command


def test_what_is_no_evidence_at_all_is_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    true = bundle_of()
    wrong: list[Any] = [
        [],
        {},
        {"format": "something else"},
        true | {"events": "many"},
        true | {"events": [True]},
        true | {"events": [true["events"][0] | {"position": "3"}]},
        true | {"events": [true["events"][0] | {"position": 2**80}]},
        true | {"events": [true["events"][0] | {"proof": ["zz"]}]},
        true | {"events": [true["events"][0] | {"event_id": 5}]},
        true | {"rotations": ["x"]},
        true | {"checkpoint": None},
    ]
    for number, each in enumerate(wrong):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(each) if each != [] else "[]")
        assert verify.main(["--key", KEY.text, str(file)]) == 1, each
        assert "DOES NOT HOLD" in capsys.readouterr().err
    file = tmp_path / "true.json"
    file.write_text(json.dumps(true))
    assert verify.main(["--key", KEY.text, "--quiet", str(file)]) == 0
    keys = tmp_path / "keys.txt"
    keys.write_text(f"{STRANGER.text}\n{KEY.text}\n")
    assert verify.main(["--key", str(keys), str(file)]) == 0
    assert verify.main(["--key", STRANGER.text, str(file)]) == 1
    assert verify.main(["--key", "nonsense", str(file)]) == 1
    assert "NOT VERIFIED: --key: not a public key" in capsys.readouterr().err
    file.write_bytes(b"\xff\xd8")
    for place, said in ((file, "not a text"), (tmp_path / "nowhere", "No such file")):
        assert verify.main(["--key", KEY.text, str(place)]) == 1
        assert f"{place}: NOT VERIFIED: {said}" in capsys.readouterr().err, "of what was not looked at nothing is said"
