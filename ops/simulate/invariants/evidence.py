"""What a play leaves behind, as the checks look at it: the truth of both systems, and all that the engine wrote down."""

import base64
import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from engine.log import HEAD, Log
from engine.metrics import Metrics
from engine.runner import Table
from ops.report import CHECKPOINTS, LEASES
from ops.sandbox.face import Sandbox
from ops.sandbox.referee.case import Case, Conventions, Finding, Row
from ops.sandbox.referee.rules import judge
from ops.sandbox.systems import Post
from ops.service import PROJECTIONS
from ops.settings import ChannelSection, Settings
from ops.simulate.findings import NONE, Accidents
from projections.exceptions import Trouble
from schemas.commands import PublishStock
from schemas.envelope import Envelope
from schemas.events.commands import CommandIssued
from schemas.events.inventory import StockCounted
from schemas.values import Instant, Sku

OUTBOX = """
SELECT command_id, target, tag, class, lane, subject, state, attempt, epoch, failures, issued_at, due_at, called_at, unknown_since, body
FROM crossdock.outbox WHERE tenant = $1 ORDER BY command_id
"""
KEYS = """
SELECT subject, wrapped IS NOT NULL AS lives, EXISTS (
    SELECT FROM crossdock.events e WHERE e.tenant = $1 AND e.stream = k.subject AND e.type = 'subject_erased'
) AS told
FROM crossdock.keys k WHERE k.tenant = $1 ORDER BY subject
"""
AT_ONCE = 4_000  # events
MOMENT = 0.02  # seconds of the event loop: between a deed and the word for it

S = TypeVar("S", bound=Struct)


class Breach(Struct, frozen=True):
    """An invariant that does not hold, of what, and how it shows."""

    invariant: str
    subject: str  # an order, a SKU, a stream, an operation
    says: str  # one sentence, without personal data

    def __str__(self) -> str:
        return f"{self.invariant} {self.subject}: {self.says}"


class Outage(Struct, frozen=True):
    """For so long the engine could read nothing of a system."""

    system: str  # shopify, mirakl
    since: Instant
    until: Instant


class Document(Struct, frozen=True):
    """A row of a projection as it is stored."""

    position: int
    text: str  # JSON


class Posted(Struct, frozen=True):
    """A webhook as somebody posted it."""

    topic: str
    body: bytes
    at: Instant
    signed: bool  # with the shop's secret
    taken: bool  # answered with 2xx


def witness(sandbox: Sandbox) -> list[Posted]:
    """From now on every webhook that the sandbox, or somebody in its name, posts."""
    found: list[Posted] = []

    def seen(post: Post, taken: bool) -> None:
        mac = base64.b64encode(hmac.digest(sandbox.systems.secret.encode(), post.body, hashlib.sha256)).decode()
        signed = hmac.compare_digest(mac, post.headers["X-Shopify-Hmac-SHA256"])
        found.append(Posted(post.headers["X-Shopify-Topic"], post.body, sandbox.clock.now(), signed, taken))

    sandbox.witness = seen
    return found


@dataclass(frozen=True, eq=False)
class Evidence:
    """One tenant, at one moment. What a play cannot give is empty, and what rests on it is not judged."""

    settings: Settings
    now: Instant
    truth: Row  # of the sandbox: ops.sandbox.truth
    log: Sequence[Envelope]  # from the first event to the last
    outbox: Sequence[Row] = ()  # as OUTBOX has them
    rows: Mapping[str, Mapping[str, Document]] = field(default_factory=dict)  # projection -> key -> row
    checkpoints: Mapping[str, int] = field(default_factory=dict)  # projection -> position
    leases: Mapping[str, int] = field(default_factory=dict)  # outside system -> epoch
    keys: Mapping[str, tuple[bool, bool]] = field(default_factory=dict)  # subject -> whether there is a key; and an event that it is erased
    metrics: Sequence[Metrics] = ()  # of the engines that live
    opened: Mapping[int, str | None] = field(default_factory=dict)  # position -> what is sealed there, as text; None: nobody can read it
    told: Mapping[str, str] = field(default_factory=dict)  # what the engine let out in clear, by where: log lines, pages, exports
    posted: Sequence[Posted] = ()  # webhooks, oldest first
    outages: Sequence[Outage] = ()
    skew: float = 0.0  # seconds by which the engine's clock may differ from the sandbox's
    pace: float = 1.0  # seconds of the sandbox for each of the event loop's: what the machine does takes as many times as long there
    accidents: Accidents = NONE  # of its engines
    settled: bool = False  # all work is said to be done

    @property
    def channels(self) -> Sequence[ChannelSection]:
        return self.settings.channel

    @cached_property
    def conventions(self) -> Conventions:
        channel = self.settings.channel[0]
        staleness = Conventions().staleness + self.oldest.total_seconds() + self.skew
        return Conventions(settled=self.settled, buffer=channel.buffer + channel.floor, staleness=staleness)

    @cached_property
    def oldest(self) -> timedelta:
        """How old the newest count was that a file of quantities rested on, at most: where Shopify cannot be read there is none newer, and
        whether that is borne is I6's.
        """
        counts: dict[Sku, list[tuple[int, Instant]]] = {}
        ages = [timedelta()]
        for told in self.log:
            match told.event:
                case StockCounted(sku=sku, read_at=read_at):
                    counts.setdefault(sku, []).append((told.position, read_at))
                case CommandIssued(command=PublishStock(quantities=quantities, as_of=as_of)):
                    known = [max((at for n, at in counts.get(sku, ()) if n <= as_of), default=None) for sku in quantities]
                    ages += [told.recorded_at - read_at for read_at in known if read_at is not None]
        return max(ages)

    @cached_property
    def case(self) -> Case:
        return Case(self.truth, self.conventions)

    @cached_property
    def findings(self) -> Sequence[Finding]:
        """What the referee says, who knows nothing of engines."""
        return judge(self.truth, self.conventions)

    @cached_property
    def troubles(self) -> Sequence[Trouble]:
        """The exceptions, open or closed."""
        return self.decoded("exceptions", Trouble)

    def decoded(self, projection: str, kind: type[S]) -> list[S]:
        """Its rows, in the order of their keys."""
        return [msgspec.json.decode(row.text, type=kind) for _, row in sorted(self.rows.get(projection, {}).items())]

    @cached_property
    def places(self) -> Mapping[Any, int]:
        """Event id -> position."""
        return {told.event_id: told.position for told in self.log}

    @property
    def leeway(self) -> timedelta:
        """By how much two clocks' times may be the wrong way round."""
        return timedelta(seconds=1.0 + MOMENT * self.pace + self.skew)


