"""Whatever text we are sent can be stored and read again; what cannot be read says why."""

import gc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import codec
from engine.codec import clean, decode, decode_page, encode, to_json
from engine.errors import SchemaError
from engine.metrics import Metrics
from schemas.events import EVENTS, UnknownEvent
from schemas.events.exceptions import RawPayload
from schemas.events.orders import OrderStateChanged
from schemas.upcasters import UPCASTERS
from schemas.values import ChannelId, OrderId
from tests import examples

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # NUL and halves of surrogate pairs too


def changed(state: str, reason: str | None = None) -> OrderStateChanged:
    return OrderStateChanged(channel=ChannelId("asos"), order_id=OrderId("a"), state=state, reason=reason)


@given(state=ANY_TEXT, reason=ANY_TEXT | st.none())
def test_any_text_can_be_stored_and_comes_back_mended(state: str, reason: str | None) -> None:
    tag, version, text = encode(changed(state, reason))
    assert "\0" not in text and text.encode()
    mended = changed(clean(state), None if reason is None else clean(reason))
    assert decode(tag, version, text) == mended
    assert encode(mended) == (tag, version, text), "mending twice changes nothing"
    assert decode_page(f"[{text}, {text}]") == [mended, mended]


@given(ANY_TEXT)
def test_a_clean_text_is_left_as_it_is(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.encode().decode() == cleaned == clean(cleaned)
    assert "\0" not in cleaned
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert cleaned == text.replace("\0", "")


def test_what_only_looks_like_a_nul_is_kept() -> None:
    for text in ("\\u0000", "\\\\u0000", "\\", '"\\u0000"'):
        assert decode(*encode(changed(text))) == changed(text)
    assert decode(*encode(changed("a\\\0b"))) == changed("a\\b")


def test_keys_and_nested_texts_are_mended_too() -> None:
    assert to_json({"a\0": ["b\0", {"c": "\ud800"}], "n": 1}) == '{"a":["b",{"c":"\ufffd"}],"n":1}'.encode()
    assert msgspec.json.decode(to_json(RawPayload(body="\0{")))["body"] == "{"


def test_an_event_of_a_newer_version_is_unknown_and_counted() -> None:
    metrics = Metrics()
    assert decode("moon_landed", 1, "{}", metrics) == UnknownEvent(tag="moon_landed")
    assert decode("order_state_changed", 2, "{}", metrics) == UnknownEvent(tag="order_state_changed")
    for tag in ("moon_landed", "order_state_changed"):
        assert metrics.registry.get_sample_value("crossdock_event_undecodable_total", {"source": "log", "type": tag}) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "nonsense",
        '{"type":"order_state_changed"}',
        '{"type":"order_placed","channel":"a","order_id":"b","state":"c"}',
        '{"type":"order_state_changed","channel":1}',
    ],
)
def test_text_that_fits_no_schema_is_an_error(text: str) -> None:
    with pytest.raises(SchemaError, match="order_state_changed"):
        decode("order_state_changed", 1, text)
    assert decode_page(f"[{text}]") is None or not text


def test_a_field_of_a_later_version_is_passed_over() -> None:
    _, _, text = encode(changed("SHIPPING"))
    assert decode("order_state_changed", 1, text[:-1] + ',"mood":"good"}') == changed("SHIPPING")


def test_old_shapes_are_taken_to_todays_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def split(document: dict[str, Any]) -> dict[str, Any]:
        order = document.pop("order")
        return document | {"channel": order.split(":")[0], "order_id": order.split(":")[1]}

    def rename(document: dict[str, Any]) -> dict[str, Any]:
        return document | {"state": document.pop("status")}

    monkeypatch.setitem(codec.VERSIONS, "order_state_changed", 3)
    monkeypatch.setitem(UPCASTERS, ("order_state_changed", 1), split)
    monkeypatch.setitem(UPCASTERS, ("order_state_changed", 2), rename)
    assert decode("order_state_changed", 1, '{"type":"order_state_changed","order":"asos:a","status":"X"}') == changed("X")
    assert decode("order_state_changed", 2, '{"type":"order_state_changed","channel":"asos","order_id":"a","status":"X"}') == changed("X")
    assert decode(*encode(changed("X"))[:1], 3, encode(changed("X"))[2]) == changed("X")


def test_a_step_that_nobody_wrote_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(codec.VERSIONS, "order_state_changed", 3)
    monkeypatch.setitem(UPCASTERS, ("order_state_changed", 1), lambda document: document)
    with pytest.raises(SchemaError, match="order_state_changed from schema version 2 to 3"):
        decode("order_state_changed", 1, "{}")


def test_every_step_between_stored_and_todays_shapes_is_there() -> None:
    for tag, kind in EVENTS.items():
        for version in range(1, kind.schema_version):
            assert (tag, version) in UPCASTERS
    assert {tag for tag, _ in UPCASTERS} <= EVENTS.keys()


def test_a_page_is_decoded_without_disturbing_the_collector() -> None:
    text = encode(examples.placed())[2]
    assert gc.isenabled()
    assert decode_page(f"[{text}]") == [examples.placed()] and gc.isenabled()
    assert decode_page("[{}]") is None and gc.isenabled()
