"""What Shopify is read for, by hint and by sweep: the two say the same."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from adapters.shopify import wire
from adapters.shopify.endpoints import DEFINITION, DEFINITION_CREATE, FULFILMENT_GET, ORDER_GET, TOPICS
from adapters.shopify.translate import marks
from adapters.shopify.translate.stock import counted
from engine.adapter import Done, Sight
from engine.errors import RejectedError, StartupError, UnavailableError
from ops.sandbox.shopify.sales import Order
from schemas.commands import CreateShopOrder
from schemas.envelope import Envelope
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened, ExceptionRetried
from schemas.events.inventory import StockCounted, VariantSeen
from schemas.events.orders import FulfilmentSeen, ShopOrderCreated, ShopOrderSeen
from schemas.events.shop import ShopNotified, ShopOrderOrphaned
from schemas.values import ChannelId, LineId, ShopId, Sku
from tests.contract.shopify.shopfront import TENANT, Shopfront, command, gbp, locate, order_line, shopfront, stock, task
from tests.examples import envelope
from tests.loopback import NOW

pytestmark = pytest.mark.anyio


def about(*gids: str) -> Envelope:
    return envelope(ShopNotified(topic="orders/updated", about=tuple(ShopId(gid) for gid in gids)))


async def create(front: Shopfront, asked: CreateShopOrder) -> ShopOrderCreated:
    [answer] = await front.adapter.performs[CreateShopOrder].perform(front.adapter.client, [task(asked)])
    assert isinstance(answer, Done)
    created = answer.effects[0].event
    assert isinstance(created, ShopOrderCreated)
    return created


async def created_in(front: Shopfront) -> tuple[ShopOrderCreated, Order]:
    """An order of ours, by both sides' names, a moment after it was made in a shop that has enough."""
    stock(front.shop, "TEE-RED-M", 10)
    await front.adapter.prepare()
    created = await create(front, command())
    [order] = front.shop.orders.values()
    front.pass_time(10)
    return created, order


def ship(front: Shopfront, order: int, quantity: int | None = None, **tracking: Any) -> None:
    parcel = next(one for one in front.shop.fulfillment_orders.values() if one.order_id == order and one.status in ("OPEN", "IN_PROGRESS"))
    wanted: dict[str, Any] = {"fulfillmentOrderId": f"gid://shopify/FulfillmentOrder/{parcel.id}"}
    if quantity is not None:
        [waiting] = parcel.lines
        wanted["fulfillmentOrderLineItems"] = [{"id": f"gid://shopify/FulfillmentOrderLineItem/{waiting.id}", "quantity": quantity}]
    front.do("fulfillmentCreate", wanted={"lineItemsByFulfillmentOrder": [wanted], "trackingInfo": tracking})


def said(heard: Any) -> list[Any]:
    return [one.fact.event for one in (heard.heard if isinstance(heard, Sight) else heard)]


def numbers(heard: Any) -> list[Any]:
    """The counts among what was heard."""
    return [one for one in (heard.heard if isinstance(heard, Sight) else heard) if isinstance(one.fact.event, StockCounted)]


# ---------------------------------------------------------------- orders


async def test_a_shipped_order_is_told_with_each_of_its_parcels():
    async with shopfront() as front:
        orders = front.adapter.readers[0]
        created, order = await created_in(front)
        ship(front, order.id, 1, company="Royal Mail", number=" AB123456789GB ", url="https://track.example/1")
        ship(front, order.id)
        heard = await orders.read([about(created.shop_order), about(created.shop_order)])
        assert front.asked.count("OrderGet") == 1, "several hints of one order are one reading"
        seen, first, second = said(heard)
        assert seen == ShopOrderSeen(
            channel=created.channel,
            order_id=created.order_id,
            shop_order=created.shop_order,
            updated_at=front.clock.time,
            financial_status="PAID",
            fulfilment_status="FULFILLED",
            total=gbp(5160),
            units={LineId("00012345-A-1"): 2},
        )
        assert isinstance(first, FulfilmentSeen) and first.units == {LineId("00012345-A-1"): 1}
        assert (first.status, first.carrier, first.tracking_number) == ("SUCCESS", "Royal Mail", "AB123456789GB")
        assert isinstance(second, FulfilmentSeen) and (second.carrier, second.tracking_number) == ("", "")
        assert {one.stream for one in heard} == {"order-asos:00012345-A"}


