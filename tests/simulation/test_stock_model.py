"""Sales, deliveries, returns, transfers, polls, files and crashes in any order: what must hold of stock holds; and is seen to break.

CROSSDOCK_THOROUGH=20 tries twenty times as many.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from schemas.values import Sku
from tests.simulation.engine import PACE, Engine
from tests.simulation.invariants import BrokenError, Watch
from tests.simulation.planted import PLANTED
from tests.simulation.trade import ASOS, BOX, MUG, NEAR, OTHER, SET, TWIN, Trade
from tests.thorough import THOROUGH

CHANNELS = st.sampled_from([ASOS, OTHER])
ITEM = st.sampled_from([MUG, BOX])
OFFERS = st.sampled_from([(ASOS, MUG), (ASOS, BOX), (ASOS, SET), (OTHER, MUG), (OTHER, BOX), (OTHER, TWIN)])
WHO = st.sampled_from(["sweep", "hints", ASOS, OTHER, f"offers {ASOS}", f"offers {OTHER}"])
PICK = st.integers(0, 5)
UNITS = st.integers(1, 4)
WHILE = st.sampled_from([4, 25, 50, 90])  # minutes: some of which are too many without the orders, the shop, or either
LONG = st.sampled_from([50, 90])  # too many without any of them
UNREAD = st.sampled_from(["the shop", "the orders", "neither"])
MOVED = st.integers(-4, 4)

MUST_BE_MET = {
    "a rise",
    "an oversell beyond the buffer",
    "a file that failed",
    "a file that was refused",
    "a file that was given up",
    "a file sent twice",
    *("hold", "decay", "zero", "blackout"),
}


class StockModel(RuleBasedStateMachine):
    only: frozenset[str] = frozenset()
    judged: dict[str, int] = {}
    met: set[str] = set()

    def __init__(self) -> None:
        super().__init__()
        self.watch = Watch(self.only)
        self.trade = Trade()
        self.engine = Engine(self.trade, self.watch.published)

    @initialize()
    def begin(self) -> None:
        self.round()

    # ------------------------------------------------------------ the world

    @rule(sku=ITEM, units=st.integers(-4, 6))
    def move(self, sku: Sku, units: int) -> None:
        """A delivery, a return, a sale of the shop's own, a miscount."""
        self.trade.move(sku, NEAR, units)

    @rule(sku=ITEM, units=st.integers(-2, 2))
    def transfer(self, sku: Sku, units: int) -> None:
        self.trade.transfer(sku, units)

    @rule(offer=OFFERS, units=UNITS)
    def buy(self, offer: Any, units: int) -> None:
        if (order := self.trade.buy(offer[0], offer[1], units)) is not None:
            self.watch.bought(order, self.engine)

    @rule(offer=OFFERS, units=st.integers(0, 2))
    def sell_out(self, offer: Any, units: int) -> None:
        """All that is shown, and some in the shop."""
        for sku in (MUG, BOX):
            self.trade.move(sku, NEAR, -units)
        if shown := self.trade.offers[offer[0]][offer[1]].quantity:
            self.buy(offer, shown)

    @rule(pick=PICK, told=st.booleans())
    def create(self, pick: int, told: bool) -> None:
        """An order stands in Shopify; if the answer is lost, we hear of it later."""
        waiting = [order for order in self.trade.orders.values() if order.owes and order.key in self._heard()]
        if waiting:
            order = waiting[pick % len(waiting)]
            self.trade.claim(order)
            if told:
                self.engine.readers.hear_created(order)

    @rule(pick=PICK)
    def dispatch(self, pick: int) -> None:
        """A quick warehouse: the parcel has left before anything is counted anew."""
        self.create(pick, told=True)
        self.ship(pick)
        self.turn(ASOS, "complete")

    @rule()
    def look_again(self) -> None:
        for order in self.trade.orders.values():
            if order.claimed:
                self.engine.readers.hear_created(order)

    @rule(pick=PICK)
    def ship(self, pick: int) -> None:
        """The engine tells the marketplace of a parcel that it has read in Shopify: it knows that the order stands there."""
        ready = [order for order in self.trade.orders.values() if self.engine.readers.knows(order) and order.state == "SHIPPING"]
        if ready:
            self.trade.ship(ready[pick % len(ready)])

    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        living = [order for order in self.trade.orders.values() if order.state == "SHIPPING"]
        if living:
            self.trade.cancel(living[pick % len(living)])

    @rule(offer=OFFERS, units=st.integers(0, 9))
    def edit(self, offer: Any, units: int) -> None:
        self.trade.edit(offer[0], offer[1], units)

    # ------------------------------------------------------------ reading

    @rule(sku=ITEM)
    def count(self, sku: Sku) -> None:
        self.engine.readers.count(sku)

    @rule()
    def sweep(self) -> None:
        self.engine.readers.sweep()

    @rule()
    def end_sweep(self) -> None:
        self.engine.readers.end_sweep()

    @rule(channel=CHANNELS)
    def poll(self, channel: Any) -> None:
        self.engine.poll(channel)

    @rule(channel=CHANNELS)
    def read_offers(self, channel: Any) -> None:
        self.engine.readers.read_offers(channel)

    @rule(who=WHO)
    def arrive(self, who: str) -> None:
        self.engine.arrive(who)

    @rule(sku=ITEM, units=st.integers(-4, 4))
    def overtake(self, sku: Sku, units: int) -> None:
        """What was read first arrives last, and is acted on."""
        self.engine.readers.count(sku)
        self.trade.move(sku, NEAR, units)
        self.engine.readers.sweep()
        self.engine.arrive("sweep")
        self.engine.arrive("hints")
        self.turn(ASOS, "complete")

    @rule(offer=OFFERS, units=UNITS, when=st.sampled_from(["before", "meanwhile", "after"]))
    def rise(self, offer: Any, units: int, when: str) -> None:
        """Somebody buys before the orders are polled, and what is found is in no row yet; or meanwhile; or after, while a sweep lasts."""
        channel, _ = offer
        self.deliver()
        self.engine.fold_all()
        self.trade.tick(PACE)
        if when == "before":
            self.buy(offer, units)
            self.deliver()
            self.engine.fold_all()
        self.publish(channel)
        if when == "after":
            self.engine.readers.sweep()
        self.poll(channel)
        if when == "meanwhile":
            self.buy(offer, units)
            self.deliver()
        self.engine.arrive(channel)
        if when == "after":
            self.buy(offer, units)
            self.deliver()
        if when != "before":
            self.engine.fold_all()
        self.publish(channel)

    def deliver(self) -> None:
        for sku in (MUG, BOX):
            self.trade.move(sku, NEAR, 3)
        self.engine.readers.sweep()
        self.engine.arrive("sweep")

    # ------------------------------------------------------------ thinking and telling

    @rule(events=st.integers(1, 3))
    def fold_stock(self, events: int) -> None:
        self.engine.fold(self.engine.stock, events)

    @rule(events=st.integers(1, 3))
    def fold_files(self, events: int) -> None:
        self.engine.fold(self.engine.files, events)

    @rule()
    def fold_all(self) -> None:
        self.engine.fold_all()

    @rule(channel=CHANNELS)
    def publish(self, channel: Any) -> None:
        self.engine.publish(channel)

    @rule(channel=CHANNELS, lost=st.booleans())
    def send(self, channel: Any, lost: bool) -> None:
        before = len(self.trade.imports[channel])
        self.engine.dispatcher.send(channel, lost=lost)
        if len(self.trade.imports[channel]) > before:
            self.watch.sent(channel, self.trade)

    @rule(channel=CHANNELS)
    def refuse(self, channel: Any) -> None:
        if self.engine.dispatcher.refuse(channel):
            self.watch.met.add("a file that was refused")

    @rule(channel=CHANNELS, fails=st.sampled_from([False, False, False, True]))
    def apply(self, channel: Any, fails: bool) -> None:
        """Files are worked on in the order in which they were taken; but for one that was given up, which may come at any time."""
        waiting = [each for each in self.trade.imports[channel] if each.status == "QUEUED"]
        before = {sku: offer.as_of for sku, offer in self.trade.offers[channel].items()}
        latest = bool(waiting) and all(each.given_up for each in waiting[:-1])
        if (taken := self.trade.apply(channel, fails=fails, latest=latest)) is not None and not fails:
            self.watch.applying(taken, before)

    @rule(channel=CHANNELS, give_up=st.sampled_from([False, False, True]))
    def settle(self, channel: Any, give_up: bool) -> None:
        self.engine.dispatcher.settle(channel, give_up=give_up)

    @rule(minutes=WHILE)
    def wait(self, minutes: int) -> None:
        """Nothing is read meanwhile."""
        self.trade.tick(minutes * 60)

    @rule(channel=CHANNELS, minutes=WHILE)
    def black_out(self, channel: Any, minutes: int) -> None:
        self.engine.black_out(channel, minutes)

    @rule(channel=CHANNELS, unread=UNREAD, minutes=LONG, sku=ITEM, units=MOVED)
    def go_on_degraded(self, channel: Any, unread: str, minutes: int, sku: Sku, units: int) -> None:
        """Something is not read, or nothing is to be on offer; something changes meanwhile."""
        if unread == "neither":
            self.engine.black_out(channel, minutes + 1)
        self.trade.tick(minutes * 60)
        if unread != "the shop":
            self.engine.readers.sweep()
            self.engine.arrive("sweep")
        if unread != "the orders":
            self.poll(channel)
            self.engine.arrive(channel)
        self.trade.move(sku, NEAR, units)
        self.engine.readers.count(sku)
        self.engine.arrive("hints")
        self.engine.fold_all()
        self.publish(channel)
        self.tell(channel, "complete")

    @rule()
    def crash(self) -> None:
        self.engine.crash()

    @rule(channel=CHANNELS, fate=st.sampled_from(["complete", "complete", "failed", "given up", "refused", "lost", "late"]))
    def turn(self, channel: Any, fate: str) -> None:
        """Everything once that is one channel's, in the order in which it comes as a rule; and what may become of its file."""
        self.engine.fold_all()
        self.publish(channel)
        self.poll(channel)
        self.engine.arrive(channel)
        self.engine.fold_all()
        self.publish(channel)
        self.tell(channel, fate)

    def tell(self, channel: Any, fate: str) -> None:
        """What has changed, as soon as the channel takes another file."""
        self.trade.tick(PACE)
        self.engine.fold_all()
        self.publish(channel)
        if fate == "refused":
            self.refuse(channel)
        if fate == "lost":
            self.send(channel, lost=True)
            self.engine.crash()
        self.send(channel, lost=False)
        self.engine.fold_all()
        if fate == "late":
            return
        if fate != "given up":
            self.apply(channel, fails=fate == "failed")
        self.settle(channel, give_up=fate == "given up")
        self.engine.fold_all()

    @rule()
    def round(self) -> None:
        """A sweep, and then a turn for each."""
        self.engine.readers.sweep()
        self.engine.arrive("sweep")
        self.turn(ASOS, "complete")
        self.turn(OTHER, "complete")

    @invariant()
    def always(self) -> None:
        self.watch.always(self.trade)

    def teardown(self) -> None:
        """Nothing happens any more, and everything is heard: then both sides agree."""
        try:
            self._settled()
            self.watch.quiet(self.engine)
            self.deliver()  # and nobody reads back what is shown of it
            self.turn(ASOS, "refused")
            for _ in range(3):
                self.round()
            self.watch.quiet(self.engine)
        finally:
            type(self).met.update(self.watch.met)
            for name, times in self.watch.seen.items():
                type(self).judged[name] = type(self).judged.get(name, 0) + times
            self.engine.close()

    def _settled(self) -> None:
        self.trade.tick(2 * 3600)  # every blackout is over
        for _ in range(5):
            for channel in (ASOS, OTHER):
                while any(each.status == "QUEUED" for each in self.trade.imports[channel]):
                    self.apply(channel, fails=False)
            self.look_again()
            for who in ("sweep", "hints", ASOS, OTHER, f"offers {ASOS}", f"offers {OTHER}"):
                self.engine.arrive(who)
            self.engine.readers.count()
            self.engine.arrive("hints")
            for channel in (ASOS, OTHER):
                self.settle(channel, give_up=False)
                self.engine.fold_all()
                self.engine.readers.read_offers(channel)
                self.engine.arrive(f"offers {channel}")
            self.round()

    def _heard(self) -> set[str]:
        return {key.removeprefix("order-") for key in {envelope.stream for envelope in self.engine.book.envelopes}}


def check(machine: type[StockModel], examples: int, *phases: Phase) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=50,
            database=None,
            derandomize=THOROUGH == 1,
            phases=phases or (Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        ),
    )


def test_whatever_happens_the_seven_invariants_hold() -> None:
    check(StockModel, 200 * THOROUGH)
    assert set(StockModel.judged) == {f"I{number}" for number in range(1, 8)}
    assert StockModel.met == MUST_BE_MET


# ---------------------------------------------------------------- each is seen to break


@pytest.mark.parametrize(("invariant", "plant"), PLANTED, ids=[plant.__name__ for _, plant in PLANTED])
def test_a_bug_that_breaks_an_invariant_is_caught(invariant: str, plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: Any) -> None:
    plant(monkeypatch)
    planted = type("Planted", (StockModel,), {"only": frozenset({invariant}), "judged": {}, "met": set()})
    with pytest.raises(BrokenError, match=f"^{invariant}: "):
        check(planted, 2_000, Phase.generate)
