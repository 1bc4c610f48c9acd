"""What must hold between the calls that reached a marketplace and the log that asked for them. Reliability: C1, C3, E10, L4."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import get_args
from uuid import UUID

from adapters.mirakl.outbound import MONEY_LAG, SHIPMENTS_LAG
from adapters.shopify.outbound import creation, returns
from engine.dispatcher import STOPPED
from engine.perform import GIVE_UP
from ops.sandbox.referee.case import Row, moment
from ops.simulate.invariants.evidence import Breach, Check, Evidence
from schemas.commands import AnyCommand, LookFirst
from schemas.envelope import Envelope
from schemas.events import tag_of
from schemas.events.commands import CommandConfirmed, CommandIssued, CommandUnknown
from schemas.streams import offers_stream, order_stream
from schemas.values import ChannelId, OrderId

# What a change to one of the systems is asked for by. A change that is not here may be nobody's.
ASKED_BY: Mapping[str, tuple[str, ...]] = {
    "mirakl.OR21": ("accept_order",),
    "mirakl.OR04": ("set_seller_reference",),
    "mirakl.OR23": ("ship_order", "correct_tracking"),
    "mirakl.OR24": ("ship_order",),
    "mirakl.ST01": ("ship_parcel",),
    "mirakl.ST24": ("ship_parcel",),
    "mirakl.ST23": ("correct_tracking", "ship_parcel"),
    "mirakl.OR28": ("refund_lines",),
    "mirakl.OR29": ("cancel_order",),
    "mirakl.OR30": ("cancel_units",),
    "mirakl.RT21": ("answer_return",),
    "mirakl.RT25": ("answer_return",),
    "mirakl.RT26": ("answer_return",),
    "mirakl.STO01": ("publish_stock",),
    "shopify.orderCreate": ("create_shop_order",),
    "shopify.orderCancel": ("cancel_shop_order", "create_shop_order"),  # the second: of one that was made twice
    "shopify.metafieldsSet": ("create_shop_order",),
    "shopify.tagsAdd": ("signal_on_order",),
    "shopify.fulfillmentOrderHold": ("hold_shop_order", "create_shop_order"),
    "shopify.fulfillmentOrderReleaseHold": ("release_shop_order",),
    "shopify.refundCreate": ("record_shop_refund",),
    "shopify.returnCreate": ("record_shop_return",),
}
# What is put in place before the first order, and how much is read at once.
SETTING_UP = frozenset(
    f"{system}.{name}"
    for system, names in {
        "shopify": (
            "metafieldDefinitionCreate webhookSubscriptionCreate webhookSubscriptionUpdate webhookSubscriptionDelete "
            "bulkOperationRunQuery bulkOperationCancel"
        ),
        "mirakl": "OF52 OR13",
    }.items()
    for name in names.split()
)
# By which a command that was answered, and not found done, has taken effect.
DOES: Mapping[str, tuple[str, ...]] = {
    "accept_order": ("mirakl.OR21",),
    "create_shop_order": ("shopify.orderCreate",),
    "ship_order": ("mirakl.OR24",),
    "ship_parcel": ("mirakl.ST01", "mirakl.ST24"),
    "refund_lines": ("mirakl.OR28",),
    "cancel_units": ("mirakl.OR30",),
}
# Seconds for which what a lost call did may not show yet: until then a command of class D is not asked again.
QUIET: Mapping[str, float] = {
    "create_shop_order": creation.QUIET,
    "record_shop_return": returns.QUIET,
    "ship_parcel": SHIPMENTS_LAG,
    "cancel_units": MONEY_LAG,
    "refund_lines": MONEY_LAG,
}


@dataclass(frozen=True)
class Effect:
    """One change that a call made."""

    op: str
    at: datetime
    call: Row
    stream: str  # of the order, or of the channel's offers; "" where it cannot be told


@dataclass
class Story:
    """One command as the log tells it."""

    issued: Envelope
    tag: str
    unknown: list[Envelope] = field(default_factory=list)
    confirmed: Envelope | None = None
    found: bool = False


class Calls:
    """The changes that calls made, beside the commands of the log."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.channel = ChannelId(evidence.channels[0].id)

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Every id of an order's parts -> the order's stream."""
        found: dict[str, str] = {}
        case = self.evidence.case
        for order in case.orders:
            stream = order_stream(self.channel, OrderId(order["order_id"]))
            parts = [order["order_id"], *(line["order_line_id"] for line in order["lines"])]
            parts += [one["id"] for one in (*order["shipments"], *order["returns"])]
            found |= dict.fromkeys(map(str, parts), stream)
        for name, copies in case.copies.items():
            for copy in copies:
                gids = [copy["id"], *(one["id"] for one in (*copy["fulfillments"], *copy["fulfillment_orders"]))]
                gids += [text.rpartition("/")[2] for text in gids]
                found |= dict.fromkeys(gids, order_stream(self.channel, OrderId(name)))
        return found

    @cached_property
    def effects(self) -> list[Effect]:
        return [
            Effect(change["op"], moment(call["at"]), call, self._stream(change))
            for call in self.evidence.truth["calls"]
            for change in call["changes"]
            if change["refused"] is None
        ]

    def _stream(self, change: Row) -> str:
        if change["op"] == "mirakl.STO01":
            return offers_stream(self.channel)
        return next((self.names[name] for name in change["about"] if name in self.names), "")

    @cached_property
    def stories(self) -> Mapping[UUID, Story]:
        found: dict[UUID, Story] = {}
        for told in self.evidence.log:
            match told.event:
                case CommandIssued(command_id=key, command=command):
                    found[key] = Story(told, tag_of(command))
                case CommandUnknown(command_id=key) if key in found and told.event.detail != STOPPED:
                    found[key].unknown.append(told)  # of others nobody noted when their calls left
                case CommandConfirmed(command_id=key, found=seen) if key in found:
                    found[key].confirmed, found[key].found = told, seen
        return found

    @cached_property
    def by_place(self) -> Mapping[tuple[str, str], list[Story]]:
        """Stream and tag -> commands, in the order of their issuing."""
        found: dict[tuple[str, str], list[Story]] = {}
        for story in self.stories.values():
            found.setdefault((story.issued.stream, story.tag), []).append(story)
        return found

    def asked_for(self, story: Story) -> list[Effect]:
        """What this command may have done, or another of its kind in the same stream."""
        return [effect for effect in self.effects if effect.stream == story.issued.stream and story.tag in ASKED_BY.get(effect.op, ())]

    def done_by_others(self, story: Story) -> list[Effect]:
        """By which other commands of its kind in the same stream were confirmed, other parcels, say: each by the last one till then."""
        found: list[Effect] = []
        for other in self.by_place[story.issued.stream, story.tag]:
            if other is not story and other.confirmed is not None and not other.found:
                until = other.confirmed.recorded_at + timedelta(seconds=self.evidence.skew)
                found += [effect for effect in self.asked_for(story) if effect.at <= until][-1:]
        return found

    def asking(self, effect: Effect) -> list[Story]:
        """The commands that may have asked for it."""
        return [story for tag in ASKED_BY[effect.op] for story in self.by_place.get((effect.stream, tag), ())]


@lru_cache(maxsize=1)
def calls_of(evidence: Evidence) -> Calls:
    """Worked out once for all checks of a look."""
    return Calls(evidence)


class Asked(Check):
    """E10: each call that changed something belongs to an intent of the log."""

    invariant = "E10"

    def look(self, evidence: Evidence) -> Iterator[Breach]:
        calls = calls_of(evidence)
        for effect in calls.effects:
            if effect.op in SETTING_UP:
                continue
            self.judged += 1
            if effect.op not in ASKED_BY:
                yield self.breach(effect.op, f"call {effect.call['number']} did what no command asks for")
            elif not effect.stream:
                yield self.breach(effect.op, f"call {effect.call['number']} is about no order that both sides know")
            elif not calls.asking(effect):
                yield self.breach(effect.stream, f"call {effect.call['number']} did {effect.op}, and nobody had decided on it")


class Before(Check):
    """C1: the intent is committed before the call leaves, and the outcome after it took effect."""

    invariant = "C1"

    def look(self, evidence: Evidence) -> Iterator[Breach]:
        calls = calls_of(evidence)
        done: dict[tuple[str, str], list[datetime]] = {}
        for effect in calls.effects:
            done.setdefault((effect.stream, effect.op), []).append(effect.at)
            if effect.op in ASKED_BY and (asking := calls.asking(effect)):
                self.judged += 1
                if min(story.issued.recorded_at for story in asking) > effect.at + evidence.leeway:
                    says = f"call {effect.call['number']} did {effect.op} at {effect.call['at']}, before its intent was in the log"
                    yield self.breach(effect.stream, says)
        for story in calls.stories.values():
            if story.tag in DOES and story.confirmed is not None and not story.found:
                self.judged += 1
                told = story.confirmed
                moments = [at for op in DOES[story.tag] for at in done.get((told.stream, op), ())]
                if not any(at <= told.recorded_at + evidence.leeway for at in moments):
                    yield self.breach(told.stream, f"a {story.tag} is confirmed at position {told.position}, and nothing was done by then")


class Retries(Check):
    """C3: what must not be done twice is not asked again while it is not known, until what a lost call did would show."""

    invariant = "C3"

    def look(self, evidence: Evidence) -> Iterator[Breach]:
        calls = calls_of(evidence)
        for story in calls.stories.values():
            if story.tag not in QUIET:
                continue
            self.judged += 1
            if not story.unknown:
                continue
            ended = story.confirmed.recorded_at if story.confirmed is not None else evidence.now
            mine = [effect for effect in calls.asked_for(story) if effect.at <= ended + evidence.leeway]
            theirs = calls.done_by_others(story)
            since = story.issued.recorded_at
            for lost in story.unknown:
                quiet_until = lost.occurred_at + timedelta(seconds=QUIET[story.tag]) - evidence.leeway
                after = lost.occurred_at + timedelta(seconds=evidence.skew)
                early = [effect for effect in mine if after < effect.at < quiet_until and effect not in theirs]
                shown = any(since < effect.at <= after for effect in mine)
                if early and not shown and early[0].at <= after + evidence.leeway:
                    del early[0]  # the lost one itself: it was on its way still when its connection broke
                since = lost.occurred_at
                for effect in early:
                    waited = (effect.at - lost.occurred_at).total_seconds()
                    yield self.breach(effect.stream, f"a {story.tag} is asked again {waited:.0f} s after its answer was lost")


class Bounded(Check):
    """L4: tries are bounded: none is made as often as can be, and calls are not many more than there is something to do."""

    invariant = "L4"
    SLACK, MORE = 20, 1.2  # calls of one kind that are nobody's business; and of all that did something, as many times
    AN_HOUR = 60  # tries of one command, beyond those after which it is given up: probes in an outage, and waits that are no attempts
    ASKS = frozenset({"settle_stock_import"})  # that ask how far something is

    def look(self, evidence: Evidence) -> Iterator[Breach]:
        for row in evidence.outbox:
            if row["tag"] not in self.ASKS and row["target"] != "clock":
                self.judged += 1
                hours = (evidence.now - row["issued_at"]).total_seconds() / 3600
                if row["attempt"] > 2 * GIVE_UP + self.AN_HOUR * hours:
                    yield self.breach(row["subject"], f"a {row['tag']} was tried {row['attempt']} times in {hours:.1f} h")

    def quiet(self, evidence: Evidence) -> Iterator[Breach]:
        effects: dict[str, int] = {}
        for call in evidence.truth["calls"]:
            for name in sorted({change["op"] for change in call["changes"]}):
                effects[name] = effects.get(name, 0) + 1
        faults = sum(evidence.truth["faults"].values())
        for name, calls in evidence.truth["calls_counted"].items():
            op = name.replace(" ", ".", 1)
            if op in ASKED_BY:
                self.judged += 1
                most = self.MORE * effects.get(op, 0) + faults + self.SLACK
                if calls > most:
                    yield self.breach(op, f"called {calls} times to do {effects.get(op, 0)} things, with {faults} faults in all")


def unmeasured() -> set[str]:
    """Commands of class D of which nobody has said for how long they do not show."""
    return {tag_of(kind) for kind in get_args(AnyCommand) if issubclass(kind, LookFirst)} - QUIET.keys()


CHECKS: tuple[type[Check], ...] = (Asked, Before, Retries, Bounded)