class Check:
    """One way to see that an invariant holds. `see` is given each event once, in order; `look` and `quiet` all that there is by then.

    `judged` counts what was held against it: a check that judged nothing says nothing. `passed_over`: looks at which it could not be.
    """

    invariant = ""
    outside = False  # it looks at the truth of both systems alone

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.judged = self.passed_over = 0

    def see(self, told: Envelope) -> Iterator[Breach]:
        """A safety property of the log: cheap, and judged with every event."""
        yield from ()

    def look(self, evidence: Evidence) -> Iterator[Breach]:
        """A safety property of everything: judged now and then, since what breaks it leaves a trace."""
        yield from ()

    def quiet(self, evidence: Evidence) -> Iterator[Breach]:
        """What holds once all work is done."""
        yield from ()

    def breach(self, subject: str, says: str) -> Breach:
        return Breach(self.invariant, subject, says)


class Watch:
    """All the checks of one play; `only` some invariants, where others are bound to break too."""

    def __init__(self, checks: Iterable[Check], only: frozenset[str] = frozenset()) -> None:
        self.checks = [check for check in checks if not only or check.invariant in only]
        self._seen = 0  # position

    def see(self, events: Iterable[Envelope]) -> list[Breach]:
        """What came into the log since the last time; events that were seen are passed over."""
        found: list[Breach] = []
        for told in events:
            if told.position <= self._seen:
                continue
            self._seen = told.position
            for check in self._seeing:
                found += check.see(told)
        return found

    @cached_property
    def _seeing(self) -> Sequence[Check]:
        return [check for check in self.checks if type(check).see is not Check.see]

    def judge(self, evidence: Evidence) -> list[Breach]:
        """What is seen from outside alone, at one moment of a play that goes on: evidence without a log."""
        return [breach for check in self.checks if check.outside for breach in check.look(evidence)]

    def look(self, evidence: Evidence) -> list[Breach]:
        """Everything at one moment of a play that goes on."""
        return [*self.see(evidence.log), *(breach for check in self.checks for breach in check.look(evidence))]

    def quiet(self, evidence: Evidence) -> list[Breach]:
        """Everything, when all work is done: evidence that is `settled`."""
        return [*self.look(evidence), *(breach for check in self.checks for breach in check.quiet(evidence))]

    @property
    def judged(self) -> Counter[str]:
        """How often each invariant was held against something."""
        found: Counter[str] = Counter()
        for check in self.checks:
            found[check.invariant] += check.judged
        return found

    @property
    def passed_over(self) -> Counter[str]:
        """At how many looks each could not be judged, at the pace of this play."""
        return Counter({check.invariant: check.passed_over for check in self.checks if check.passed_over})


async def gather(pool: Any, log: Log, read: Sequence[Envelope] = (), **known: Any) -> Evidence:
    """The part of it that is in a Postgres; `read` is what was read of the log before, `known` the rest, as Evidence has it."""
    async with pool.acquire() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
        head = await conn.fetchval(HEAD, log.tenant) or 0
        outbox = [dict(row) for row in await conn.fetch(OUTBOX, log.tenant)]
        checkpoints = {row["name"]: row["position"] for row in await conn.fetch(CHECKPOINTS, log.tenant)}
        leases = {row["name"]: row["epoch"] for row in await conn.fetch(LEASES, log.tenant)}
        keys = {row["subject"]: (row["lives"], row["told"]) for row in await conn.fetch(KEYS, log.tenant)}
        rows = {}
        for projection in PROJECTIONS:
            found = await conn.fetch(Table(projection.name).lines, log.tenant)
            rows[projection.name] = {row["key"]: Document(row["position"], row["document"]) for row in found}
    envelopes = list(read)
    while len(envelopes) < head and (page := await log.read(len(envelopes), min(AT_ONCE, head - len(envelopes)))):
        envelopes += page  # up to where it was when all the rest was so
    opened = await _opened(pool, log, envelopes) if known.get("settled") else {}
    return Evidence(log=envelopes, outbox=outbox, checkpoints=checkpoints, leases=leases, keys=keys, rows=rows, opened=opened, **known)


async def _opened(pool: Any, log: Log, envelopes: Sequence[Envelope]) -> dict[int, str | None]:
    """All that is sealed and can be had back; of whoever is erased meanwhile, nothing is said."""
    sealed = [told for told in envelopes if told.sealed is not None]
    personal = await log.opened(sealed)
    lives = {row["subject"] for row in await pool.fetch(KEYS, log.tenant) if row["lives"]}
    return {
        told.position: repr(each) if each is not None else None
        for told, each in zip(sealed, personal, strict=True)
        if each is not None or told.subject in lives
    }
