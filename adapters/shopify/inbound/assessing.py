"""How an order's lines look from Shopify, when somebody is to say whether they are taken."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from msgspec import structs

from adapters.shopify import wire
from adapters.shopify.client import TARGET, Client, UnfitError
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

Counted = Callable[[ShopId], bool]
"""Whether a location's stock is there for a channel."""
Waiting = Callable[[ChannelId, OrderId], Awaitable[Sequence[OrderLine] | None]]
"""The lines of an order that somebody must still decide about; None: nobody must."""
SpokenFor = Callable[[ChannelId, OrderId, Sequence[Sku]], Awaitable[Mapping[Sku, int]]]
"""Units of each of Shopify's SKUs that the order may not have: promised to earlier ones, or for the shop's own customers."""
Recipes = Callable[[ChannelId, Sku], Awaitable[Mapping[Sku, int]]]
"""Units of Shopify's SKUs in one unit of an offer."""


class LinesReader:
    """Looks at the goods of an order when it is first seen, when its terms change, and whenever it is to be decided anew.

    Without `waiting`, orders are looked at only when an event brings their lines; without `spoken_for`, what Shopify shows is all there is;
    without `recipes`, nothing is a bundle.
    """

    name, target = "shopify:lines", TARGET
    hints = (OrderPlaced, OrderTermsChanged, Redriven, ReminderDue)

    def __init__(
        self, client: Client, tenant: TenantId, maps: Maps, currency: Callable[[], Awaitable[str]], counts: Mapping[ChannelId, Counted]
    ) -> None:
        self._client, self._tenant, self._maps, self._currency, self._counts = client, tenant, maps, currency, counts
        self.waiting: Waiting | None = None  # set once there is somebody to ask
        self.spoken_for: SpokenFor | None = None  # likewise
        self.recipes: Recipes | None = None  # likewise

    def follows(self, event: Event) -> bool:
        return isinstance(event, self.hints)

    async def read(self, hints: Sequence[Envelope]) -> Sequence[Heard]:
        orders: dict[tuple[ChannelId, OrderId], Sequence[OrderLine]] = {}
        for hint in hints:
            whose = _order_of(hint.event)
            lines = await self._lines(hint.event, *whose) if whose else None
            if whose and lines:
                orders[whose] = lines
        names = {(channel, line.sku): await self._name(channel, line.sku) for (channel, _), lines in orders.items() for line in lines}
        recipes = {(channel, sku): await self._recipe(channel, sku, name) for (channel, sku), name in names.items()}
        read_at = self._client.clock.now()
        wanted = dict.fromkeys([*names.values(), *(part for recipe in recipes.values() for part in recipe)])
        offers = await offers_of(self._client, wanted, Lane.ACCEPT)
        currency = await self._currency() if orders else ""
        units = {offer.id: await self._units(offer) for found in offers.values() for offer in found}
        heard: list[Heard] = []
        for (channel, order_id), lines in orders.items():
            parts = list(dict.fromkeys(part for line in lines for part in recipes[channel, line.sku]))
            others = await self.spoken_for(channel, order_id, parts) if self.spoken_for is not None else {}
            shelf = Shelf(offers, units, self._counts.get(channel, _anywhere), others)
            said: dict[LineId, Assessed] = {}
            taken: dict[Sku, Counter[Sku]] = {part: Counter() for part in parts}  # part -> as what earlier lines of it bought it -> units
            for line in lines:
                sku, recipe = names[channel, line.sku], recipes[channel, line.sku]
                before = {part: taken[part].total() - taken[part][sku] for part in recipe}
                said[line.line_id] = assessed(sku, recipe, replace(shelf, before=before), currency)
                for part, each in recipe.items():
                    taken[part][sku] += each * line.quantity
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

    async def _recipe(self, channel: ChannelId, sku: Sku, name: Sku) -> Mapping[Sku, int]:
        """A bundle's or a multipack's; of anything else, one of what it is called."""
        recipe = await self.recipes(channel, sku) if self.recipes is not None else {}
        return recipe if sum(recipe.values()) > 1 else {name: 1}

    async def _units(self, offer: wire.stock.Offer) -> dict[ShopId, int]:
        item = offer.inventory_item
        if not item.tracked:
            return {}
        return stock.levels(wire.stock.Stocked(item.id, item.tracked, await levels_of(self._client, item, Lane.ACCEPT)))


def shop_sku(mapped: str | None, sku: Sku) -> Sku:
    """What Shopify calls it: what somebody said, or else the same."""
    return Sku((mapped or sku).strip())


@dataclass(frozen=True)
class Shelf:
    """What Shopify shows, as far as an order may have it."""

    offers: Mapping[Sku, Sequence[wire.stock.Offer]]  # what is for sale under each SKU
    units: Mapping[str, Mapping[ShopId, int]]  # variant -> location -> available
    counts: Counted
    others: Mapping[Sku, int]  # see SpokenFor
    before: Mapping[Sku, int] = field(default_factory=dict)  # units that earlier lines of the order take under other SKUs

    def left(self, part: Sku) -> int | None:
        """Units; None: as many as anybody wants. Of what nothing has, or several things, nobody can say that there is any."""
        if len(self.offers.get(part, ())) != 1:
            return 0
        [offer] = self.offers[part]
        if not offer.inventory_item.tracked or _is_sold_beyond_zero(offer):
            return None
        return self.there(offer, part)

    def there(self, offer: wire.stock.Offer, part: Sku) -> int:
        counted = sum(units for place, units in self.units[offer.id].items() if self.counts(place))
        return counted - self.others.get(part, 0) - self.before.get(part, 0)


def assessed(sku: Sku, recipe: Mapping[Sku, int], shelf: Shelf, currency: str) -> Assessed:
    """One SKU for one channel: of a bundle as many as the scarcest of its parts allows, whatever is counted under its own name.

    Of several variants none is chosen: how many there are is all that is said.
    """
    offers = shelf.offers.get(sku, ())
    if len(offers) != 1:
        return Assessed(sku=sku, variants=len(offers))
    [offer] = offers
    try:
        price = money(offer.price, currency)
    except ValueError:
        raise UnfitError("a price cannot be read", target=TARGET, field="price") from None
    told = Assessed(sku=sku, variants=1, variant=ShopId(offer.id), price=price)
    if recipe == {sku: 1}:
        available = shelf.there(offer, sku) if offer.inventory_item.tracked else None
        return structs.replace(told, available=available, oversell=_is_sold_beyond_zero(offer))
    left = {part: shelf.left(part) for part in recipe}
    return structs.replace(told, available=min((units // recipe[part] for part, units in left.items() if units is not None), default=None))


def _is_sold_beyond_zero(offer: wire.stock.Offer) -> bool:
    return offer.inventory_policy == "CONTINUE"


def _anywhere(_location: ShopId) -> bool:
    return True


def _order_of(event: Event) -> tuple[ChannelId, OrderId] | None:
    match event:
        case OrderPlaced() | OrderTermsChanged() | Redriven():
            return event.channel, event.order_id
        case ReminderDue(about=about) if about.startswith("order-"):
            channel, _, order_id = about.removeprefix("order-").partition(":")
            return ChannelId(channel), OrderId(order_id)
    return None
