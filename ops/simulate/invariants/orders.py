"""What must hold of orders and parcels beside what the referee sees from outside. Reliability: O4, O5, F1, F4 and the silence of others."""

from collections.abc import Iterator, Mapping
from typing import Any

from ops.sandbox.referee.case import Finding
from ops.settings import Settings
from ops.simulate.findings import BY_THE_LOG, OF_THE_END, can_be_judged, is_an_accident, is_told
from ops.simulate.invariants.evidence import Breach, Check, Evidence
from ops.simulate.invariants.log import BY_PEOPLE
from projections.orders import Order, orders
from schemas.commands import AcceptOrder, CorrectTracking, ShipOrder, ShipParcel
from schemas.envelope import Envelope
from schemas.events.commands import CommandIssued
from schemas.events.orders import FulfilmentSeen, LineStateChanged, OrderPlaced, OrderStateChanged, OrderTermsChanged
from schemas.streams import order_stream
from schemas.values import OrderId

# How far along an order is; whatever was there once, it is not again. Mirakl seller API, order states, 2026-08-13.
STAGES = (
    *("STAGING", "WAITING_ACCEPTANCE", "WAITING_DEBIT", "WAITING_DEBIT_PAYMENT"),
    *("SHIPPING", "SHIPPED", "TO_COLLECT", "RECEIVED", "CLOSED"),
)
OVER = ("REFUSED", "CANCELED")


class States(Check):
    """O4: what we hold of an order's state moves along the marketplace's edges; late or repeated news never moves it back."""

    invariant = "O4"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.rows: dict[str, Order] = {}

    def see(self, told: Envelope) -> Iterator[Breach]:
        if not isinstance(told.event, OrderStateChanged | LineStateChanged):
            return
        self.judged += 1
        for key in orders.keys(told.event):
            was = self.rows.get(key) or orders.initial(key)
            now = self.rows[key] = orders.evolve(was, told.event)
            steps = [
                ("the order", was.state, now.state),
                *((f"line {line}", was.lines.get(line, ""), now.lines[line]) for line in now.lines),
            ]
            for what, before, after in steps:
                if not _may_follow(before, after):
                    yield self.breach(now.stream, f"{what} went from {before} back to {after} at position {told.position}")


def _may_follow(before: str, after: str) -> bool:
    if before == after or not before:
        return True
    if before in OVER:
        return after in OVER
    if before in STAGES and after in STAGES:
        return STAGES.index(before) < STAGES.index(after)
    return after not in STAGES[:5] or before not in STAGES  # lines have states of their own: REFUNDED, INCIDENT_OPEN


class Answers(Check):
    """O5: an order is answered once, all of its lines at once, and in time."""

    invariant = "O5"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.lines: dict[str, set[str]] = {}

    def see(self, told: Envelope) -> Iterator[Breach]:
        match told.event:
            case OrderPlaced() as placed:
                self.lines[told.stream] = {line.line_id for line in placed.lines}
            case OrderTermsChanged(terms=terms):
                self.lines[told.stream] = {line.line_id for line in terms.lines}
            case CommandIssued(command=AcceptOrder(accepted=accepted, refused=refused)):
                self.judged += 1
                answered, asked = [*accepted, *refused], self.lines.get(told.stream, set())
                if len(answered) != len(set(answered)):
                    yield self.breach(told.stream, f"a line is accepted and refused at once, at position {told.position}")
                if asked - set(answered):
                    yield self.breach(told.stream, f"{len(asked - set(answered))} lines are not answered at position {told.position}")


