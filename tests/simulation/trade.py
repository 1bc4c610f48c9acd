"""A shop and two marketplaces of a few lines, as the world has them: what is there, who bought, what is shown. Nobody tells the engine."""

import csv
import io
from dataclasses import dataclass, field
from datetime import timedelta

from projections.stock_rules import Rules
from schemas.values import ChannelId, Instant, ShopId, Sku
from tests.examples import NOON

MUG, BOX, SET, TWIN, GHOST = (Sku(name) for name in ("MUG", "BOX", "SET", "TWIN", "GHOST"))
NEAR, FAR = (ShopId(f"gid://shopify/Location/{number}") for number in (1, 2))
ASOS, OTHER = ChannelId("asos"), ChannelId("other")

RULES = {
    ASOS: Rules(buffer=2, stale_shop="decay", stale_orders="hold"),
    OTHER: Rules(buffer=1, locations=(NEAR,), stale_shop="hold", stale_orders="zero"),
}
RECIPES: dict[ChannelId, dict[Sku, str]] = {ASOS: {SET: "2 x MUG + 1 x BOX"}, OTHER: {TWIN: "2 x BOX"}}
MADE_OF: dict[ChannelId, dict[Sku, dict[Sku, int]]] = {
    ASOS: {MUG: {MUG: 1}, BOX: {BOX: 1}, SET: {MUG: 2, BOX: 1}},
    OTHER: {MUG: {MUG: 1}, BOX: {BOX: 1}, TWIN: {BOX: 2}},
}
ITEMS = {MUG: {NEAR: 6, FAR: 3}, BOX: {NEAR: 4, FAR: 0}, GHOST: {NEAR: 5, FAR: 0}}  # GHOST is on offer nowhere


@dataclass
class Order:
    channel: ChannelId
    order_id: str
    sku: Sku  # of the offer
    quantity: int
    placed_at: Instant
    needs: dict[Sku, int]  # Shopify's units
    state: str = "SHIPPING"
    claimed: bool = False  # its units are out of Shopify's available ones

    @property
    def key(self) -> str:
        return f"{self.channel}:{self.order_id}"

    @property
    def owes(self) -> bool:
        """Whether its units will yet be taken from the shelf."""
        return not self.claimed and self.state == "SHIPPING"


@dataclass
class Import:
    import_id: str
    command: str  # whose file it is: the same one may be sent twice
    as_of: int
    lines: list[dict[str, str]]
    refused: dict[Sku, str] = field(default_factory=dict)
    status: str = "QUEUED"  # COMPLETE, FAILED
    given_up: bool = False  # by the engine


@dataclass
class Offer:
    quantity: int = 0
    price: str = "19.99"
    import_id: str = ""  # that set it last; "": none has, or somebody else did since
    as_of: int = 0


@dataclass
class Drain:
    """Units that went from a shelf, or were promised."""

    at: Instant
    sku: Sku
    units: int
    order: str = ""
    offer: tuple[ChannelId, Sku, str] | None = None  # that was bought, and which import had set it


