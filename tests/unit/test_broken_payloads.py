"""What the fuzz (tests/contract/test_fuzz.py) found, each once and by name."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from adapters.download import mended
from adapters.http import scrub
from adapters.mirakl.translate.orders import hear
from adapters.mirakl.translate.values import UnreadableError, instant
from adapters.shopify import hints, wire
from adapters.shopify.inbound.paging import whole
from adapters.shopify.translate import address
from engine import codec
from engine.adapter import Heard
from engine.errors import SchemaError, UnavailableError
from schemas.events.exceptions import ExceptionOpened
from tests.contract.fuzz import PLACE
from tests.contract.mirakl.payloads import having
from tests.contract.shopify import payloads
from tests.loopback import NOW

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("said", ["9999-12-31T23:59:59Z", "9000-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "1969-12-31T23:59:59Z"])
def test_a_date_from_which_no_deadline_can_be_reckoned_is_none(said: str) -> None:
    """Recorded, it stopped the fold of everybody's orders for good."""
    with pytest.raises(UnreadableError):
        instant(said, "created_date")
    [refused] = hear(msgspec.json.encode(having("created_date", said)), PLACE, NOW)
    assert isinstance(refused.fact.event, ExceptionOpened) and refused.fact.event.field == "created_date"


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("0001-01-01T00:00:00+14:00", wire.frame.EARLIEST),
        ("9999-12-31T23:59:59-12:00", wire.frame.LATEST),
        ("2026-08-13T10:00:00+01:00", datetime(2026, 8, 13, 9, tzinfo=UTC)),
    ],
)
def test_a_moment_of_shopifys_stays_within_reckoning(said: str, read: datetime) -> None:
    found = wire.frame.utc(datetime.fromisoformat(said))
    assert found == read and found.utcoffset() == timedelta(0)
    heard = hints.hint(
        "inventory_items/delete",
        payloads.body({"id": 1, "updated_at": said}),
        tenant=PLACE.tenant,
        shop="harbour-and-thread.myshopify.com",
        received_at=NOW,
        mark=hints.marker("a secret"),
    )
    assert isinstance(heard, Heard) and heard.fact.occurred_at == read


async def test_a_list_that_promises_the_same_page_again_is_not_asked_for_for_ever() -> None:
    def page(cursor: str | None, *, more: bool) -> wire.frame.Page[int]:
        return wire.frame.Page(nodes=[1], page_info=wire.frame.PageInfo(has_next_page=more, end_cursor=cursor))

    async def same(_after: str | None) -> wire.frame.Page[int]:
        return page("a", more=True)

    async def last(after: str | None) -> wire.frame.Page[int]:
        return page(after, more=False)

    with pytest.raises(UnavailableError, match="circle"):
        await whole(page("a", more=True), same)
    assert (await whole(page("a", more=True), last)).nodes == [1, 1]


def test_brackets_in_brackets_without_end_are_no_stored_event() -> None:
    deep = '{"type":"order_accepted","channel":' + "[" * 100_000
    with pytest.raises(SchemaError):
        codec.decode("order_accepted", 1, deep)
    assert codec.decode_page(f"[{deep}]") is None


def test_a_digest_of_another_alphabet_is_not_ours() -> None:
    shown: Any = msgspec.json.decode(b'{"firstName":"Ann","address1":"1 Example Street"}', type=wire.orders.Address)
    key = address.digest_key("secret")
    ours = address.digest(key, names=["Ann", "", ""], streets=["1 Example Street", ""], city="", postcode="")
    assert not address.moved(key, wire.frame.MetafieldValue(ours), shown)
    assert address.moved(key, wire.frame.MetafieldValue(f"{ours.partition(':')[0]}:é"), shown)


def test_a_line_of_a_file_that_is_not_utf_8_can_still_be_read() -> None:
    line = b'{"id":"gid://shopify/InventoryItem/1","sku":"T\x96E"}'
    assert msgspec.json.decode(mended(line))["sku"] == "T\ufffdE"
    assert mended("é".encode()) == "é".encode()


def test_an_address_with_two_ats_leaves_nothing_of_itself() -> None:
    assert scrub("write to help@examhelp@example.com, or a@b") == "write to …, or …"
