"""Every way to forge evidence that we know of, and the line of verify.py that catches it: without that line, the forgery is believed.

The verifier is the only thing an auditor trusts; one that accepts what it should not is worse than none (GO-2022-1117).
"""

import base64
import copy
import json
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from ops.evidence import verify
from ops.evidence.keys import is_signed, signed
from tests.rfc6962 import proof, root_of
from tests.unit.evidence.truth import (
    KEY,
    LEAVES,
    MINE,
    NEXT,
    NOON,
    OTHER_LOG,
    SIZE,
    STRANGER,
    THEIRS,
    YOURS,
    Bundle,
    bundle_of,
    consistency_of,
    rotation,
    text_of,
)


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

Forgery = tuple[Callable[[], Bundle], Sequence[tuple[str, str]]]

# What is forged, how, and what of the verifier must be broken for it to be believed. Where two lines stand in its way, both.
ORDERS: Mapping[str, Forgery] = {
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


def is_caught(check: str, forge: Callable[[], Bundle], breaks: Sequence[tuple[str, str]]) -> None:
    forged = json.loads(json.dumps(forge()))
    with pytest.raises(verify.ForgedError):
        getattr(verify, check)(forged, keys_in(verify), is_signed)
    broken = weakened(breaks)
    getattr(broken, check)(forged, keys_in(broken), is_signed)
    for line in breaks:  # each of them is enough
        broken = weakened([other for other in breaks if other is not line])
        with pytest.raises(broken.ForgedError):
            getattr(broken, check)(forged, keys_in(broken), is_signed)


@pytest.mark.parametrize("name", ORDERS)
def test_a_forged_order_is_refused_and_would_be_believed_without_the_line_that_refuses_it(name: str) -> None:
    is_caught("verify_order", *ORDERS[name])


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

CONSISTENCIES: Mapping[str, Forgery] = {
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
    is_caught("verify_consistency", *CONSISTENCIES[name])
