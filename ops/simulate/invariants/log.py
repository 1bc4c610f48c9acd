"""What must hold of the log, whatever is in it; judged with every event. Reliability: E1-E4, E9, E10, C2, C5, C7."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from engine.chain import GENESIS, link
from engine.outbox import issued_event
from ops.settings import Settings
from ops.simulate.invariants.evidence import Breach, Check, Evidence
from schemas.commands import Lane
from schemas.envelope import Envelope, command_id
from schemas.events import Event, tag_of
from schemas.events.aftercare import (
    MarketOrderCanceled,
    RefundPushed,
    RefundSeen,
    ReturnAnswered,
    ShopRefundRecorded,
    ShopRefundSeen,
    ShopReturnRecorded,
    UnitsCanceled,
    UnitsGivenUp,
)
from schemas.events.commands import CommandBuried, CommandConfirmed, CommandIssued, CommandRefused, CommandUnknown
from schemas.events.exceptions import ExceptionAssigned, ExceptionResolved, ExceptionRetried
from schemas.events.orders import (
    OrderAccepted,
    OrderDebited,
    OrderPlaced,
    OrderShipped,
    SellerReferenceSet,
    ShipmentMade,
    ShopOrderCancelled,
    ShopOrderCreated,
    ShopOrderHeld,
    ShopOrderReleased,
    ShopOrderTagged,
    TrackingCorrected,
)
from schemas.events.people import MappingSet, OrderHeld, OrderRefusalAsked, OrderReleased

Outcome = CommandConfirmed | CommandRefused | CommandUnknown | CommandBuried
OUTCOMES = (CommandConfirmed, CommandRefused, CommandUnknown, CommandBuried)
ENDS = (CommandConfirmed, CommandRefused)
# What only a command of ours brings about.
EFFECTS = (
    OrderAccepted,
    ShopOrderCreated,
    SellerReferenceSet,
    OrderShipped,
    ShipmentMade,
    TrackingCorrected,
    ShopOrderHeld,
    ShopOrderReleased,
    ShopOrderCancelled,
    ShopOrderTagged,
    MarketOrderCanceled,
    UnitsGivenUp,
    RefundPushed,
    ReturnAnswered,
    ShopRefundRecorded,
    ShopReturnRecorded,
)
BY_PEOPLE = (OrderHeld, OrderReleased, OrderRefusalAsked, ExceptionAssigned, ExceptionRetried, ExceptionResolved)


class Positions(Check):
    """E1: the positions of a tenant's log are 1, 2, 3 and so on, in the order in which it is read."""

    invariant, last = "E1", 0

    def see(self, told: Envelope) -> Iterator[Breach]:
        self.judged += 1
        if told.position != self.last + 1:
            yield self.breach(told.stream, f"position {told.position} follows {self.last}")
        self.last = told.position


class Hashes(Check):
    """E2: each event's hash is that of its predecessor's and of all that the event says."""

    invariant, last = "E2", GENESIS

    def see(self, told: Envelope) -> Iterator[Breach]:
        self.judged += 1
        if link(told).hash_after(self.last) != told.hash:
            yield self.breach(told.stream, f"the hash at position {told.position} is not that of what stands there")
        self.last = told.hash


class Versions(Check):
    """E3: the versions of a stream are 1, 2, 3 and so on."""

    invariant = "E3"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.streams: dict[str, int] = {}

    def see(self, told: Envelope) -> Iterator[Breach]:
        self.judged += 1
        last = self.streams.get(told.stream, 0)
        if told.version != last + 1:
            yield self.breach(told.stream, f"version {told.version} follows {last}")
        self.streams[told.stream] = told.version


class Identities(Check):
    """E4: the same fact has the same id, and is in the log once; what we issue bears the id that its cause gives it."""

    invariant = "E4"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.ids: dict[UUID, int] = {}
        self.facts: dict[Any, int] = {}

    def see(self, told: Envelope) -> Iterator[Breach]:
        self.judged += 1
        if (first := self.ids.setdefault(told.event_id, told.position)) != told.position:
            yield self.breach(told.stream, f"the id of position {told.position} is that of position {first} too")
        fact = identity(told.event)
        if fact is not None and (first := self.facts.setdefault(fact, told.position)) != told.position:
            yield self.breach(told.stream, f"the {tag_of(told.event)} at position {told.position} was told at position {first} already")
        if isinstance(told.event, CommandIssued) and told.causation_id is not None:
            command = told.event.command
            derived = command_id(told.tenant, tag_of(command), command.subject, told.causation_id, command.part)
            if (told.event.command_id, told.event_id) != (derived, issued_event(told.tenant, derived)):
                yield self.breach(
                    told.stream, f"the {tag_of(command)} at position {told.position} bears another id than its cause gives it"
                )