@dataclass
class Trade:
    now: Instant = NOON
    levels: dict[Sku, dict[ShopId, int]] = field(default_factory=lambda: {sku: dict(levels) for sku, levels in ITEMS.items()})
    history: dict[Sku, list[tuple[Instant, dict[ShopId, int]]]] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    offers: dict[ChannelId, dict[Sku, Offer]] = field(default_factory=lambda: {c: {sku: Offer() for sku in MADE_OF[c]} for c in MADE_OF})
    imports: dict[ChannelId, list[Import]] = field(default_factory=lambda: {channel: [] for channel in MADE_OF})
    drains: list[Drain] = field(default_factory=list)
    sales: list[tuple[Order, Offer]] = field(default_factory=list)  # each with the offer as it stood when it was bought

    def __post_init__(self) -> None:
        self._remember()

    def tick(self, seconds: float = 1.0) -> None:
        self.now += timedelta(seconds=seconds)

    def _remember(self) -> None:
        for sku, levels in self.levels.items():
            moves = self.history.setdefault(sku, [])
            if not moves or moves[-1][1] != levels:
                moves.append((self.now, dict(levels)))

    # ------------------------------------------------------------ the shop

    def available(self, sku: Sku) -> int:
        return sum(self.levels[sku].values())

    def move(self, sku: Sku, place: ShopId, units: int) -> None:
        """A sale to the shop's own customers, a delivery, a miscount, a return."""
        self.tick()
        self.levels[sku][place] += units
        if units < 0:
            self.drains.append(Drain(self.now, sku, -units))
        self._remember()

    def transfer(self, sku: Sku, units: int) -> None:
        self.tick()
        self.levels[sku][NEAR] -= units
        self.levels[sku][FAR] += units
        self.drains.append(Drain(self.now, sku, abs(units)))  # a channel may count one of the two places only
        self._remember()

    def claim(self, order: Order) -> None:
        """It stands in Shopify from now on."""
        self.tick()
        order.claimed = True
        self._take(order, 1)

    def _take(self, order: Order, sign: int) -> None:
        for sku, units in order.needs.items():
            place = NEAR if sign < 0 or self.levels[sku][NEAR] >= units or self.levels[sku][FAR] < units else FAR
            self.levels[sku][place] -= sign * units
        self._remember()

    def ship(self, order: Order) -> None:
        self.tick()
        order.state = "SHIPPED"

    def cancel(self, order: Order) -> None:
        self.tick()
        order.state = "CANCELED"
        if order.claimed:
            self._take(order, -1)

    # ------------------------------------------------------------ the marketplaces

    def buy(self, channel: ChannelId, sku: Sku, quantity: int) -> Order | None:
        offer = self.offers[channel][sku]
        if offer.quantity < quantity:
            return None
        self.tick()
        needs = {part: each * quantity for part, each in MADE_OF[channel][sku].items()}
        order = Order(channel, f"{len(self.orders) + 1:04}-A", sku, quantity, self.now, needs)
        self.orders[order.key] = order
        self.sales.append((order, Offer(offer.quantity, offer.price, offer.import_id, offer.as_of)))
        offer.quantity -= quantity
        self.drains += [Drain(self.now, part, units, order.key, (channel, sku, offer.import_id)) for part, units in needs.items()]
        return order

    def take(self, channel: ChannelId, file: bytes, command: str, as_of: int) -> str:
        """STO01."""
        self.tick()
        lines = list(csv.DictReader(io.StringIO(file.decode()), delimiter=";"))
        queue = self.imports[channel]
        queue.append(Import(f"{channel}-{len(queue) + 1}", command, as_of, lines))
        return queue[-1].import_id

    def apply(self, channel: ChannelId, *, fails: bool = False, latest: bool = False) -> Import | None:
        """The next of the files that wait; a line of what is not on offer is refused. `latest`: the marketplace mixes them up."""
        waiting = [each for each in self.imports[channel] if each.status == "QUEUED"]
        if not waiting:
            return None
        self.tick()
        taken = waiting[-1 if latest else 0]
        taken.status = "FAILED" if fails else "COMPLETE"
        for line in [] if fails else taken.lines:
            offer = self.offers[channel].get(Sku(line["offer-sku"]))
            if offer is None:
                taken.refused[Sku(line["offer-sku"])] = "no such offer"
                continue
            offer.quantity, offer.import_id, offer.as_of = int(line["quantity"]), taken.import_id, taken.as_of
            offer.price = line.get("price", offer.price)  # whatever else a file says, it does
        return taken

    def edit(self, channel: ChannelId, sku: Sku, quantity: int) -> None:
        """Somebody in the back office."""
        self.tick()
        offer = self.offers[channel][sku]
        offer.quantity, offer.import_id = quantity, ""