class Parcels(Check):
    """F1: the marketplace is told of a parcel only after the log has it from Shopify, confirmed and not taken back."""

    invariant = "F1"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.seen: dict[str, dict[str, str]] = {}  # stream -> fulfilment -> status

    def see(self, told: Envelope) -> Iterator[Breach]:
        match told.event:
            case FulfilmentSeen(fulfilment=fulfilment, status=status):
                self.seen.setdefault(told.stream, {})[fulfilment] = status
            case CommandIssued(command=ShipOrder(fulfilments=fulfilments) as command):
                yield from self._stands(told, command.order_id, fulfilments)
            case CommandIssued(command=ShipParcel(fulfilment=fulfilment) | CorrectTracking(fulfilment=fulfilment) as command):
                yield from self._stands(told, command.order_id, (fulfilment,))

    def _stands(self, told: Envelope, order: str, fulfilments: Any) -> Iterator[Breach]:
        self.judged += 1
        seen = self.seen.get(told.stream, {})
        for fulfilment in fulfilments or ("none at all",):
            if seen.get(fulfilment) != "SUCCESS":
                yield self.breach(order, f"to be told as shipped at position {told.position}, and {fulfilment} is not known to have left")


class Silence(Check):
    """What nobody broke and only a person can settle is an open exception, or somebody has settled it, or let the order go on. For one
    invariant each.

    `rules` are the referee's: what it finds `open` of these must not go unsaid.
    """

    rules: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()  # of which it has to be one; empty: any

    def quiet(self, evidence: Evidence) -> Iterator[Breach]:
        self.judged += sum(one.code in self.codes for one in evidence.troubles)  # whoever was told has been, if it is over by now
        said, looked_at = _said(evidence), {told.stream for told in evidence.log if isinstance(told.event, BY_PEOPLE)}
        for finding in evidence.findings:
            if finding.level == "open" and finding.rule in self.rules:
                self.judged += 1
                if order_stream(evidence.settings.channel_ids[0], OrderId(finding.subject)) in looked_at:
                    continue
                if not any(not self.codes or code in self.codes for code in said.get(finding.subject, ())):
                    yield self.breach(finding.subject, f"{finding.says}, and nobody is told of it")


def _said(evidence: Evidence) -> Mapping[str, list[str]]:
    """Order -> codes of its exceptions that are open, or that a person has settled."""
    channel = evidence.settings.channel_ids[0]
    named = {order_stream(channel, OrderId(finding.subject)): finding.subject for finding in evidence.findings}
    found: dict[str, list[str]] = {}
    for trouble in evidence.troubles:
        if trouble.subject in named and (trouble.open or trouble.closed_because.startswith("settled by a person")):
            found.setdefault(named[trouble.subject], []).append(trouble.code)
    return found


def _silence(invariant: str, *codes: str) -> type[Check]:
    fields = {"invariant": invariant, "rules": frozenset({invariant}), "codes": frozenset(codes)}
    return type(f"SilenceOf{invariant}", (Silence,), fields)


class Referee(Check):
    """What the referee finds broken from outside (ops/sandbox/referee); in the end, only as far as no exception says so."""

    outside = True

    def look(self, evidence: Evidence) -> Iterator[Breach]:
        if not can_be_judged(self.invariant, evidence.pace):
            self.passed_over += 1
            return
        if (self.invariant in OF_THE_END and not evidence.settled) or (self.invariant in BY_THE_LOG and not evidence.log):
            return  # later
        self.judged += len(evidence.case.orders)
        for finding in evidence.findings:
            mine = finding.rule == self.invariant and finding.level == "broken" and not is_an_accident(finding, evidence.accidents)
            if mine and not (evidence.settled and is_told(finding, evidence.troubles)):
                yield self.breach(finding.subject, _described(finding))


def _described(finding: Finding) -> str:
    return finding.says + (f" ({finding.call})" if finding.call else "")


def referee(invariant: str) -> type[Check]:
    return type(f"RefereeOf{invariant}", (Referee,), {"invariant": invariant})


CHECKS: tuple[type[Check], ...] = (
    States,
    Answers,
    Parcels,
    _silence("O1", "X30"),
    _silence("O2", "X94"),
    _silence("O6", "X42", "X44", "X47", "X48"),
    _silence("F3"),
    _silence("F4", "X44"),
    _silence("R3"),
    _silence("R4"),
    *map(referee, ("O1", "O2", "O3", "O4", "O5", "O6", "F1", "F2", "F3", "R1", "R2", "R3", "R4", "I2", "I4", "I5", "I7", "C4")),
)
