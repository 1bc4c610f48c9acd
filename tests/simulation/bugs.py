"""Bugs to be planted in the product, each with the invariant that it breaks and what has to happen in a play for that to show."""

import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid5

import anyio
import pytest
from msgspec.structs import replace

import adapters.mirakl
from adapters.mirakl.outbound import accept
from adapters.mirakl.translate import orders as market_orders
from adapters.mirakl.translate import story
from adapters.shopify.outbound import creation
from engine import dispatcher, erasure, outbox
from engine import log as logs
from engine import poller as polling
from engine.adapter import Performer
from engine.limits import Limits
from engine.perform import Performing, Standing
from engine.vault import Vault
from ops import publisher
from ops.sandbox.mirakl import offers as market_offers
from ops.sandbox.mirakl import refunds
from ops.sandbox.plan import Warehouse
from ops.simulate.invariants.evidence import Outage
from ops.simulate.provocations import Stage
from ops.simulate.provocations.aftercare import lines_of
from ops.simulate.provocations.stage import MINUTE
from ops.simulate.provocations.systems import people_ask
from ops.web import webhooks
from projections import aftercare, aftercare_steps, order_troubles, orders, publications
from projections import desired as arithmetic
from projections import order_steps as steps_of_orders
from projections.desired import Mode
from projections.publications import Difference, Publication
from schemas.commands import ShipOrder
from schemas.envelope import NAMESPACE
from schemas.events import Event
from schemas.events.aftercare import ShopRefundSeen
from schemas.events.orders import OrderStateChanged
from schemas.values import ChannelId, ShopId

# Modules in which something is replaced that they have from elsewhere.
market: Any = adapters.mirakl
shop_creation: Any = creation
order_steps: Any = steps_of_orders
publishing: Any = publisher
poller: Any = polling
bank: Any = refunds

Patch = pytest.MonkeyPatch
Scene = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True)
class Bug:
    invariant: str
    plant: Callable[[Patch], None]
    scene: Scene | None = None  # what people and mishaps add to a day's trade
    plan: Mapping[str, Any] = field(default_factory=dict)
    mirakl: Mapping[str, Any] = field(default_factory=dict)  # switches
    shopify: Mapping[str, Any] = field(default_factory=dict)
    stock: Mapping[str, Any] = field(default_factory=dict)  # projections.stock_rules.Rules
    minutes: float = 60.0  # of the world: then it is judged, whatever has come to an end
    engines: int = 1
    outages: Callable[[datetime], list[Outage]] | None = None  # what cannot be read meanwhile
    postgres: bool = False  # what it breaks is not there in memory
    sql: str = ""  # asked of the database before any engine runs
    tamper: str = ""  # and in the middle of the play

    named: str = ""

    @property
    def name(self) -> str:
        return self.named or self.plant.__name__


BUGS: list[Bug] = []


