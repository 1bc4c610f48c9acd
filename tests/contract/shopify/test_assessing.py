"""How an order's lines look from Shopify: what acceptance rests on."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from msgspec.structs import replace

from adapters.shopify.inbound.assessing import LinesReader
from schemas.events import Event
from schemas.events.orders import Assessed, LinesAssessed, OrderPlaced, OrderTermsChanged
from schemas.events.people import Redriven, ReminderDue
from schemas.values import ChannelId, LineId, OrderId, OrderLine, ShopId, Sku
from tests.contract.shopify.shopfront import Shopfront, gbp, locate, order_line, shopfront, stock
from tests.contract.shopify.test_reading import said
from tests.examples import envelope
from tests.loopback import NOW

pytestmark = pytest.mark.anyio

ASOS, ORDER = ChannelId("asos"), OrderId("00012345-A")
LINE, SECOND = LineId("00012345-A-1"), LineId("00012345-A-2")


def placed(*lines: OrderLine, order_id: str = ORDER) -> OrderPlaced:
    return OrderPlaced(
        channel=ASOS,
        order_id=OrderId(order_id),
        commercial_id="1",
        placed_at=NOW,
        currency="GBP",
        taxes_included=True,
        lines=lines or (order_line(),),
        total=gbp(0),
    )


async def assessed(front: Shopfront, *events: Event) -> list[LinesAssessed]:
    return said(await front.adapter.lines.read([envelope(event) for event in events]))


class Said:
    """Maps that somebody has made."""

    def __init__(self, **maps: str) -> None:
        self.maps = maps

    async def find(self, channel: ChannelId, kind: str, name: str) -> str | None:
        return self.maps.get(f"{kind}_{name.replace('-', '_')}") if channel == ASOS else None


async def test_a_line_is_told_with_its_variant_price_and_what_there_is_at_the_chosen_places():
    async with shopfront() as front:
        leeds, york = locate(front.shop, "Leeds"), locate(front.shop, "York")
        item = stock(front.shop, "TEE-RED-M", 5)
        front.do("stock", sku="TEE-RED-M", quantity=2, location=york.id)
        variant = ShopId(f"gid://shopify/ProductVariant/{item.variant_id}")
        whole = Assessed(sku=Sku("TEE-RED-M"), variants=1, variant=variant, price=gbp(2400), available=7)
        assert await assessed(front, placed()) == [
            LinesAssessed(channel=ASOS, order_id=ORDER, lines={LINE: whole}, read_at=front.clock.time)
        ]
    async with shopfront(locations={ASOS: lambda place: place == f"gid://shopify/Location/{york.id}"}) as front:

        async def spoken_for(channel: ChannelId, order_id: OrderId, skus: Sequence[Sku]) -> dict[Sku, int]:
            return {sku: 3 for sku in skus if (channel, order_id) == (ASOS, ORDER)}

        front.adapter.lines.spoken_for = spoken_for
        assert locate(front.shop, "Leeds").id == leeds.id and locate(front.shop, "York").id == york.id
        stock(front.shop, "TEE-RED-M", 5)
        front.do("stock", sku="TEE-RED-M", quantity=2, location=york.id)
        [told] = await assessed(front, placed())
        assert told.lines[LINE].available == -1, "two are there, three are others'"


async def test_what_is_unknown_ambiguous_untracked_or_sold_beyond_zero_is_told_as_it_is():
    async with shopfront() as front:
        stock(front.shop, "TWIN", 1), stock(front.shop, "TWIN", 2)
        stock(front.shop, "OLD", 1, status="ARCHIVED")
        stock(front.shop, "GHOST", 0, tracked=False)
        more = stock(front.shop, "MORE", 0)
        front.do("staffPolicy", variant=more.variant_id, policy="CONTINUE")
        stock(front.shop, "tee-red-m", 9)
        skus = ("TWIN", "OLD", "GHOST", "MORE", "TEE-RED-M", " MORE ")
        [told] = await assessed(front, placed(*(order_line(number, sku) for number, sku in enumerate(skus, 1))))
        twin, old, ghost, oversold, unknown, padded = told.lines.values()
        assert (twin.variants, twin.variant, old.variants, unknown.variants) == (2, None, 0, 0)
        assert (ghost.available, ghost.oversell) == (None, False)
        assert (oversold.available, oversold.oversell) == (0, True) and padded == oversold


async def test_a_mapped_sku_is_looked_for_under_its_other_name():
    async with shopfront(maps=Said(sku_TEE_RED_M="T-1")) as front:
        stock(front.shop, "T-1", 4)
        [told] = await assessed(front, placed())
        assert (told.lines[LINE].sku, told.lines[LINE].available) == ("T-1", 4)


async def test_of_a_bundle_there_is_what_the_scarcest_of_its_parts_allows_whatever_its_own_shelf_says():
    made = {"SET": {"MUG": 2, "BOX": 1}, "PACK": {"MUG": 6}, "ODD": {"MUG": 1, "GONE": 1}, "MORE": {"MUG": 1, "FREE": 9}}

    async def recipes(channel: ChannelId, sku: Sku) -> dict[Sku, int]:
        return {Sku(part): each for part, each in made[sku].items()} if sku in made and channel == ASOS else {sku: 1}

    async def told_of(*lines: tuple[str, int]) -> list[int | None]:
        [told] = await assessed(front, placed(*(replace(order_line(n, sku), quantity=units) for n, (sku, units) in enumerate(lines, 1))))
        assert all(line.variant for line in told.lines.values())
        return [line.available for line in told.lines.values()]

    async with shopfront() as front:
        front.adapter.lines.recipes = recipes
        for sku, units in {"MUG": 13, "BOX": 5, "SET": 0, "PACK": 99, "ODD": 9, "MORE": 0}.items():
            stock(front.shop, sku, units)
        stock(front.shop, "FREE", 0, tracked=False)
        assert await told_of(("SET", 1)) == [5] and await told_of(("PACK", 1)) == [2]
        assert await told_of(("ODD", 1)) == [0], "nothing is called GONE"
        assert await told_of(("MORE", 1)) == [13], "what nobody counts is no limit"
        assert await told_of(("SET", 2), ("MUG", 1), ("PACK", 1), ("SET", 1)) == [5, 9, 1, 3], "lines before take some, under other names"


async def test_many_lines_and_orders_are_few_questions():
    async with shopfront() as front:
        for number in range(1, 251):
            stock(front.shop, f"SKU-{number}", number)
        lines = [order_line(number, f"SKU-{number}") for number in range(1, 251)]
        heard = await assessed(front, placed(*lines), placed(order_line(), order_id="2"), placed(*lines[:3], order_id="3"))
        assert [len(told.lines) for told in heard] == [250, 1, 3]
        assert [one.available for one in heard[0].lines.values()] == list(range(1, 251))
        assert front.asked.count("Offered") == 11 and front.asked.count("ItemLevels") == 0


async def test_an_item_on_many_shelves_is_counted_on_all_of_them():
    async with shopfront() as front:
        for number in range(20):
            locate(front.shop, f"Store {number}")
        stock(front.shop, "TEE-RED-M", 1)
        [told] = await assessed(front, placed())
        assert told.lines[LINE].available == 20


async def test_whoever_waits_is_looked_at_again_and_nobody_else():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 5)
        redriven = Redriven(channel=ASOS, order_id=ORDER, key="X01", because="mapped")
        due = ReminderDue(about=f"order-asos:{ORDER}", at=NOW)
        changed = OrderTermsChanged(channel=ASOS, order_id=ORDER, terms=placed(order_line(2)))
        assert await assessed(front, redriven, due) == [], "nobody knows their lines"
        [told] = await assessed(front, changed)
        assert set(told.lines) == {SECOND}

        async def waiting(channel: ChannelId, order_id: OrderId) -> tuple[OrderLine, ...] | None:
            return (order_line(2),) if (channel, order_id) == (ASOS, ORDER) else None

        front.adapter.lines.waiting = waiting
        other = ReminderDue(about="order-asos:2", at=NOW), ReminderDue(about="stock-A", at=NOW)
        [told] = await assessed(front, placed(), redriven, due, *other)
        assert set(told.lines) == {SECOND} and told.order_id == ORDER, "several reasons, one look"
        [told] = await assessed(front, placed(order_id="2"))
        assert (told.order_id, set(told.lines)) == ("2", {LINE}), "a new order brings its lines: whoever keeps the book may not know it yet"


async def test_each_look_is_a_fact_of_its_own():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 5)
        reader: LinesReader = front.adapter.lines
        [first] = await reader.read([envelope(placed())])
        front.clock.time += timedelta(seconds=1)
        [second] = await reader.read([envelope(placed())])
        assert first.stream == second.stream == f"order-asos:{ORDER}" and first.same is None
        assert first.fact.event_id != second.fact.event_id


def test_every_event_that_calls_for_a_look_is_followed():
    assert set(LinesReader.hints) == {OrderPlaced, OrderTermsChanged, Redriven, ReminderDue}
