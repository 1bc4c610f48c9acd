"""Where a provocation is played: people, buyers and mishaps on demand, and what the engine has said of it so far."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from engine.erasure import all_erased
from engine.errors import EngineError
from engine.log import Log
from engine.ports import Clock, Ids
from ops.desk import Desk
from ops.sandbox.face import Sandbox
from ops.sandbox.faults import Fault
from ops.sandbox.mirakl.offers import for_sale
from ops.sandbox.mirakl.sale import Order as MarketOrder
from ops.sandbox.people import person
from ops.sandbox.plan import Plan
from ops.sandbox.shopify.sales import Order as ShopOrder
from ops.sandbox.wire import RefusalError, Request
from ops.settings import Settings
from projections.exceptions import Trouble, exceptions

LOOK = 20.0  # seconds of the world between two looks
PATIENCE = 6 * 3600.0  # seconds of the world for whatever is waited for
MINUTE, HOUR = 60.0, 3600.0


class NotReachedError(EngineError):
    """What a provocation waits for does not come: the play went another way."""


class Provocation(Struct, frozen=True):
    """One way to bring about exceptions, and to end them; what it needs of the world and of the settings is in place from the beginning."""

    codes: tuple[str, ...]
    says: str
    play: Callable[["Stage"], Awaitable[None]]
    rules: Mapping[str, Any] = {}  # of the channel: projections.rules.OrderRules
    channel: Mapping[str, Any] = {}  # ops.settings.ChannelSection
    shop: Mapping[str, Any] = {}  # ops.settings.ShopifySection
    mirakl: Mapping[str, Any] = {}  # switches
    shopify: Mapping[str, Any] = {}  # switches
    outcomes: tuple[str, ...] = ()  # what it brings about beside, as ops.simulate.seen has it: `command A buried`

    @property
    def name(self) -> str:
        return self.play.__name__


PROVOCATIONS: dict[str, Provocation] = {}


def laid_out(plan: Plan, chosen: Iterable[Provocation]) -> Plan:
    """The plan of a world in which these can be played."""
    for one in chosen:
        plan = replace(plan, mirakl=replace(plan.mirakl, **one.mirakl), shopify=replace(plan.shopify, **one.shopify))
    return plan


def configured(settings: Settings, chosen: Iterable[Provocation]) -> Settings:
    """The settings of an engine to which these may happen."""
    channel, *others = settings.channel
    shop = settings.shopify
    for one in chosen:
        shop = replace(shop, **one.shop)
        channel = replace(channel, **one.channel, rules=replace(channel.rules, **one.rules))
    return replace(settings, shopify=shop, channel=[channel, *others])


def provokes(*codes: str, **needs: Any) -> Callable[[Callable[["Stage"], Awaitable[None]]], Callable[["Stage"], Awaitable[None]]]:
    """`needs`: as Provocation has them."""

    def kept(play: Callable[["Stage"], Awaitable[None]]) -> Callable[["Stage"], Awaitable[None]]:
        known = Provocation(codes, (play.__doc__ or "").strip(), play, **needs)
        PROVOCATIONS[known.name] = known
        return play

    return kept


@dataclass
class Stage:
    """For one provocation at a time; several stages may share a world."""

    sandbox: Sandbox
    clock: Clock
    settings: Settings
    pool: Any
    log: Log
    ids: Ids
    pick: int = 0  # which SKU is taken first: others than other stages take
    _heard: int = 0  # position
    _troubles: dict[str, Trouble] = field(default_factory=dict)

    # ------------------------------------------------------------ the world

    @property
    def shop(self) -> Any:
        return self.sandbox.world.shop

    @property
    def account(self) -> Any:
        return self.sandbox.world.account

    def act(self, system: str, do: str, **given: Any) -> Any:
        """Somebody does something in either system. RefusalError where it cannot be."""
        self.sandbox.world.advance(self.clock.now())
        return self.sandbox.apply(f"act.{system}", {"do": do, "given": given})

    def spoil(self, operation: str, action: str, count: int | None = 1, **more: Any) -> None:
        self.sandbox.faults.add(Fault(operation, action, count=count, **more))

    def mend(self, operation: str) -> None:
        """What was to go wrong with it goes well again."""
        self.sandbox.faults.mend(operation)

    def switch(self, system: str, **values: Any) -> None:
        self.sandbox.world.switch(system, self.clock.now(), **values)
        self.sandbox.wake()

    def for_sale(self, quantity: int = 1, *, but: Sequence[str] = ()) -> str | None:
        """An offer of which so many can be bought, whose SKU is one counted variant's; from `pick` on."""
        self.sandbox.world.advance(self.clock.now())
        skus = sorted(self.account.offers)
        for n in range(len(skus)):
            sku = skus[(self.pick + n) % len(skus)]
            if sku in but or for_sale(self.account, sku, self.sandbox.world.now) < quantity:
                continue
            variants = self.shop.skus.get(sku, ())
            if len(variants) == 1 and self.item(sku).tracked:
                return str(sku)
        return None

    def item(self, sku: str) -> Any:
        return self.shop.items[self.shop.variants[self.shop.skus[sku][0]].item_id]

    async def sku(self, quantity: int = 1, *, but: Sequence[str] = ()) -> str:
        return str(await self.until(lambda: self.for_sale(quantity, but=but), "something is on offer"))

    def place(self, *lines: tuple[str, int], buyer: Mapping[str, Any] | None = None, **options: Any) -> str:
        """A buyer of just that. `options`: ops.sandbox.mirakl.buying.Options."""
        who = msgspec.to_builtins(person(self.shop.seed, len(self.account.orders))) | dict(buyer or {})
        return str(self.act("mirakl", "place", lines=lines, buyer=who, options=options))

    async def bought(self, quantity: int = 1, lines: int = 1, *, buyer: Mapping[str, Any] | None = None, **options: Any) -> str:
        """An order of so many lines, each of another SKU."""
        chosen: list[str] = []
        for _ in range(lines):
            chosen.append(await self.sku(quantity, but=chosen))
        return self.place(*((sku, quantity) for sku in chosen), buyer=buyer, **options)

    def order(self, order: str) -> MarketOrder:
        self.sandbox.world.advance(self.clock.now())
        found: MarketOrder = self.account.orders[order]
        return found

    def copy(self, order: str) -> ShopOrder | None:
        """The order in Shopify, once its parcels can be packed."""
        self.sandbox.world.advance(self.clock.now())
        alive = (one for one in self.shop.orders.values() if one.source_identifier == order and one.cancelled_at is None)
        return next((one for one in alive if one.fulfillment_orders), None)

    async def copied(self, order: str) -> ShopOrder:
        found: ShopOrder = await self.until(lambda: self.copy(order), f"{order} is in Shopify")
        return found

    def pack(self, copy: ShopOrder, company: str = "Royal Mail", number: str | None = None) -> list[int]:
        """All that waits of an order leaves now; answers the parcels. An empty number: none."""
        number = f"PR{copy.id % 10**9:09d}GB" if number is None else number
        tracking = {"company": company, "number": number, "url": None} if number else None
        waiting = [self.shop.fulfillment_orders[one] for one in copy.fulfillment_orders]
        return [self.act("shopify", "staffFulfil", parcel=one.id, tracking=tracking) for one in waiting if one.remaining]

    async def shipped(self, order: str | None = None, **wanted: Any) -> tuple[str, ShopOrder, int]:
        """An order that has left and of which the marketplace was told; its copy and its (first) parcel."""
        order = order or await self.bought(**wanted)
        copy = await self.copied(order)
        self.pack(copy)
        await self.until(lambda: self.order(order).state == "SHIPPED", f"{order} is shipped")
        return order, copy, copy.fulfillments[0]

    def heard_otherwise(self, order: str, change: Callable[[dict[str, Any]], None]) -> None:
        """The next time that orders are asked for, that one is shown alone, and otherwise than it is."""
        asked = Request("GET", "/api/orders", (("order_ids", order),), {"authorization": self.sandbox.key}, b"")
        reply = self.sandbox.api.answer(self.account, asked, self.sandbox.world.now, lambda _op, _arguments: None)
        body = msgspec.json.decode(reply.body)
        change(body["orders"][0])
        headers = {"Content-Type": "application/json"}
        self.spoil("OR11", "reply", status=200, body=msgspec.json.encode(body).decode(), headers=headers)

    # ------------------------------------------------------------ time and news

    async def wait(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    async def until(self, holds: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
        """What it answers, once that is true. Raises NotReachedError."""
        deadline = self.clock.monotonic() + patience
        while not (found := holds()):
            if self.clock.monotonic() > deadline:
                raise NotReachedError(f"not within {patience / HOUR:.1f} h: {what}")
            await self.clock.sleep(LOOK)
        return found

    async def troubles(self) -> Mapping[str, Trouble]:
        """The exceptions, by their keys, as far as the log goes."""
        while page := await self.log.read(self._heard):
            for told in page:
                self._heard = told.position
                for key in exceptions.keys(told.event):
                    self._troubles[key] = exceptions.evolve(self._troubles.get(key) or exceptions.initial(key), told.event)
        return self._troubles

    async def trouble(self, code: str, about: str = "", patience: float = PATIENCE, *, was: bool = False) -> Trouble:
        """The open exception of that kind, once there is one; or one that `was`, if it may be over by now."""
        deadline = self.clock.monotonic() + patience
        while True:
            for one in (await self.troubles()).values():
                if (one.open or was) and one.code == code and (about in one.subject or about in one.summary):
                    return one
            if self.clock.monotonic() > deadline:
                raise NotReachedError(f"no {code} of {about or 'anything'} within {patience / HOUR:.1f} h")
            await self.clock.sleep(LOOK)

    async def cured(self, code: str, about: str = "", patience: float = PATIENCE) -> None:
        deadline = self.clock.monotonic() + patience
        while any(
            one.open and one.code == code and (about in one.subject or about in one.summary) for one in (await self.troubles()).values()
        ):
            if self.clock.monotonic() > deadline:
                raise NotReachedError(f"{code} of {about} does not close within {patience / HOUR:.1f} h")
            await self.clock.sleep(LOOK)

    async def erased(self, order: str, patience: float = PATIENCE) -> None:
        """Whose order it is, is forgotten."""
        deadline = self.clock.monotonic() + patience
        while not any(each.subject.endswith(f":{order}") for each in await all_erased(self.pool, self.log)):
            if self.clock.monotonic() > deadline:
                raise NotReachedError(f"the buyer of {order} is not erased within {patience / HOUR:.1f} h")
            await self.clock.sleep(LOOK)

    # ------------------------------------------------------------ a person

    @property
    def desk(self) -> Desk:
        return Desk(self.pool, self.log, self.settings, self.clock.now(), "play", ids=self.ids)

    async def retry(self, trouble: Trouble) -> None:
        await self.wait(5 * MINUTE)
        await self.desk.retry(trouble.key, "it works now")

    async def resolve(self, trouble: Trouble) -> None:
        """It is in the log for longer than in the list that people see."""
        await self.wait(5 * MINUTE)
        await self.desk.resolve(trouble.key, "settled elsewhere")

    async def release(self, order: str) -> None:
        await self.desk.release(order, "looked at")


__all__ = ["HOUR", "MINUTE", "NotReachedError", "Provocation", "PROVOCATIONS", "RefusalError", "Stage", "provokes"]