async def test_of_a_cancelled_order_what_is_not_packed_any_more_is_told_first():
    """Else its units are paid back on the marketplace as if they had left, and it waits for them for ever."""
    async with shopfront() as front:
        created, order = await created_in(front)
        ship(front, order.id)
        front.do("fulfillmentCancel", fulfillment=f"gid://shopify/Fulfillment/{order.fulfillments[0]}")
        front.do("staffCancel", order=order.id)
        front.pass_time(60)
        parcel, seen, *_ = said(await front.adapter.readers[0].read([about(created.shop_order)]))
        assert isinstance(parcel, FulfilmentSeen) and parcel.status == "CANCELLED"
        assert isinstance(seen, ShopOrderSeen) and seen.cancelled_at is not None


@pytest.mark.parametrize("for_once", [True, False])
async def test_a_status_that_nobody_knows_is_asked_for_once_more(monkeypatch: pytest.MonkeyPatch, for_once: bool):
    async with shopfront() as front:
        created, order = await created_in(front)
        ship(front, order.id, company="Royal Mail", number="AB1")
        ask = front.adapter.client.ask

        async def lies(operation: Any, *arguments: Any, **more: Any) -> Any:
            answer = await ask(operation, *arguments, **more)
            if operation is ORDER_GET:
                odd = [replace(parcel, status="ON_A_BOAT") for parcel in answer.order.fulfillments]
                return replace(answer, order=replace(answer.order, fulfillments=odd))
            if operation is FULFILMENT_GET and not for_once:
                return replace(answer, fulfillment=replace(answer.fulfillment, status="ON_A_BOAT"))
            return answer

        monkeypatch.setattr(front.adapter.client, "ask", lies)
        heard = said(await front.adapter.readers[0].read([about(created.shop_order)]))
        [parcel] = [event for event in heard if isinstance(event, FulfilmentSeen)]
        assert parcel.status == ("SUCCESS" if for_once else "ON_A_BOAT")
        monkeypatch.undo()
        subject = f"order-{created.channel}:{created.order_id}"
        again = ExceptionRetried(key=f"X80:{subject}:{parcel.fulfilment}", subject=subject, reason="it is known now")
        orders = front.adapter.readers[0]
        assert orders.follows(again)
        heard = said(await orders.read([envelope(again)]))
        assert [event.status for event in heard if isinstance(event, FulfilmentSeen)] == ["SUCCESS"]
        for other in (f"X80:{subject}", f"X84:{subject}:{parcel.fulfilment}"):
            assert not orders.follows(replace(again, key=other)), "the order's own state is the marketplace's to tell"


async def test_hint_and_sweep_say_the_same_fact():
    async with shopfront() as front:
        created, order = await created_in(front)
        ship(front, order.id, number="AB123456789GB")
        front.pass_time(60)
        by_hint = await front.adapter.readers[0].read([about(created.shop_order)])
        sight = await front.adapter.sources[0].poll(None)
        assert [one.fact.event for one in by_hint] == [one.fact.event for one in sight.heard]
        assert by_hint[1].fact.event_id == sight.heard[1].fact.event_id
        same = sight.heard[0].same
        assert same is not None and same(by_hint[0].fact.event), "a second reading of the same is no news"
        again = await front.adapter.sources[0].poll(sight.cursor)
        assert said(again) == said(sight), "the overlap reads it once more"
        front.pass_time(3600)
        assert said(await front.adapter.sources[0].poll((front.clock.time).isoformat())) == []