def identity(event: Event) -> Any:
    """What makes a fact the same fact, by what it says; None where a repeat cannot be told from news."""
    match event:
        case OrderPlaced(channel=channel, order_id=order_id):
            return "placed", channel, order_id
        case OrderDebited(channel=channel, order_id=order_id, at=at):
            return "debited", channel, order_id, at
        case ShopOrderCreated(channel=channel, order_id=order_id, shop_order=shop_order):
            return "created", channel, order_id, shop_order
        case UnitsCanceled(channel=channel, order_id=order_id, line_id=line_id, cancelation=cancelation):
            return "canceled", channel, order_id, line_id, cancelation
        case RefundSeen(channel=channel, order_id=order_id, line_id=line_id, refund=refund, state=state, amount=amount):
            return "refunded", channel, order_id, line_id, refund, state, amount
        case ShopRefundSeen(channel=channel, order_id=order_id, refund=refund):
            return "refunded in the shop", channel, order_id, refund
        case CommandIssued(command_id=command):
            return "issued", command
        case CommandConfirmed(command_id=command) | CommandRefused(command_id=command):
            return tag_of(event), command
        case CommandUnknown(command_id=command, attempt=attempt) | CommandBuried(command_id=command, attempt=attempt):
            return tag_of(event), command, attempt
    return None


class Prefix(Check):
    """E9: whatever was read of the log stays in it: what was its end once is in every later one, at its place and with its hash."""

    invariant = "E9"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.known: dict[int, bytes] = {}  # position -> hash; of each look's end

    def look(self, evidence: Evidence) -> Iterator[Breach]:
        log = evidence.log
        for position, known in self.known.items():
            self.judged += 1
            if position > len(log):
                yield self.breach(f"position {position}", f"the log ends at {len(log)}, and had come so far")
            elif log[position - 1].hash != known:
                yield self.breach(f"position {position}", "another event stands there than once did")
        if log:
            self.known[log[-1].position] = log[-1].hash


class Causes(Check):
    """E10: what the engine decided has its cause in the log before it, and belongs to that one's story; what only a call of ours brings
    about was asked for; what people did says who did it, and why.
    """

    invariant = "E10"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.known: dict[UUID, tuple[UUID, type[Event], str]] = {}  # event -> its story, its kind, its stream

    def see(self, told: Envelope) -> Iterator[Breach]:
        self.judged += 1
        what = f"the {tag_of(told.event)} at position {told.position}"
        cause = self.known.get(told.causation_id) if told.causation_id is not None else None
        if told.causation_id is not None and cause is None:
            yield self.breach(told.stream, f"{what} is caused by what is not in the log before it")
        elif cause is not None and cause[0] != told.correlation_id:
            yield self.breach(told.stream, f"{what} belongs to another story than its cause")
        if told.correlation_id != told.event_id and told.correlation_id not in self.known:
            yield self.breach(told.stream, f"{what} belongs to a story that has not begun")
        if isinstance(told.event, CommandIssued) and told.causation_id is None:
            yield self.breach(told.stream, f"{what} has no cause")
        if isinstance(told.event, OUTCOMES):
            issued = issued_event(told.tenant, told.event.command_id)
            if told.causation_id != issued or cause is None or cause[2] != told.stream:
                yield self.breach(told.stream, f"{what} answers what was not asked in its stream")
        if isinstance(told.event, EFFECTS) and (cause is None or cause[1] is not CommandIssued):
            yield self.breach(told.stream, f"{what} was brought about by no command of ours")
        yield from self._by_people(told, what)
        self.known[told.event_id] = (told.correlation_id, type(told.event), told.stream)

    def _by_people(self, told: Envelope, what: str) -> Iterator[Breach]:
        if isinstance(told.event, BY_PEOPLE) and (told.actor == "engine" or not told.event.reason):
            yield self.breach(told.stream, f"{what} does not say who did it, or why")
        if isinstance(told.event, MappingSet) and not told.event.from_settings and told.actor == "engine":
            yield self.breach(told.stream, f"{what} does not say who made it")


