"""What must hold of the engine as a whole: that it loses nothing, comes to an end, says what is stuck, and believes nobody unsigned.

Reliability: E5, E6, L1, L2, L5, X1.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from adapters.shopify.hints import Ignored, marker
from adapters.shopify.inbound.changes import OrdersSweep
from adapters.shopify.inbound.sweep import StockSweep
from adapters.shopify.privacy import heard
from engine.log import Page
from engine.projection import Projection
from engine.rebuild import differing_at
from engine.runner import Rows, encode
from ops.sandbox.referee.case import moment
from ops.sandbox.systems import WEBHOOK_SECRET
from ops.service import PROJECTIONS
from ops.settings import Settings
from ops.simulate.invariants.evidence import Breach, Check, Document, Evidence
from schemas.events.exceptions import ExceptionOpened
from schemas.events.orders import OrderPlaced

BEHIND = timedelta(seconds=5)  # of the event loop, by which a fold may be behind the log: then what is stuck is an exception
YOUNG = timedelta(minutes=10)  # since an order came: it need not have been heard of
MOMENTARY = ("returns/process", "products/")  # their identity is of the moment at which they were read
LATE = 3.0  # periods of a source
MUTE = timedelta(seconds=20)  # of the event loop: a statement that is not answered, and the cancellation of it that is not either
MARK = marker(WEBHOOK_SECRET)
SAMPLE = tuple[str, Mapping[str, str], float]


class Received(Check):
    """E5: what was answered with 2xx is in the log; and so is, in the end, every order of the marketplace."""

    invariant = "E5"

    def look(self, evidence: Evidence) -> Iterator[Breach]:
        settings, known = evidence.settings, {told.event_id for told in evidence.log}
        for post in evidence.posted:
            if not (post.taken and post.signed):
                continue
            told = heard(post.topic, post.body, tenant=settings.tenant_id, shop=settings.shopify.shop, received_at=post.at, mark=MARK)
            if not isinstance(told, Ignored) and not post.topic.startswith(MOMENTARY):
                self.judged += 1
                if told.fact.event_id not in known:
                    yield self.breach(post.topic, f"a webhook was taken at {post.at:%H:%M:%S} and is not in the log")

    def quiet(self, evidence: Evidence) -> Iterator[Breach]:
        placed = {told.event.order_id for told in evidence.log if isinstance(told.event, OrderPlaced)}
        for order in evidence.case.orders:
            if not order["hidden"] and moment(order["created_at"]) < evidence.now - YOUNG:
                self.judged += 1
                if order["order_id"] not in placed:
                    yield self.breach(order["order_id"], f"{order['state']} on the marketplace, and the log does not know it")


class Rebuilt(Check):
    """E6: every projection folded anew from the first event is what stands in its table, text for text."""

    invariant = "E6"
    SIZES = (1, 7, 1_000)  # events in a batch; one of them each time, in turn

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.turn = 0

    def quiet(self, evidence: Evidence) -> Iterator[Breach]:
        for projection in PROJECTIONS:
            if projection.name not in evidence.rows:
                continue
            self.judged += 1
            self.turn += 1
            upto = evidence.checkpoints.get(projection.name, len(evidence.log))
            if upto > len(evidence.log):
                yield self.breach(projection.name, f"stands at {upto}, and the log ends at {len(evidence.log)}")
                continue
            anew = folded(projection, evidence, upto, self.SIZES[self.turn % len(self.SIZES)])
            yield from self._compared(projection.name, evidence.rows[projection.name], anew)

    def _compared(self, name: str, live: Mapping[str, Document], anew: Mapping[str, Document]) -> Iterator[Breach]:
        for key in sorted(live.keys() | anew.keys()):
            mine, theirs = live.get(key), anew.get(key)
            if mine == theirs:
                continue
            if mine is None or theirs is None:
                yield self.breach(f"{name} {key}", f"the row is {'not there' if mine is None else 'there'}, and should be otherwise")
            elif mine.text == theirs.text:
                yield self.breach(f"{name} {key}", f"was changed last at position {theirs.position}, and says {mine.position}")
            else:
                at = differing_at(msgspec.json.decode(mine.text), msgspec.json.decode(theirs.text))
                where = ".".join(at[0]) if at is not None else "the order of its fields"
                yield self.breach(f"{name} {key}", f"differs from the same folded anew, at {where}")


def folded(projection: Projection[Any], evidence: Evidence, upto: int, batch: int) -> dict[str, Document]:
    """The rows of a projection by the log alone, a batch at a time, each row stored and read again between two batches."""
    kept: dict[str, bytes] = {}
    positions: dict[str, int] = {}
    for start in range(0, upto, batch):
        some = evidence.log[start : min(start + batch, upto)]
        page = Page(after=start, last=some[-1].position, events=[told.event for told in some], recorded_at=None)
        rows = Rows(projection)
        touched = rows.touched(page)
        rows.documents = {key: rows.decode(kept[key]) for keys in touched for key in keys if key in kept}
        rows.fold(page, (), touched)
        for key, position in rows.changed.items():
            kept[key], positions[key] = encode(rows.documents[key]), position
    return {key: Document(positions[key], text.decode()) for key, text in kept.items()}


class Settled(Check):
    """L1: once faults have ceased, all work comes to an end."""

    invariant = "L1"

    def quiet(self, evidence: Evidence) -> Iterator[Breach]:
        self.judged += 1
        for row in evidence.outbox:
            if row["state"] == "waiting" and row["target"] != "clock":
                yield self.breach(row["subject"], f"a {row['tag']} still waits to be answered, since {row['issued_at']:%H:%M:%S}")
        fresh = evidence.now - BEHIND * evidence.pace
        for name, position in evidence.checkpoints.items():
            if position < len(evidence.log) and evidence.log[position].recorded_at < fresh:
                yield self.breach(name, f"the projection stands at {position}, the log at {len(evidence.log)}")


class Told(Check):
    """L2: what is stuck is an open exception about the same thing within a minute; what is not stuck any more is none."""

    invariant = "L2"

    def look(self, evidence: Evidence) -> Iterator[Breach]:
        opened: dict[str, datetime] = {}
        for told in evidence.log:
            if isinstance(told.event, ExceptionOpened):
                opened[told.event.subject] = told.recorded_at
        for row in evidence.outbox:
            if row["state"] == "buried" and row["due_at"] + BEHIND * evidence.pace + evidence.leeway < evidence.now:
                self.judged += 1
                if opened.get(row["subject"], row["issued_at"]) <= row["due_at"] - evidence.leeway:  # none since it was given up
                    yield self.breach(row["subject"], f"a {row['tag']} was given up, and nobody is told")

    def quiet(self, evidence: Evidence) -> Iterator[Breach]:
        buried = {row["subject"] for row in evidence.outbox if row["state"] == "buried"}
        there = {f"order-{evidence.channels[0].id}:{name}" for name in evidence.case.copies}
        for one in evidence.troubles:
            if not one.open:
                continue
            self.judged += 1
            if one.code in ("X76", "X78"):
                yield self.breach(one.subject, f"{one.code} is open although every system answers: {one.summary}")
            if one.code == "X84" and one.subject.startswith("order-") and one.subject not in buried:
                yield self.breach(one.subject, f"X84 is open although nothing was given up: {one.summary}")
            if one.code == "X34" and one.subject in there:
                yield self.breach(one.subject, "X34 is open although the order is in Shopify")


class Progress(Check):
    """L5: every worker of an engine runs, and whoever asks a system again and again was answered lately."""

    invariant = "L5"

    def quiet(self, evidence: Evidence) -> Iterator[Breach]:
        for metrics in evidence.metrics:
            values = [(one.name, one.labels, one.value) for family in metrics.registry.collect() for one in family.samples]
            yield from self._judged(values, evidence)

    def _judged(self, values: Sequence[SAMPLE], evidence: Evidence) -> Iterator[Breach]:
        leads = {labels["target"] for name, labels, value in values if name == "crossdock_leader" and value}
        every = periods(evidence.settings)
        leeway = evidence.leeway + (MUTE * evidence.pace if evidence.accidents.mute else timedelta())
        for name, labels, value in values:
            if name == "crossdock_tasks_alive":
                self.judged += 1
                if value != 1:
                    yield self.breach(labels["task"], "the worker does not run")
            if name == "crossdock_poll_last_success_timestamp_seconds" and labels["source"] in every:
                source = labels["source"]
                if not any(source.startswith(target) for target in leads):
                    continue
                self.judged += 1
                late = evidence.now.timestamp() - value
                if late > LATE * every[source] + leeway.total_seconds():
                    yield self.breach(source, f"was read whole {late:.0f} s ago last, and is asked every {every[source]:.0f} s")


def periods(settings: Settings) -> Mapping[str, float]:
    """Seconds between two polls of what is asked often."""
    shop = dict.fromkeys((OrdersSweep.name, StockSweep.name), settings.shopify.sweep_every)
    return shop | {f"mirakl:{channel.id}:orders": channel.orders_every for channel in settings.channel}


class Signed(Check):
    """X1: nothing unsigned is taken, whoever sends it."""

    invariant = "X1"

    def look(self, evidence: Evidence) -> Iterator[Breach]:
        for post in evidence.posted:
            if not post.signed:
                self.judged += 1
                if post.taken:
                    yield self.breach(post.topic, f"a webhook was taken at {post.at:%H:%M:%S} that nobody had signed")


CHECKS: tuple[type[Check], ...] = (Received, Rebuilt, Settled, Told, Progress, Signed)
