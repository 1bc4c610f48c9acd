"""What was ever recorded is read, and folds to the rows that it was recorded to fold to; from nothing, and on from any moment."""

import copy
import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec import Struct

from engine.projection import Projection
from engine.runner import Rows, encode
from ops.service import PROJECTIONS
from projections.orders import orders
from schemas.events import EVENTS, Event, UnknownEvent, tag_of
from tests.recorded import record
from tests.recorded.record import digest_of, folded, page

SINGLE = record.single_lines()
HISTORIES = {name: [line.event for line in record.lines_of(path)] for name, path in record.histories().items()}
each_projection = pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: projection.name)
each_history = pytest.mark.parametrize("name", HISTORIES)


def test_everything_recorded_folds_to_the_digests_recorded_with_it() -> None:
    assert record.what_differs(record.recorded(), record.todays()) == []


@each_history
def test_every_event_of_a_history_is_read(name: str) -> None:
    assert HISTORIES[name] and not any(isinstance(event, UnknownEvent) for event in HISTORIES[name])


def test_the_histories_tell_of_most_that_there_is(figure: Callable[[str], None]) -> None:
    """What they do not tell stands in events.jsonl at least: test_events.py sees to that."""
    told = {tag_of(event) for events in HISTORIES.values() for event in events}
    untold = sorted(EVENTS.keys() - told)
    figure(f"recorded: {sum(map(len, HISTORIES.values())):,} events of {len(told)} kinds in {len(HISTORIES)} histories; none of {untold}")
    assert len(told) >= 0.6 * len(EVENTS)


# ---------------------------------------------------------------- whichever way it is folded


@each_projection
@each_history
def test_any_batches_fold_to_the_same(name: str, projection: Projection[Any]) -> None:
    expected = digest_of(folded(projection, HISTORIES[name]))
    for sizes in ((1,), (7,), (1_000,), (1, 7, 1_000, 3)):
        assert digest_of(folded(projection, HISTORIES[name], sizes)) == expected, sizes


def stored(rows: Rows[Any]) -> Rows[Any]:
    """The rows as they come back from their table: what is a snapshot in other systems is a row here."""
    back = Rows(rows.projection)
    back.documents = {key: back.decode(encode(document)) for key, document in rows.documents.items()}
    back.changed = dict(rows.changed)
    return back


def moments(events: Sequence[Event]) -> list[int]:
    """Some forty of them, the first and the last among them."""
    return sorted({*range(0, len(events), max(1, len(events) // 37)), 1, len(events) - 1})


@each_projection
@each_history
def test_the_fold_goes_on_from_rows_of_any_moment(name: str, projection: Projection[Any]) -> None:
    events = HISTORIES[name]
    expected = digest_of(folded(projection, events))
    growing, at = Rows(projection), 0
    for moment in moments(events):
        growing.fold(page(events, at, moment))
        at = moment
        on = stored(growing)
        on.fold(page(events, moment, len(events)))
        assert digest_of(on) == expected, f"on from position {moment}"


@each_projection
@each_history
def test_at_every_single_position_a_row_that_was_stored_goes_on_as_one_that_was_not(name: str, projection: Projection[Any]) -> None:
    """Each step, from the row as it was in memory and from the same row stored and read back: the same bytes."""
    events = HISTORIES[name]
    kept = Rows(projection)
    for place, event in enumerate(events):
        for key in projection.keys(event):
            was = kept.documents.get(key)
            was = projection.initial(key) if was is None else was
            assert encode(projection.evolve(kept.decode(encode(was)), event)) == encode(projection.evolve(was, event)), (place + 1, key)
        kept.fold(page(events, place, place + 1))


# ---------------------------------------------------------------- the check is one


def forgetting(projection: Projection[Any], tag: str) -> Projection[Any]:
    """The same, deaf to one kind of event."""
    evolve = projection.evolve
    return dataclasses.replace(projection, evolve=lambda row, event: row if tag_of(event) == tag else evolve(row, event))


def test_a_fold_that_changed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = [forgetting(each, "order_accepted") if each is orders else each for each in PROJECTIONS]
    monkeypatch.setattr(record, "PROJECTIONS", changed)
    differing = record.what_differs(record.recorded(), record.todays())
    assert differing and all(each.startswith("orders folds ") for each in differing)


def test_a_fold_that_changed_under_a_new_name_wants_digests_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = [dataclasses.replace(forgetting(each, "order_accepted"), name="orders_2") if each is orders else each for each in PROJECTIONS]
    monkeypatch.setattr(record, "PROJECTIONS", renamed)
    kept, now = record.recorded(), record.todays()
    assert all(each.startswith("orders_2 has no digest") for each in record.what_differs(kept, now))
    before = copy.deepcopy(kept)
    assert record.added(kept, now) > 0
    assert record.what_differs(kept, now) == []
    assert all(digests.items() <= dict(kept.of())[what].items() for what, digests in before.of()), "what was there is still there"


def test_a_digest_moves_only_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = record.recorded()
    changed = [forgetting(each, "order_accepted") if each is orders else each for each in PROJECTIONS]
    monkeypatch.setattr(record, "PROJECTIONS", changed)
    now = record.todays()
    assert record.added(kept, now) == 0
    assert record.what_differs(kept, now) != []
    assert (moved := record.supersede(kept, now, "orders", "it heard too much")) > 0
    assert record.what_differs(kept, now) == []
    assert [each.because for each in kept.superseded[-moved:]] == ["it heard too much"] * moved


def test_a_missing_line_and_an_altered_history_are_named() -> None:
    kept, now = record.recorded(), record.todays()
    gone = next(iter(now.events))
    del now.events[gone]
    del kept.events[next(iter(now.events))]
    for history in itertools.islice(now.histories.values(), 1):
        history.sha256 = "0" * 64
    differing = record.what_differs(kept, now)
    assert any(gone in each and "gone" in each for each in differing)
    assert any("has no digest" in each for each in differing)
    assert any("was altered" in each for each in differing)


class Counted(Struct, frozen=True):
    """How often it heard something; or so it says."""

    heard: int = 0


def test_a_fold_that_remembers_beside_its_row_is_found() -> None:
    heard = itertools.count(1)
    impure = Projection(
        name="impure", state=Counted, initial=lambda _key: Counted(), keys=lambda _event: ("all",), evolve=lambda *_: Counted(next(heard))
    )
    with pytest.raises(AssertionError):
        test_any_batches_fold_to_the_same(next(iter(HISTORIES)), impure)
    with pytest.raises(AssertionError):
        test_the_fold_goes_on_from_rows_of_any_moment(next(iter(HISTORIES)), impure)