class Outcomes(Check):
    """C2: each intent ends once, confirmed or refused, or is buried and waits for a person; none is unknown when all is quiet."""

    invariant = "C2"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.open: dict[UUID, str] = {}  # command -> its tag
        self.over: dict[UUID, int] = {}  # command -> position of its end

    def see(self, told: Envelope) -> Iterator[Breach]:
        event = told.event
        if isinstance(event, CommandIssued):
            self.open[event.command_id] = tag_of(event.command)
        elif isinstance(event, OUTCOMES):
            self.judged += 1
            what = f"the {tag_of(event)} of a {event.command} at position {told.position}"
            if event.command_id in self.over:
                yield self.breach(told.stream, f"{what} comes after its end at position {self.over[event.command_id]}")
            elif event.command_id not in self.open:
                yield self.breach(told.stream, f"{what} answers what nobody issued")
            if isinstance(event, ENDS):
                self.over.setdefault(event.command_id, told.position)
                self.open.pop(event.command_id, None)

    def quiet(self, evidence: Evidence) -> Iterator[Breach]:
        kept = {row["command_id"]: row for row in evidence.outbox}
        for row in evidence.outbox:
            if row["unknown_since"] is not None and row["state"] == "waiting":
                yield self.breach(row["subject"], f"it is still not known what became of a {row['tag']}")
            if row["command_id"] in self.over:
                yield self.breach(row["subject"], f"a {row['tag']} is over and still in the outbox")
        for command, tag in self.open.items():
            if command not in kept:
                yield self.breach(tag, f"command {command} has no outcome, and is not in the outbox any more")


class Epochs(Check):
    """C5: only the holder of the present epoch writes: nothing is told of an attempt once a later one was; no epoch comes again."""

    invariant = "C5"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.attempts: dict[UUID, int] = {}
        self.epochs: dict[str, int] = {}

    def see(self, told: Envelope) -> Iterator[Breach]:
        event = told.event
        if isinstance(event, OUTCOMES):
            self.judged += 1
            last = self.attempts.get(event.command_id, 0)
            if event.attempt < last:
                yield self.breach(told.stream, f"attempt {event.attempt} of a {event.command} is told after attempt {last}")
            self.attempts[event.command_id] = max(last, event.attempt)

    def look(self, evidence: Evidence) -> Iterator[Breach]:
        for system, epoch in evidence.leases.items():
            self.judged += 1
            if epoch < self.epochs.get(system, 0):
                yield self.breach(system, f"epoch {epoch} comes after epoch {self.epochs[system]}")
            self.epochs[system] = epoch
        for row in evidence.outbox:
            if row["epoch"] is not None and row["epoch"] > evidence.leases.get(row["target"], row["epoch"]):
                yield self.breach(row["subject"], f"a {row['tag']} was claimed in epoch {row['epoch']}, which has not been")


class Turns(Check):
    """C7: the commands of one subject are answered in the order of their causes; remarks for the catalogue may wait."""

    invariant = "C7"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.places: dict[UUID, int] = {}
        self.waiting: dict[str, dict[UUID, tuple[int, int, int, str]]] = {}  # subject -> command -> cause, issued, lane, tag

    def see(self, told: Envelope) -> Iterator[Breach]:
        event = told.event
        self.places[told.event_id] = told.position
        if isinstance(event, CommandIssued):
            cause = self.places.get(told.causation_id, 0) if told.causation_id is not None else 0
            place = (cause, told.position, event.command.lane, tag_of(event.command))
            self.waiting.setdefault(event.command.subject, {})[event.command_id] = place
        elif isinstance(event, (*ENDS, CommandBuried)):
            waiting = self.waiting.get(event.subject, {})
            mine = waiting.pop(event.command_id, None)
            if mine is None or isinstance(event, CommandBuried):
                return
            self.judged += 1
            for cause, issued, lane, tag in waiting.values():
                if cause < mine[0] and issued < mine[1] and lane < Lane.CATALOGUE:
                    yield self.breach(event.subject, f"a {event.command} (position {mine[1]}) went before a {tag} (position {issued})")


CHECKS: tuple[type[Check], ...] = (Positions, Hashes, Versions, Identities, Prefix, Causes, Outcomes, Epochs, Turns)
