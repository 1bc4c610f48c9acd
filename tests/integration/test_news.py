"""What is heard of an order, poll by poll, into the log: each change once, whatever is repeated and whatever answers late."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from adapters.mirakl.translate.orders import hear
from adapters.mirakl.translate.story import Place
from adapters.shopify.translate.reading import fulfilment_seen
from adapters.shopify.wire.orders import Fulfillment
from engine.adapter import Heard
from engine.inbox import append_heard, news
from engine.log import Append, Fence
from schemas.envelope import Fact, event_id
from schemas.events import Event, tag_of
from schemas.events.orders import (
    DeliveryAddress,
    FulfilmentSeen,
    LineStateChanged,
    OrderPlaced,
    OrderSignalled,
    OrderStateChanged,
    OrderTermsChanged,
    TrackingShown,
)
from schemas.values import ChannelId, OrderId
from tests.conftest import Database
from tests.contract.mirakl.payloads import Payload, address, having, line, order
from tests.machine import TENANT, Machine, machine

pytestmark = pytest.mark.anyio

PLACE = Place(TENANT, ChannelId("asos"), "TAX_INCLUDED")


class Ear:
    """Hears payloads as a poll does, and says what was new."""

    def __init__(self, engine: Machine, fence: Fence) -> None:
        self.engine, self.fence = engine, fence

    async def hear(self, *payloads: Payload) -> list[Event]:
        now = self.engine.clock.now()
        return await self.take([each for payload in payloads for each in hear(msgspec.json.encode(payload), PLACE, now)])

    async def take(self, heard: Sequence[Heard]) -> list[Event]:
        log, before = self.engine.log, await self.engine.log.head()
        fresh = await news(log, heard)
        async with self.engine.pool.acquire() as conn, conn.transaction():
            await append_heard(conn, log, fresh, self.fence, self.engine.clock.now())
        return await self.engine.events(before)

    async def tags(self, *payloads: Payload) -> list[str]:
        return [tag_of(event) for event in await self.hear(*payloads)]


@pytest.fixture
async def ear(database: Database) -> AsyncIterator[Ear]:
    async with machine(database) as engine:
        yield Ear(engine, await engine.lease("mirakl:asos").acquire())


def at(hour: int, *lines: Payload, **more: Any) -> Payload:
    """The order as it stood at that hour."""
    moment = f"2026-08-13T{hour:02}:00:00Z"
    return order(*(lines or (line(),)), last_updated_date=moment, **more)


def stood(hour: int, state: str, reason: str | None = None) -> Payload:
    moment = f"2026-08-13T{hour:02}:00:00Z"
    return at(hour, line(order_line_state=state, order_line_state_reason_code=reason, last_updated_date=moment), order_state=state)


FIRST = ["order_placed", "line_state_changed", "delivery_address_given", "order_debited", "order_signalled", "order_state_changed"]


async def test_a_first_sight_is_told_once_however_often_it_is_seen(ear: Ear) -> None:
    assert await ear.tags(at(9), at(9)) == FIRST
    assert await ear.tags(at(9)) == []
    assert await ear.tags(at(10)) == [], "touched, and nothing that we tell is another"


async def test_what_was_told_wrongly_for_once_is_put_right_though_nothing_was_touched_since(ear: Ear) -> None:
    """At the same moment, and in the words that stood there before."""
    assert await ear.tags(stood(9, "SHIPPED")) == FIRST
    wrongly = await ear.hear(stood(9, "PENDING_REVIEW"))
    assert [event.state for event in wrongly if isinstance(event, OrderStateChanged)] == ["PENDING_REVIEW"]
    rightly = await ear.hear(stood(9, "SHIPPED"))
    assert [tag_of(event) for event in rightly] == ["line_state_changed", "order_state_changed"]
    assert [event.state for event in rightly if isinstance(event, OrderStateChanged)] == ["SHIPPED"]
    assert await ear.tags(stood(9, "SHIPPED")) == []
    assert [tag_of(event) for event in await ear.hear(stood(9, "PENDING_REVIEW"))] == ["line_state_changed", "order_state_changed"]
    assert await ear.tags(stood(9, "PENDING_REVIEW"), stood(9, "PENDING_REVIEW")) == []


async def test_so_is_the_status_of_a_parcel(ear: Ear) -> None:
    told = []
    for status in ("SUCCESS", "SUCCESS", "A_STATUS_OF_TOMORROW", "SUCCESS", "SUCCESS"):
        text: dict[str, Any] = {
            "id": "gid://shopify/Fulfillment/1",
            "status": status,
            "updatedAt": "2026-08-13T12:00:00Z",
            "trackingInfo": [],
        }
        parcel = msgspec.convert(text | {"fulfillmentLineItems": {"nodes": [], "pageInfo": {"hasNextPage": False}}}, Fulfillment)
        told.append(await ear.take([fulfilment_seen(TENANT, parcel, (ChannelId("asos"), OrderId("A1")))]))
    assert [[event.status for event in each if isinstance(event, FulfilmentSeen)] for each in told] == [
        ["SUCCESS"],
        [],
        ["A_STATUS_OF_TOMORROW"],
        ["SUCCESS"],
        [],
    ]


async def test_a_state_that_is_left_and_entered_again_is_told_again(ear: Ear) -> None:
    told = []
    for hour, state in enumerate(("SHIPPED", "INCIDENT_OPEN", "SHIPPED", "INCIDENT_OPEN", "RECEIVED"), start=9):
        told += [event.state for event in await ear.hear(stood(hour, state), stood(hour, state)) if isinstance(event, LineStateChanged)]
    assert told == ["SHIPPED", "INCIDENT_OPEN", "SHIPPED", "INCIDENT_OPEN", "RECEIVED"]


async def test_a_stale_answer_moves_nothing(ear: Ear) -> None:
    await ear.hear(stood(9, "SHIPPING"), stood(11, "SHIPPED"))
    assert await ear.tags(stood(9, "SHIPPING")) == [], "as it was told"
    assert await ear.tags(stood(10, "SHIPPING")) == [], "as it was never told, but is older all the same"
    assert await ear.tags(stood(11, "SHIPPED")) == []


async def test_a_reason_that_is_given_later_is_told(ear: Ear) -> None:
    await ear.hear(stood(9, "REFUSED"))
    told = await ear.hear(stood(10, "REFUSED", reason="OUT_OF_STOCK"))
    assert [(event.state, event.reason) for event in told if isinstance(event, LineStateChanged)] == [("REFUSED", "OUT_OF_STOCK")]


async def test_each_line_has_states_of_its_own(ear: Ear) -> None:
    await ear.hear(at(9, line(1), line(2)))
    moved = line(2, order_line_state="SHIPPED", last_updated_date="2026-08-13T10:00:00Z")
    told = await ear.hear(at(10, line(1), moved))
    assert [(tag_of(event), getattr(event, "line_id", "")) for event in told] == [("line_state_changed", "00012345-A-2")]


async def test_terms_are_told_whenever_they_are_others_than_last(ear: Ear) -> None:
    dearer = line(price_unit=25, price=50)
    deadlines = []
    for hour, lines in ((9, line()), (10, dearer), (11, line()), (12, dearer), (12, dearer), (13, dearer)):
        told = await ear.hear(at(hour, lines))
        deadlines += [(hour, event.terms.lines[0].price.minor) for event in told if isinstance(event, OrderTermsChanged)]
    assert deadlines == [(10, 5000), (11, 4900), (12, 5000)]
    assert await ear.tags(at(11)) == [], "and not when a late answer shows them"


async def test_an_address_is_told_when_it_is_another_and_only_then(ear: Ear) -> None:
    def lives(hour: int, street: str) -> Payload:
        return having("customer.shipping_address", address(street_1=street), at(hour))

    async def streets() -> list[str]:
        sealed = [await ear.engine.vault.open(envelope) for envelope in await ear.engine.log.read(0, 1_000) if envelope.sealed]
        return [personal.street_1 for personal in sealed if isinstance(personal, DeliveryAddress)]

    for hour, street in ((9, "1 A"), (10, "2 B"), (11, "2 B"), (12, "1 A"), (10, "2 B"), (13, "1 A")):
        await ear.hear(lives(hour, street))
    assert await streets() == ["1 A", "2 B", "1 A"]


async def test_an_address_that_was_erased_is_not_told_again(ear: Ear) -> None:
    await ear.hear(at(9))
    assert await ear.engine.erase("order-asos:00012345-A")
    assert await ear.tags(at(10)) == []
    moved = having("customer.shipping_address", address(street_1="2 Elsewhere", country_iso_code="FRA", country="France"), at(11))
    assert await ear.tags(moved) == ["delivery_address_given"], "that it goes elsewhere now is nobody's name"
    told = [envelope for envelope in await ear.engine.log.read(0, 1_000) if envelope.sealed is not None]
    assert await ear.engine.log.opened(told) == [None, None]
    assert await ear.engine.pool.fetchval("SELECT count(wrapped) FROM crossdock.keys WHERE subject = $1", "order-asos:00012345-A") == 0


async def test_signals_and_tracking_come_and_go(ear: Ear) -> None:
    await ear.hear(at(9))
    tracked = {"shipping_carrier_code": "RM", "shipping_tracking": "AB1"}
    told = await ear.hear(at(10, has_incident=True, **tracked))
    assert [type(event) for event in told] == [OrderSignalled, TrackingShown]
    assert await ear.hear(at(11, has_incident=True, **tracked)) == []
    [calm] = await ear.hear(at(12, **tracked))
    assert isinstance(calm, OrderSignalled) and not calm.incident
    [again] = await ear.hear(at(13, has_incident=True, **tracked))
    assert isinstance(again, OrderSignalled) and again.incident
    [moved] = await ear.hear(at(14, has_incident=True, shipping_carrier_code="RM", shipping_tracking="AB2"))
    assert isinstance(moved, TrackingShown) and moved.tracking_number == "AB2"


async def test_the_debit_is_told_once_whatever_its_date(ear: Ear) -> None:
    assert "order_debited" in await ear.tags(at(9))
    assert await ear.tags(at(10, customer_debited_date="2026-08-13T08:40:00Z")) == []


async def test_an_order_told_before_there_were_these_facts_is_brought_up_to_date_once(ear: Ear) -> None:
    """What an earlier version recorded had ids without times, and fewer terms."""
    [placed, *_] = [each.fact for each in hear(msgspec.json.encode(at(9)), PLACE, ear.engine.clock.now())]
    assert isinstance(placed.event, OrderPlaced)
    old = msgspec.structs.replace(placed.event, stated_total=None, storefront="", fulfilled_by="")
    state = OrderStateChanged(channel=PLACE.channel, order_id=old.order_id, state="SHIPPING")
    known = event_id(TENANT, "mirakl:asos", "00012345-A\x1fSHIPPING", tag_of(state))
    moved = Fact(event=state, event_id=known, occurred_at=placed.occurred_at)
    facts = (msgspec.structs.replace(placed, event=old), moved)
    await ear.engine.log.append(Append(stream="order-asos:00012345-A", facts=facts))
    assert await ear.tags(at(9)) == ["order_terms_changed", *[tag for tag in FIRST if tag not in ("order_placed", "order_state_changed")]]
    assert await ear.tags(at(10)) == []