async def test_an_order_that_is_not_ours_is_read_and_forgotten_and_one_that_lost_its_marks_is_named():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        number = front.do("checkout", lines=[("TEE-RED-M", 1)], address={}, email="pii@x.org")
        reader = front.adapter.readers[0]
        assert await reader.read([about(f"gid://shopify/Order/{number}")]) == []
        created = await create(front, command())
        order = front.shop.orders[int(marks.number(created.shop_order))]
        metafields, order.metafields = order.metafields, []
        astray = ShopOrderOrphaned(shop_order=created.shop_order, channel=created.channel, order_id=created.order_id, name=order.name)
        assert said(await reader.read([about(created.shop_order)])) == [astray]
        order.cancelled_at = front.clock.time
        assert said(await reader.read([about(created.shop_order)])) == [replace(astray, cancelled=True)]
        order.cancelled_at, order.metafields = None, metafields
        [seen] = await reader.read([about(created.shop_order)])
        assert seen.beside is ShopOrderOrphaned and seen.same is not None and not seen.same(astray), "it is news, whatever was read before"
        assert await reader.read([about("gid://shopify/Order/404")]) == []


async def test_a_twin_is_told_with_the_name_of_the_order_that_has_the_id():
    async with shopfront() as front:
        front.shop.switches.duplicate_metafield = "create_without"
        front.shop.switches.cancel_delay = 3600.0
        created, order = await created_in(front)
        await front.adapter.performs[CreateShopOrder].perform(front.adapter.client, [task(command())])
        [twin] = front.shop.orders.keys() - {order.id}
        [heard] = await front.adapter.readers[0].read([about(f"gid://shopify/Order/{twin}")])
        assert heard.stream == f"order-{created.channel}:{created.order_id}"
        assert isinstance(heard.fact.event, ShopOrderOrphaned)
        assert (heard.fact.event.name, heard.fact.event.twin_of) == (front.shop.orders[twin].name, order.name)


async def test_a_parcel_of_many_lines_and_an_order_of_many_parcels_are_read_whole():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 500)
        await front.adapter.prepare()
        created = await create(front, command(*(order_line(number, quantity=8) for number in range(1, 31))))
        front.pass_time(10)
        for _ in range(7):
            parcel = next(iter(front.shop.fulfillment_orders.values()))
            lines = [{"id": f"gid://shopify/FulfillmentOrderLineItem/{line.id}", "quantity": 1} for line in parcel.lines]
            wanted = {"fulfillmentOrderId": f"gid://shopify/FulfillmentOrder/{parcel.id}", "fulfillmentOrderLineItems": lines}
            front.do("fulfillmentCreate", wanted={"lineItemsByFulfillmentOrder": [wanted]})
        heard = said(await front.adapter.readers[0].read([about(created.shop_order)]))
        parcels = [event for event in heard if isinstance(event, FulfilmentSeen)]
        assert len(parcels) == 7 and all(len(parcel.units) == 30 for parcel in parcels)


async def test_a_hint_about_a_part_is_followed_to_its_order():
    async with shopfront() as front:
        created, _ = await created_in(front)
        [parcel] = front.shop.fulfillment_orders
        gids = [f"gid://shopify/FulfillmentOrder/{parcel}", "gid://shopify/FulfillmentOrder/404"]
        [seen] = said(await front.adapter.readers[0].read([about(*gids)]))
        assert isinstance(seen, ShopOrderSeen) and seen.shop_order == created.shop_order


async def test_an_order_that_cannot_be_read_is_set_aside_and_its_neighbours_are_told():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        created = await create(front, command())
        front.instead["OrderGet"] = (200, {"data": {"order": {"id": "gid://shopify/Order/5", "name": 7}}})
        trouble, seen = said(await front.adapter.readers[0].read([about("gid://shopify/Order/5"), about(created.shop_order)]))
        assert isinstance(trouble, ExceptionOpened) and (trouble.code, trouble.field) == ("X79", "order.name")
        assert isinstance(seen, ShopOrderSeen)