def breaks(invariant: str, **needs: Any) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    def kept(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
        BUGS.append(Bug(invariant, plant, **needs))
        return plant

    return kept


BY_HAND = {"warehouse": Warehouse(pick_seconds=1e7)}  # nothing leaves but what a scene packs


# ---------------------------------------------------------------- scenes


async def lost_creation(stage: Stage) -> None:
    stage.spoil("orderCreate", "reset_after")
    await stage.bought()


async def lost_refund(stage: Stage) -> None:
    _, copy, _ = await stage.shipped(quantity=2)
    stage.spoil("OR28", "reset_after")
    stage.act("shopify", "staffRefund", order=copy.id, lines=[(copy.lines[0].id, 1)])


async def refund_before_effect(stage: Stage) -> None:
    _, copy, _ = await stage.shipped(quantity=2)
    stage.spoil("OR28", "reset_before")
    stage.act("shopify", "staffRefund", order=copy.id, lines=[(copy.lines[0].id, 1)])


async def refund(stage: Stage) -> None:
    order, copy, _ = await stage.shipped()
    stage.act("shopify", "staffRefund", order=copy.id, lines=lines_of(stage, order)[:1])


async def market_refund(stage: Stage) -> None:
    order, _, _ = await stage.shipped()
    stage.act("mirakl", "operator_refund", order_line_id=stage.order(order).lines[0].id, share=0.25, shipping=False)


async def cancel_there(stage: Stage) -> None:
    order = await stage.bought(workflow="PAY_ON_SHIPMENT")
    await stage.copied(order)
    stage.act("mirakl", "operator_cancel", order_id=order)


async def buy(stage: Stage) -> None:
    await stage.bought()


async def parcel_in_parts(stage: Stage) -> None:
    order = await stage.bought(3)
    copy = await stage.copied(order)
    [parcel] = [stage.shop.fulfillment_orders[one] for one in copy.fulfillment_orders]
    tracking = {"company": "Royal Mail", "number": "PART1GB", "url": None}
    stage.act("shopify", "staffFulfil", parcel=parcel.id, lines=[[parcel.lines[0].id, 1]], tracking=tracking)


async def new_label(stage: Stage) -> None:
    _, _, parcel = await stage.shipped()
    await stage.wait(2 * MINUTE)
    stage.act("shopify", "staffTrack", fulfillment=parcel, tracking={"company": "Royal Mail", "number": "OTHER1GB"})


async def taken_back(stage: Stage) -> None:
    _, _, parcel = await stage.shipped()
    stage.act("shopify", "staffUnfulfil", fulfillment=parcel)


async def stale_state(stage: Stage) -> None:
    order = await stage.bought()
    await stage.copied(order)
    stage.heard_otherwise(order, lambda shown: shown.update(order_state="WAITING_ACCEPTANCE"))


async def recounts(stage: Stage) -> None:
    sku = await stage.sku()
    for n in range(6):
        stage.act("shopify", "stock", sku=sku, quantity=30 + 3 * n)
        await stage.wait(4 * MINUTE)


async def sold_out(stage: Stage) -> None:
    sku = await stage.sku()
    await stage.wait(5 * MINUTE)
    stage.act("shopify", "stock", sku=sku, quantity=0)
    await stage.wait(25 * MINUTE)
    if stage.account.offers[sku].quantity:
        stage.place((sku, 1))


async def shop_unread(stage: Stage) -> None:
    """The orders cannot be polled, and stock comes in."""
    sku = await stage.sku()
    await stage.wait(10 * MINUTE)
    stage.spoil("OR11", "http_503", count=40)
    await stage.wait(20 * MINUTE)
    stage.act("shopify", "stock", sku=sku, quantity=90)


async def two_at_once(stage: Stage) -> None:
    order, copy, parcel = await stage.shipped()
    stage.spoil("OR28", "http_503", count=6)
    stage.act("shopify", "staffRefund", order=copy.id, lines=lines_of(stage, order)[:1])
    await stage.wait(2 * MINUTE)
    stage.act("shopify", "staffTrack", fulfillment=parcel, tracking={"company": "Royal Mail", "number": "OTHER1GB"})


async def ship_fails(stage: Stage) -> None:
    stage.spoil("OR24", "http_503", count=400)
    order = await stage.bought()
    stage.pack(await stage.copied(order))


async def hold_fails(stage: Stage) -> None:
    order = await stage.bought()
    await stage.copied(order)
    stage.spoil("fulfillmentOrderHold", "http_503", count=3000)
    await stage.desk.hold(order, "a call")


# ---------------------------------------------------------------- orders


@breaks("O1", scene=lost_creation, shopify={"duplicate_metafield": "create_without", "lookup_lag": 1200.0, "index_lag": 1200.0})
def forget_to_wait(patch: Patch) -> None:
    """After a creation whose answer was lost, another one is made at once."""
    patch.setattr(Performing, "_look", _nothing)


@breaks("O2", scene=buy)
def round_the_prices(patch: Patch) -> None:
    """Pennies are dropped on the way into Shopify."""
    bag = shop_creation.creation._bag
    patch.setattr(shop_creation.creation, "_bag", lambda money: bag(replace(money, minor=money.minor // 100 * 100 + 1)))


@breaks("O3", scene=buy)
def misspell_the_order(patch: Patch) -> None:
    """What a Shopify order belongs to is written down wrongly."""
    real = shop_creation.creation.creation

    def misspelt(command: Any, *arguments: Any, **more: Any) -> Any:
        return real(replace(command, order_id=f"{command.order_id}-1"), *arguments, **more)

    patch.setattr(shop_creation.creation, "creation", misspelt)
    patch.setattr(shop_creation, "_give_id", _nothing)


@breaks("O4", scene=stale_state)
def believe_the_last_word(patch: Patch) -> None:
    """A state that comes late is believed."""
    _fold(patch, orders, OrderStateChanged, lambda _: lambda order, event: replace(order, state=event.state))


@breaks("O5", scene=buy, mirakl={"acceptance_hours": 0.3})
def never_decide(patch: Patch) -> None:
    """Nobody accepts anything."""
    patch.setattr(order_steps, "decision", lambda *_: None)


@breaks("O5", scene=buy)
def answer_for_some(patch: Patch) -> None:
    """Of an order's lines, the last is not answered for."""
    accepted = order_steps.AcceptOrder
    patch.setattr(order_steps, "AcceptOrder", lambda **fields: accepted(**fields | {"accepted": fields["accepted"][:-1]}))


@breaks("O6", scene=cancel_there, plan=BY_HAND)
def overlook_a_cancelation(patch: Patch) -> None:
    """What the marketplace gives up is packed all the same."""
    patch.setattr(orders.Order, "dead", False)


@breaks("F1", scene=buy)
def ship_at_once(patch: Patch) -> None:
    """What stands in Shopify is told as shipped."""
    real = order_steps._dispatch

    def dispatch(order: Any, channel: Any) -> Any:
        if order.state == "SHIPPING" and not order.shipped:
            names = {"channel": order.channel, "order_id": order.order_id}
            yield ShipOrder(**names, fulfilments=(ShopId("gid://shopify/Fulfillment/0"),), carrier="Royal Mail", tracking_number="X1GB")
        else:
            yield from real(order, channel)

    patch.setattr(order_steps, "_dispatch", dispatch)


@breaks("F2", scene=parcel_in_parts)
def take_a_part_for_the_whole(patch: Patch) -> None:
    """One parcel of several, and all of it is told as shipped."""
    patch.setattr(orders.Order, "left_the_house", property(lambda order: bool(order.packed)))


@breaks("F3", scene=new_label)
def keep_the_first_label(patch: Patch) -> None:
    """A new tracking number is not told."""
    patch.setattr(order_steps, "_correction", lambda *_: iter(()))


@breaks("F4", scene=taken_back, plan=BY_HAND)
def keep_quiet_about_a_parcel(patch: Patch) -> None:
    """Nobody hears that a parcel was taken back."""
    _unsaid(patch, "X44")


def _unsaid(patch: Patch, code: str) -> None:
    told = order_troubles.troubles
    patch.setattr(order_troubles, "troubles", lambda *of: {key: trouble for key, trouble in told(*of).items() if trouble.code != code})


# ---------------------------------------------------------------- refunds


@breaks("R1", scene=lost_refund, minutes=90)
def refund_again(patch: Patch) -> None:
    """A refund whose answer was lost is made once more."""
    patch.setattr(Performing, "_look", _nothing)


@breaks("R2", scene=refund)
def pay_out_twice_as_much(patch: Patch) -> None:
    """The marketplace pays more than there is left. It is its own slip: what is asked for beyond that, it refuses."""
    real = bank.read_part

    def doubled(*arguments: Any, **more: Any) -> Any:
        part = real(*arguments, **more)
        return replace(part, amount=part.amount * 2)

    patch.setattr(bank, "read_part", doubled)


@breaks("R3", scene=market_refund)
def tell_it_back(patch: Patch) -> None:
    """Our own record of a marketplace refund is taken for a refund of the shop's."""
    patch.setattr(aftercare_steps, "matches", lambda _: {})
    patch.setattr(aftercare_steps, "overlaps", lambda _: {})
    _fold(patch, aftercare, ShopRefundSeen, lambda fold: lambda row, event: fold(row, replace(event, mirrors="")))


def _fold(patch: Patch, module: Any, event: type[Event], change: Callable[[Any], Any]) -> None:
    patch.setitem(module._FOLDS, event, change(module._FOLDS[event]))


@breaks("R4", scene=refund)
def keep_the_money(patch: Patch) -> None:
    """A Shopify refund is not told."""
    patch.setattr(aftercare_steps, "_push", lambda *_: iter(()))


# ---------------------------------------------------------------- stock


@breaks("I1", plan={"marketplace_orders": 12, "buyer_gap": 90.0}, scene=recounts)
def forget_what_is_sold(patch: Patch) -> None:
    """Units of orders that Shopify does not show yet are sold again."""
    patch.setattr(arithmetic, "_owed", lambda *_: 0)


@breaks("I2", scene=recounts)
def keep_nothing_back(patch: Patch) -> None:
    """There is no buffer."""
    patch.setattr(arithmetic, "_kept", lambda *_: 0)


@breaks("I3", scene=recounts, mirakl={})
def send_without_waiting(patch: Patch) -> None:
    """The next file is made while one is under way."""
    patch.setattr(publishing, "_publication", SimpleNamespace(decode=lambda _: Publication(channel=ChannelId("asos"))))


@breaks("I4", scene=recounts)
def never_raise(patch: Patch) -> None:
    """What rises is not told."""
    _without_news(patch, publications.RISES, publications.FROM_ZERO)


def _without_news(patch: Patch, *turns: int) -> None:
    real = publishing.difference

    def some(*arguments: Any, **more: Any) -> Difference:
        found = real(*arguments, **more)
        return Difference(tuple(line for line in found.news if line.turn not in turns), found.waiting, found.careful)

    patch.setattr(publishing, "difference", some)


@breaks("I5", scene=recounts)
def cheapen_what_is_counted(patch: Patch) -> None:
    """A file of quantities changes prices. It is the marketplace's slip: a connector has no call here that could."""
    real = market_offers.set_quantity

    def cheaper(account: Any, offer: Any, *arguments: Any, **more: Any) -> None:
        offer.price -= 1
        real(account, offer, *arguments, **more)

    patch.setattr(market_offers, "set_quantity", cheaper)


@breaks("I6", scene=shop_unread, stock={"stale_orders_minutes": 5.0}, minutes=75)
def rise_without_news(patch: Patch) -> None:
    """In a mode in which nothing may rise, it does."""
    patch.setattr(Mode, "rises", True)
    patch.setattr(publications, "rests_on_less_than_polled", lambda *_: True)


@breaks("I7", scene=sold_out)
def never_fall(patch: Patch) -> None:
    """What falls is not told."""
    _without_news(patch, publications.TO_ZERO, publications.FALLS)


# ---------------------------------------------------------------- the log


@breaks("E1", scene=buy)
def lose_an_event(patch: Patch) -> None:
    """Whoever reads the log is not shown all of it."""
    real = logs.Log.read

    async def some(self: Any, after: int, limit: int = 4000) -> Any:
        return [told for told in await real(self, after, limit) if told.position != 7]

    patch.setattr(logs.Log, "read", some)


def altered(function: str, was: str, now: str) -> str:
    """The database's own function, with something in it replaced."""
    whole = f"pg_get_functiondef('crossdock.{function}'::regproc)"
    return f"DO $do$ BEGIN EXECUTE replace({whole}, $was${was}$was$, $now${now}$now$); END $do$"


def _nothing_in_the_code(_patch: Patch) -> None:
    """What is planted is in the database."""


def in_the_database(invariant: str, name: str, **needs: Any) -> None:
    """A bug that is none of ours in Python."""
    BUGS.append(Bug(invariant, _nothing_in_the_code, named=name, postgres=True, **needs))


in_the_database(
    "E2", "leave_the_actor_out_of_the_hash", scene=buy, sql=altered("content", "convert_to(p_actor, 'UTF8')", "convert_to('', 'UTF8')")
)
in_the_database("E3", "leave_a_version_out", scene=buy, sql=altered("append_one", "s.version + 1 as version", "s.version + 2 as version"))
in_the_database(
    "E9",
    "cut_the_tail",
    scene=buy,
    tamper="""
        WITH gone AS (DELETE FROM crossdock.events WHERE position > 30 RETURNING position)
        UPDATE crossdock.heads SET position = 30, hash = (SELECT hash FROM crossdock.events WHERE position = 30)
        RETURNING position
    """,
)


@breaks("E4", scene=buy)
def draw_the_ids(patch: Patch) -> None:
    """The id of a fact is another one each time that it is heard, and nobody looks whether it was heard before."""
    count = itertools.count()

    async def all_of_it(_: Any, heard: Any) -> Any:
        return heard

    patch.setattr(poller, "news", all_of_it)
    patch.setattr(story, "event_id", lambda *_: uuid5(NAMESPACE, f"drawn {next(count)}"))


@breaks("E5", scene=buy, plan={"marketplace_orders": 6, "buyer_gap": 60.0})
def move_the_cursor_first(patch: Patch) -> None:
    """The cursor passes what is not in the log."""
    real = poller.append_heard

    async def some(conn: Any, log: Any, heard: Any, fence: Any, now: Any) -> int:
        return int(await real(conn, log, [each for each in heard if "1002" not in each.stream], fence, now))

    patch.setattr(poller, "append_heard", some)


@breaks("E5", scene=recounts)
def thank_and_forget(patch: Patch) -> None:
    """A webhook is answered with 200 before it is in the log, and then it is not."""

    async def said(self: Any, append: Any) -> str:
        return "appended"

    patch.setattr(webhooks._Receiver, "_appended", said)


@breaks("E6", scene=buy)
def fold_by_chance(patch: Patch) -> None:
    """A fold depends on more than its events."""
    count, fold = itertools.count(), publications._ended
    patch.setattr(publications, "_ended", lambda row, failed: replace(fold(row, failed), seconds=next(count)))


@breaks("E10", scene=buy)
def forget_the_cause(patch: Patch) -> None:
    """Nobody can tell why something was decided."""
    real = outbox._issuance

    def issued(*arguments: Any) -> Any:
        append = real(*arguments)
        return replace(append, facts=tuple(replace(fact, causation_id=None) for fact in append.facts))

    patch.setattr(outbox, "_issuance", issued)


# ---------------------------------------------------------------- commands


@breaks("C1", scene=buy, mirakl={"acceptance_hours": 48.0})
def say_it_is_done(patch: Patch) -> None:
    """An acceptance is confirmed that nobody has sent."""

    async def nothing(_client: Any, tasks: Any) -> Any:
        return [accept._accepted(task.command) for task in tasks]

    real = next(performer for kind, performer in market.PERFORMS.items() if kind.__name__ == "AcceptOrder")
    kind = next(kind for kind in market.PERFORMS if kind.__name__ == "AcceptOrder")
    patch.setattr(market, "PERFORMS", dict(market.PERFORMS) | {kind: Performer(nothing, real.endpoint, look=real.look)})


@breaks("C2", scene=buy)
def forget_the_outcome(patch: Patch) -> None:
    """A command that was answered leaves no trace."""
    real = dispatcher.Dispatcher._heard

    def heard(self: Any, outcome: Any, now: Any) -> Any:
        return real(self, replace(outcome, events=()), now)

    patch.setattr(dispatcher.Dispatcher, "_heard", heard)


@breaks("C3", scene=refund_before_effect)
def ask_again_blindly(patch: Patch) -> None:
    """After a lost answer nobody waits until it would show."""
    patch.setattr(Performing, "_look", _nothing)


async def _nothing(*_: Any) -> None:
    return None


@breaks("C4", scene=buy)
def ask_as_often_as_we_like(patch: Patch) -> None:
    """There is no limiter."""

    async def at_once(self: Any, endpoint: Any) -> None:
        await anyio.lowlevel.checkpoint()

    patch.setattr(Limits, "admit", at_once)


@breaks("C7", scene=two_at_once, postgres=True)
def overtake(patch: Patch) -> None:
    """Commands of one subject are taken in any order."""
    patch.setattr(outbox, "CLAIM", outbox.CLAIM.replace("every.command_id = mine.command_id", "true"))


# ---------------------------------------------------------------- liveness, privacy, access


@breaks("L1", scene=ship_fails)
def put_it_off(patch: Patch) -> None:
    """What failed once is tried again next week."""
    patch.setattr(Standing, "retry_at", lambda self, _: self._clock.now() + timedelta(days=7))


def _give_up_after(patch: Patch, failures: int) -> None:
    for of in (Performing._retried, Performing._unknown):
        patch.setitem(of.__kwdefaults__ or {}, "limit", failures)


@breaks("L2", scene=hold_fails, plan=BY_HAND)
def suffer_in_silence(patch: Patch) -> None:
    """What is given up is nobody's business."""
    _give_up_after(patch, 2)
    _unsaid(patch, "X84")


@breaks("L4", scene=hold_fails, plan=BY_HAND)
def hammer(patch: Patch) -> None:
    """What failed is tried again at once, and for ever."""
    _give_up_after(patch, 10_000)
    patch.setattr(Standing, "retry_at", lambda self, _: self._clock.now() + timedelta(seconds=2))
    patch.setattr(Standing, "unanswered", lambda *_: True)


@breaks("L5", scene=buy)
def fall_asleep(patch: Patch) -> None:
    """A poller stops without a word."""
    real, slept = poller.Poller._poll, set[str]()

    async def once(self: Any, fence: Any) -> float:
        if self.source.name in slept and self.source.name.endswith(":orders"):
            await anyio.Event().wait()
        slept.add(self.source.name)
        return float(await real(self, fence))

    patch.setattr(poller.Poller, "_poll", once)


@breaks("P1", scene=buy)
def name_the_buyer(patch: Patch) -> None:
    """An event says who bought."""
    real = market_orders._placed

    def placed(order: Any, story: Any) -> Any:
        who = order.customer.lastname if order.customer is not None else ""
        return replace(real(order, story), shipping_label=str(who))

    patch.setattr(market_orders, "_placed", placed)


@breaks("P2", scene=people_ask, minutes=150)
def forget_nobody(patch: Patch) -> None:
    """Who is erased is told of, and the key stays."""
    patch.setattr(Vault, "erase", _none_erased)


async def _none_erased(*_: Any) -> set[str]:
    return set()


@breaks("P4", scene=people_ask, minutes=150)
def forget_everybody(patch: Patch) -> None:
    """With one key, every other goes."""
    real = Vault.erase

    async def erase(vault: Vault, conn: Any, subjects: Any, now: Any) -> set[str]:
        everybody = [row["subject"] for row in await conn.fetch(erasure.LIVING, vault._tenant, 1_000_000)]
        return await real(vault, conn, [*subjects, *everybody], now)

    patch.setattr(Vault, "erase", erase)


@breaks("X1", scene=buy, plan={"faults": {"webhook_forged": 0.9}})
def trust_everybody(patch: Patch) -> None:
    """No signature is looked at."""
    patch.setattr(webhooks._Receiver, "_check_signature", lambda *_: None)
