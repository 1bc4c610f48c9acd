"""Whatever Mirakl sends as an order ends as facts in its stream, or as one exception that names the field. Never another error."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from adapters.http import well_formed
from adapters.mirakl.strangers import strangers
from adapters.mirakl.translate.orders import hear
from adapters.mirakl.translate.story import Place
from engine.adapter import Heard
from schemas.events import PERSONAL, AnyEvent, tag_of
from schemas.events.exceptions import ExceptionOpened, RawPayload
from schemas.events.orders import OrderPlaced, OrderStateChanged, OrderTermsChanged
from schemas.values import ChannelId, TenantId
from tests.contract.mirakl.payloads import NASTY, order, written
from tests.loopback import NOW

PLACE = Place(TenantId("t"), ChannelId("asos"), "TAX_INCLUDED")
SAMPLES = sorted(Path(os.environ["CROSSDOCK_SAMPLES"]).glob("mirakl/or11*.json")) if os.environ.get("CROSSDOCK_SAMPLES") else []


class Page(msgspec.Struct):
    orders: list[msgspec.Raw] = []


def heard(body: bytes, place: Place = PLACE) -> list[Heard]:
    """As the source hears it: mended, cut into orders, translated."""
    [raw] = msgspec.json.decode(well_formed(b'{"orders":[' + body + b"]}"), type=Page).orders
    return hear(raw, place, NOW)


def holds(facts: list[Heard]) -> str | None:
    """What must hold of anything heard; the field that was refused, if the order was, and not only a refund of it."""
    assert facts
    for each in facts:
        for fact in (each.fact, each.otherwise):
            if fact is None:
                continue
            stored = msgspec.json.encode(fact.event)
            assert msgspec.json.decode(stored, type=AnyEvent) == fact.event
            assert b"\\u0000" not in stored and each.stream.isprintable() and each.stream.startswith(("order-asos:", "channel-asos"))
            assert fact.occurred_at.utcoffset() is not None and fact.actor == "mirakl:asos"
            assert (fact.personal is None) == (fact.subject == "")
            if fact.personal is not None:
                sealed = msgspec.json.encode(fact.personal)
                assert msgspec.json.decode(sealed, type=PERSONAL[tag_of(fact.personal)]) == fact.personal
    refused = [fact.event for fact in (each.fact for each in facts) if isinstance(fact.event, ExceptionOpened) and fact.event.code == "X79"]
    for opened in refused:
        assert opened.field and opened.field in opened.summary and opened.subject == facts[0].stream
    if isinstance(facts[0].fact.event, OrderPlaced):
        assert all(":refund:" in opened.key for opened in refused)
        assert len({each.fact.event_id for each in facts}) == len(facts)
        assert isinstance(facts[1].fact.event, OrderTermsChanged) and facts[1].fact.event.terms == facts[0].fact.event
        assert isinstance(facts[-1].fact.event, OrderStateChanged)
        assert len({each.fact.correlation_id for each in facts}) == 1
        return None
    [opened] = refused
    assert len(facts) == 1 and isinstance(facts[0].fact.personal, RawPayload)
    return opened.field


@pytest.mark.parametrize("what", NASTY)
def test_a_nasty_order_is_read_or_refused_by_field(what: str):
    body, field = NASTY[what]
    assert holds(heard(body)) == field


def test_the_same_payload_is_the_same_facts_and_another_is_another():
    body, _ = NASTY["no currency"]
    once, again = heard(body), heard(body)
    assert [each.fact for each in once] == [each.fact for each in again]
    other = heard(body.replace(b"2026-08-13T08:41:07.250Z", b"2026-08-13T08:42:00Z"))
    assert other[0].fact.event_id != once[0].fact.event_id and other[0].fact.event == once[0].fact.event


def test_a_refusal_says_nothing_of_a_person():
    for what, (body, field) in NASTY.items():
        if field is not None:
            clear = msgspec.json.encode([each.fact.event for each in heard(body)]).decode()
            assert not any(word in clear for word in ("Robin", "Nowhere", "ZZ1", "robin@", "forty-nine")), what


# ---------------------------------------------------------------- any mutation


def places(payload: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a payload, down to the last value."""
    if way:
        yield way
    if isinstance(payload, dict):
        for key in payload:
            yield from places(payload[key], (*way, key))
    elif isinstance(payload, list):
        for number, value in enumerate(payload):
            yield from places(value, (*way, number))


PLACES = list(places(order()))
LITERALS = (
    "1e400",
    "NaN",
    "-Infinity",
    "-0.0",
    "43.005",
    "1" * 400,
    r'"\ud800"',
    r'"\u0000"',
    '"\\u202e"',
    "[[]]",
    '{"":null}',
    '"' + "x" * 9000 + '"',
)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.lists(st.none() | st.integers() | st.text(), max_size=2)
    | st.dictionaries(st.text(max_size=3), st.text(), max_size=2)
)


@st.composite
def mutated(draw: DrawFn) -> bytes:
    """A good order of which some values were dropped, retyped or blown up, or stand elsewhere."""
    payload: Any = order()
    literals: dict[str, str] = {}
    for number in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(PLACES))
        place = payload
        try:
            for part in way:
                place = place[part]
            match draw(st.sampled_from(("drop", "value", "literal", "double"))):
                case "drop":
                    del place[last]
                case "value":
                    place[last] = draw(VALUES)
                case "literal":
                    place[last] = f"@m{number}"
                    literals[f"m{number}"] = draw(st.sampled_from(LITERALS))
                case "double":
                    place[last] = [place[last], place[last]]
        except (KeyError, IndexError, TypeError):  # an earlier change took the place away
            continue
    return written(msgspec.json.decode(msgspec.json.encode(payload)), **literals)


@settings(max_examples=600)
@given(mutated())
def test_any_mutation_ends_as_facts_or_as_an_exception(body: bytes):
    holds(heard(body))
    strangers(body)


# ---------------------------------------------------------------- real ones, where there are any


if SAMPLES:

    @pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
    def test_every_order_of_a_real_answer_is_read_or_refused_by_field(path: Path):
        body = path.read_bytes()
        orders = [bytes(raw) for raw in msgspec.json.decode(body, type=Page).orders] or [body]
        fields = [holds(heard(each)) for each in orders]
        if "minimal" in path.name:
            assert None not in fields