async def test_a_filter_that_shopify_drops_is_not_taken_for_an_answer():
    async with shopfront() as front:
        warned = {"data": {"orders": {"nodes": [], "pageInfo": {"hasNextPage": False}}}}
        warned["extensions"] = {"search": [{"warnings": [{"field": "tagg", "message": "?"}]}]}  # type: ignore[dict-item]
        front.instead["OrdersPage"] = (200, warned)
        with pytest.raises(RejectedError, match="filter"):
            await front.adapter.sources[0].poll(None)


# ---------------------------------------------------------------- stock


async def test_several_hints_of_one_item_are_one_reading_of_all_its_levels():
    async with shopfront() as front:
        here, there = locate(front.shop, "Leeds"), locate(front.shop, "York")
        item = stock(front.shop, "TEE-RED-M", 4)
        front.do("stock", sku="TEE-RED-M", quantity=-2, location=there.id)
        gid = ShopId(f"gid://shopify/InventoryItem/{item.id}")
        [count] = numbers(await front.adapter.readers[1].read([about(gid), about(gid, "gid://shopify/Location/1"), about()]))
        assert front.asked.count("ItemsGet") == 1
        assert count.fact.event == StockCounted(
            sku=Sku("TEE-RED-M"),
            item=gid,
            levels={ShopId(f"gid://shopify/Location/{here.id}"): 4, ShopId(f"gid://shopify/Location/{there.id}"): -2},
            read_at=front.clock.time,
        )
        assert count.stream == "stock-TEE-RED-M"
        front.clock.time += timedelta(seconds=5)
        [again] = numbers(await front.adapter.readers[1].read([about(gid)]))
        assert again.same is not None and again.same(count.fact.event), "the same number is no news"
        front.do("stock", sku="TEE-RED-M", quantity=3, location=here.id)
        [other] = numbers(await front.adapter.readers[1].read([about(gid)]))
        assert other.same is not None and not other.same(count.fact.event)


async def test_an_order_of_ours_is_settled_by_the_reading_that_follows_it():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 10)
        stock(front.shop, "CAP", 5)
        await front.adapter.prepare()
        created = await create(front, command(order_line(), order_line(2, "CAP", 1)))
        heard = numbers(await front.adapter.readers[1].read([envelope(created)]))
        counts = {event.sku: event for event in said(heard)}
        assert {sku: (event.settled, list(event.levels.values())) for sku, event in counts.items()} == {
            "TEE-RED-M": (("asos:00012345-A",), [8]),
            "CAP": (("asos:00012345-A",), [4]),
        }
        assert all(one.same is None for one in heard), "what settles an order is told, whatever was told before and of later"
        swept = next(source for source in front.adapter.sources if source.name == "shopify:stock")
        told, cursor = list[Any](), None
        while not told:  # a bulk operation takes its time
            sight = await swept.poll(cursor)
            told, cursor = numbers(sight.heard), sight.cursor
            front.pass_time(sight.again or 0.0)
        after = next(one for one in told if one.stream == heard[0].stream)
        assert after.same is not None and not after.same(heard[0].fact.event), "and so is the next count, for that may have been overtaken"


async def test_what_is_sold_of_an_item_is_told_when_it_changes():
    async with shopfront() as front:
        item = stock(front.shop, "TEE-RED-M", 4)
        gid = ShopId(f"gid://shopify/InventoryItem/{item.id}")
        reader, variant = front.adapter.readers[1], front.shop.variants[item.variant_id]
        [seen, count] = await reader.read([about(gid)])
        expected = VariantSeen(sku=Sku("TEE-RED-M"), item=gid, status="ACTIVE", read_at=front.clock.time)
        assert seen.fact.event == expected and seen.stream == count.stream
        front.clock.time += timedelta(seconds=5)
        [again, _] = await reader.read([about(gid)])
        assert again.same is not None and again.same(seen.fact.event), "the same is no news"
        variant.policy = "CONTINUE"
        front.shop.products[variant.product_id].status = "ARCHIVED"
        [other, _] = await reader.read([about(gid)])
        assert other.same is not None and not other.same(seen.fact.event)
        assert other.fact.event == replace(expected, status="ARCHIVED", sells_beyond_zero=True, read_at=front.clock.time)


