"""How an order's lines look from Shopify, when somebody is to say whether they are taken."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from adapters.shopify import wire
from adapters.shopify.client import TARGET, Client
from adapters.shopify.inbound.stock import levels_of
from adapters.shopify.inbound.variants import offers_of
from adapters.shopify.translate import marks, stock
from engine.adapter import Heard, Maps
from schemas.commands import Lane
from schemas.envelope import Envelope
from schemas.events import Event
from schemas.events.orders import Assessed, LinesAssessed, OrderPlaced, OrderTermsChanged
from schemas.events.people import Redriven, ReminderDue
from schemas.streams import order_stream
from schemas.values import ChannelId, LineId, OrderId, OrderLine, ShopId, Sku, TenantId, money


@dataclass(frozen=True)
class StockRule:
    """Of which stock a channel may sell."""

    locations: tuple[ShopId, ...] = ()  # whose stock counts; empty: every location
    keep_back: int = 0  # units of each SKU that are for others


Waiting = Callable[[ChannelId, OrderId], Awaitable[Sequence[OrderLine] | None]]
"""The lines of an order that somebody must still decide about; None: nobody must."""
Promised = Callable[[ChannelId, OrderId, Sequence[Sku]], Awaitable[Mapping[Sku, int]]]
"""Units of each SKU that earlier orders were promised and that Shopify does not show as claimed yet."""


class LinesReader:
    """Looks at the goods of an order when it is first seen, when its terms change, and whenever it is to be decided anew.

    Without `waiting`, orders are looked at only when an event brings their lines; without `promised`, what Shopify shows is all there is.
    """

    name, target = "shopify:lines", TARGET
    types: frozenset[type[Event]] = frozenset({OrderPlaced, OrderTermsChanged, Redriven, ReminderDue})

    def __init__(
        self, client: Client, tenant: TenantId, maps: Maps, currency: Callable[[], Awaitable[str]], rules: Mapping[ChannelId, StockRule]
    ) -> None:
        self._client, self._tenant, self._maps, self._currency, self._rules = client, tenant, maps, currency, rules
        self.waiting: Waiting | None = None  # set once there is somebody to ask
        self.promised: Promised | None = None  # likewise

    async def read(self, hints: Sequence[Envelope]) -> Sequence[Heard]:
        orders: dict[tuple[ChannelId, OrderId], Sequence[OrderLine]] = {}
        for hint in hints:
            whose = _order_of(hint.event)
            lines = await self._lines(hint.event, *whose) if whose else None
            if whose and lines:
                orders[whose] = lines
        names = {(channel, line.sku): await self._name(channel, line.sku) for (channel, _), lines in orders.items() for line in lines}
        read_at = self._client.clock.now()
        offers = await offers_of(self._client, dict.fromkeys(names.values()), Lane.ACCEPT)
        currency = await self._currency() if orders else ""
        units = {offer.id: await self._units(offer) for found in offers.values() for offer in found}
        heard: list[Heard] = []
        for (channel, order_id), lines in orders.items():
            rule = self._rules.get(channel, StockRule())
            skus = list(dict.fromkeys(line.sku for line in lines))
            promised = await self.promised(channel, order_id, skus) if self.promised is not None else {}
            said: dict[LineId, Assessed] = {}
            for line in lines:
                sku = names[channel, line.sku]
                said[line.line_id] = assessed(sku, offers.get(sku, []), units, rule, currency, promised=promised.get(line.sku, 0))
            event = LinesAssessed(channel=channel, order_id=order_id, lines=said, read_at=read_at)
            stream = order_stream(channel, order_id)
            heard.append(Heard(stream, marks.fact(self._tenant, event, f"{stream}@{read_at.isoformat()}", read_at)))
        return heard

    async def _lines(self, event: Event, channel: ChannelId, order_id: OrderId) -> Sequence[OrderLine] | None:
        match event:
            case OrderPlaced(lines=lines) | OrderTermsChanged(terms=OrderPlaced(lines=lines)):
                return lines
        return await self.waiting(channel, order_id) if self.waiting is not None else None

    async def _name(self, channel: ChannelId, sku: Sku) -> Sku:
        return shop_sku(await self._maps.find(channel, "sku", sku), sku)

    async def _units(self, offer: wire.stock.Offer) -> dict[ShopId, int]:
        item = offer.inventory_item
        if not item.tracked:
            return {}
        return stock.levels(wire.stock.Stocked(item.id, item.tracked, await levels_of(self._client, item, Lane.ACCEPT)))


def shop_sku(mapped: str | None, sku: Sku) -> Sku:
    """What Shopify calls it: what somebody said, or else the same."""
    return Sku((mapped or sku).strip())


def assessed(
    sku: Sku,
    offers: Sequence[wire.stock.Offer],
    units: Mapping[str, Mapping[ShopId, int]],
    rule: StockRule,
    currency: str,
    *,
    promised: int = 0,
) -> Assessed:
    """One SKU under one rule. Of several variants none is chosen: how many there are is all that is said."""
    if len(offers) != 1:
        return Assessed(sku=sku, variants=len(offers))
    [offer] = offers
    there = units[offer.id]
    counted = [there[place] for place in there if not rule.locations or place in rule.locations]
    return Assessed(
        sku=sku,
        variants=1,
        variant=ShopId(offer.id),
        price=money(offer.price, currency),
        available=sum(counted) - rule.keep_back - promised if offer.inventory_item.tracked else None,
        oversell=offer.inventory_policy == "CONTINUE",
    )


def _order_of(event: Event) -> tuple[ChannelId, OrderId] | None:
    match event:
        case OrderPlaced() | OrderTermsChanged() | Redriven():
            return event.channel, event.order_id
        case ReminderDue(about=about) if about.startswith("order-"):
            channel, _, order_id = about.removeprefix("order-").partition(":")
            return ChannelId(channel), OrderId(order_id)
    return None