async def test_under_which_offer_a_mapped_sku_was_bought_is_told_with_its_count():
    class Mapped:
        async def find(self, channel: ChannelId, kind: str, name: str) -> str | None:
            return "TEE-RED-M" if (kind, name) == ("sku", "ASOS-1") else None

    async with shopfront(maps=Mapped()) as front:
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        created = await create(front, command(order_line(1, "ASOS-1", 2)))
        assert [(line.sku, line.sold_as) for line in created.lines] == [("TEE-RED-M", "ASOS-1")]
        [count] = said(numbers(await front.adapter.readers[1].read([envelope(created)])))
        assert (count.settled, count.sold_as) == (("asos:00012345-A",), ("ASOS-1",))


async def test_an_item_on_many_shelves_is_counted_on_all_of_them():
    async with shopfront() as front:
        for number in range(20):
            locate(front.shop, f"Store {number}")
        item = stock(front.shop, "TEE-RED-M", 1)
        [count] = said(numbers(await front.adapter.readers[1].read([about(f"gid://shopify/InventoryItem/{item.id}")])))
        assert len(count.levels) == 20


def level(units: int | None, *, active: bool = True, name: str = "available") -> wire.stock.Level:
    quantities = [wire.stock.Quantity(name=name, quantity=units)]
    return wire.stock.Level(is_active=active, location=wire.frame.Ref(id=f"gid://shopify/Location/{units}"), quantities=quantities)


def test_a_quantity_never_set_is_unknown_and_not_zero():
    levels = wire.frame.Page(
        nodes=[level(3), level(None), level(4, active=False), level(5, name="on_hand")], page_info=wire.frame.PageInfo(False)
    )
    item = wire.stock.Item(id="gid://shopify/InventoryItem/1", sku=" A ", tracked=True, duplicate_sku_count=0, inventory_levels=levels)
    event = counted(TENANT, item, NOW).fact.event
    assert isinstance(event, StockCounted) and event.levels == {"gid://shopify/Location/3": 3} and event.sku == "A"


async def test_an_item_that_cannot_be_read_is_set_aside_and_its_neighbours_are_counted():
    async with shopfront() as front:
        whole = {"id": "gid://shopify/InventoryItem/2", "sku": "A", "tracked": True, "duplicateSkuCount": 0}
        whole["inventoryLevels"] = {"nodes": [], "pageInfo": {"hasNextPage": False}}
        odd = whole | {"id": "gid://shopify/InventoryItem/1", "tracked": "perhaps"}
        front.instead["ItemsGet"] = (200, {"data": {"nodes": [odd, None, whole]}})
        trouble, count = said(await front.adapter.readers[1].read([about("gid://shopify/InventoryItem/1")]))
        assert isinstance(trouble, ExceptionOpened) and trouble.field == "tracked"
        assert isinstance(count, StockCounted)


# ---------------------------------------------------------------- what must be in place


async def test_preparing_twice_changes_nothing_more_and_the_probe_finds_all_in_place():
    async with shopfront() as front:
        before = {finding.what: finding for finding in await front.adapter.probe()}
        assert not before["order id definition"].ok and not before["webhooks"].ok
        await front.adapter.prepare()
        made = (len(front.shop.subscriptions), len(front.shop.definitions))
        assert made == (len(TOPICS), 1)
        await front.adapter.prepare()
        assert (len(front.shop.subscriptions), len(front.shop.definitions)) == made
        after = [finding for finding in await front.adapter.probe() if not finding.ok and not finding.what.startswith("clock")]
        assert [finding.what for finding in after if not finding.what.startswith("scope")] == []


async def test_a_definition_that_is_there_and_not_shown_is_looked_for_again_and_one_that_does_not_do_stops_the_start():
    async with shopfront() as front:
        await front.adapter.prepare()
        nothing: tuple[int, Any] = (200, {"data": {"metafieldDefinitions": {"nodes": []}}})
        front.instead[DEFINITION.name] = nothing
        front.before[DEFINITION_CREATE.name] = lambda: front.instead.update({DEFINITION.name: nothing})
        with pytest.raises(UnavailableError, match="is said to be taken, and is not shown"):
            await front.adapter.prepare()
        await front.adapter.prepare()
        [definition] = front.shop.definitions.values()
        definition.unique = False
        with pytest.raises(StartupError, match="does not make its values unique"):
            await front.adapter.prepare()


async def test_a_subscription_that_was_taken_away_is_made_again_and_somebody_is_told_until_all_is_well():
    async with shopfront() as front:
        await front.adapter.prepare()
        sweep = front.adapter.sources[2]
        sight = await sweep.poll(None)
        assert sight.heard == []
        gone = next(iter(front.shop.subscriptions))
        topic = front.shop.subscriptions.pop(gone).topic
        sight = await sweep.poll(sight.cursor)
        [opened] = said(sight)
        assert isinstance(opened, ExceptionOpened) and opened.code == "X18"
        assert topic in {known.topic for known in front.shop.subscriptions.values()}
        sight = await sweep.poll(sight.cursor)
        assert said(sight) == [ExceptionClosed(key=opened.key, reason="all subscriptions are in place")]
        assert (await sweep.poll(sight.cursor)).heard == []


async def test_a_subscription_that_hides_parts_of_a_body_is_made_anew_and_others_are_left_alone():
    async with shopfront() as front:
        await front.adapter.prepare()
        known = next(iter(front.shop.subscriptions.values()))
        known.include_fields = ["id"]
        front.do("webhookSubscriptionCreate", topic="ORDERS_CREATE", wanted={"uri": "http://127.0.0.1:9/somebody-else"})
        await front.adapter.sources[2].poll(None)
        ours = [one for one in front.shop.subscriptions.values() if one.uri.startswith("http://127.0.0.1:1/")]
        assert len(ours) == len(TOPICS) and not any(one.include_fields for one in ours)
        assert len(front.shop.subscriptions) == len(TOPICS) + 1


async def test_an_older_version_that_is_served_instead_is_noticed():
    async with shopfront(api_version="2025-01") as front:
        found = {finding.what: finding for finding in await front.adapter.probe()}
        assert not found["API version"].ok and "served 2025-10" in found["API version"].detail
        assert front.metrics.api_version_mismatch.labels("shopify")._value.get() >= 1


async def test_each_missing_scope_is_named():
    async with shopfront() as front:
        probe: dict[str, Any] = {
            "shop": {"id": "x", "myshopifyDomain": "other.myshopify.com", "currencyCode": "GBP"},
            "currentAppInstallation": {"app": {"id": "x"}, "accessScopes": [{"handle": "write_orders"}, {"handle": "write_inventory"}]},
            "publicApiVersions": [],
        }
        probe["shop"]["plan"] = {"publicDisplayName": "Basic", "partnerDevelopment": True}
        front.instead["ShopProbe"] = (200, {"data": probe})
        found = {finding.what: finding for finding in await front.adapter.probe()}
        assert found["scope write_orders"].ok and found["scope read_inventory"].ok and not found["scope read_products"].ok
        assert "read_products" in found["scope read_products"].fix and not found["shop"].ok


async def test_a_wrong_token_is_one_finding():
    async with shopfront() as front:
        front.instead["ShopProbe"] = (401, {"errors": "[API] Invalid API key or access token"})
        [finding] = await front.adapter.probe()
        assert (finding.what, finding.ok) == ("access", False)
