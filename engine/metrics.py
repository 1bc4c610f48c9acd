"""Every series we emit, on one page. Base units; label sets are closed: never an order, a SKU, a person, a URL or a text.

Gauges hold the last value that a worker computed; a scrape never asks the database. What a leader alone knows is gone once it leads
no more.
"""

import collections
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # one more series for each counter and histogram, which nobody asks for
_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_SLOW = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

_LONG = (5.0, 15.0, 30.0, 65.0, 90.0, 125.0, 180.0, 300.0, 600.0, 1800.0, 3600.0)

Series: TypeAlias = tuple[Gauge, tuple[str, ...]]  # and its labels' values


class Metrics:
    """One registry an engine, so that several can live in one process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._kept = collections.Counter[Series]()  # by how many

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"crossdock_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"crossdock_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...] = _FAST) -> Histogram:
            return Histogram(f"crossdock_{name}", text, labels, registry=registry, buckets=buckets)

        # what comes in
        self.webhook_requests = counter(
            "webhook_requests_total", "Webhooks received, by what became of them.", "tenant", "topic", "outcome"
        )
        self.webhook_ack_seconds = histogram("webhook_ack_seconds", "From a webhook's arrival to its answer.")
        self.webhook_rejected = counter("webhook_rejected_total", "Webhooks refused before parsing.", "reason")
        self.webhook_signed = counter("webhook_signed_total", "Webhooks signed well, by which of our secrets.", "secret")
        self.poll_runs = counter("poll_runs_total", "Polls, by outcome.", "tenant", "source", "outcome")
        self.poll_items = counter("poll_items_total", "Facts heard by polls and readers.", "tenant", "source")
        self.poll_last_success = gauge("poll_last_success_timestamp_seconds", "When a source was last read whole.", "tenant", "source")
        self.cursor_age_seconds = gauge(
            "cursor_age_seconds", "How long ago a source's cursor was committed, or nothing was new.", "tenant", "source"
        )
        self.schema_unknown_fields = counter(
            "schema_unknown_fields_total", "Fields in payloads, or forms of them, that we do not know.", "source", "type"
        )
        self.schema_unknown_enum = counter("schema_unknown_enum_total", "Enum values in payloads that we do not know.", "source", "type")
        self.stock_sweep_items = gauge("stock_sweep_items", "Items that the sweep under way, or the last one, has told.", "tenant")
        self.stock_sweep_total = gauge("stock_sweep_total_items", "Items that it has to tell.", "tenant")
        self.stock_uncounted = counter("stock_uncounted_total", "Readings of items whose units belong to no SKU.", "tenant", "reason")
        self.quarantined = counter("quarantined_total", "Payloads that could not be read and were set aside.", "source", "type")
        self.event_undecodable = counter("event_undecodable_total", "Stored events that this version cannot read.", "source", "type")

        # what goes out
        self.outbound_requests = counter("outbound_requests_total", "Calls to marketplaces, by outcome.", "target", "op", "outcome")
        self.outbound_request_seconds = histogram("outbound_request_seconds", "Calls to marketplaces.", "target", "op", buckets=_SLOW)
        self.api_version_mismatch = counter("api_version_mismatch_total", "Answers of another API version than asked for.", "target")
        self.outbound_ceiling_ratio = gauge(
            "outbound_ceiling_ratio", "Calls made over calls allowed in the window.", "tenant", "target", "op"
        )
        self.limiter_wait_seconds = histogram(
            "limiter_wait_seconds", "Waiting for a call to be allowed.", "tenant", "target", "op", buckets=_SLOW
        )
        self.limiter_tokens = gauge("limiter_tokens", "Calls or cost points left.", "tenant", "target", "op")
        self.retry_ratio = gauge("retry_ratio", "Retries over calls, lately.", "tenant", "target")
        self.commands = counter("commands_total", "Commands, by class and what became of them.", "tenant", "class", "state")
        self.command_queue_depth = gauge("command_queue_depth", "Commands due and not yet answered for.", "tenant", "class", "state")
        self.command_oldest_seconds = gauge(
            "command_oldest_seconds", "How long ago the one that waits longest first fell due.", "tenant", "class", "state"
        )

        self._stock(counter, gauge, histogram)

        # the log and what is folded from it
        self.log_position = gauge("log_position", "The last position of a tenant's log.", "tenant")
        self.log_append_seconds = histogram("log_append_seconds", "One group commit to the log.")
        self.log_verified_position = gauge("log_verified_position", "Up to where the chain was last verified.", "tenant")
        self.log_verify_failures = counter("log_verify_failures_total", "Verifications of the chain that failed.", "tenant")
        self.log_rollback_detected = gauge(
            "log_rollback_detected", "1 while the log does not continue the last checkpoint kept outside; nothing is sent.", "tenant"
        )
        self.checkpoint_age_seconds = gauge("checkpoint_age_seconds", "Age of the last signed checkpoint kept outside.", "tenant")
        self.checkpoint_failures = counter("checkpoint_failures_total", "Checkpoints not kept where they should be.", "tenant", "place")
        self.event_id_conflict = counter("event_id_conflict_total", "Facts heard again with another body.", "tenant")
        self.projection_position = gauge("projection_position", "How far a projection has folded.", "tenant", "projection")
        self.projection_lag_seconds = gauge("projection_lag_seconds", "Age of the oldest event not yet folded.", "tenant", "projection")
        self.exception_open = gauge("exception_open", "Exceptions waiting for somebody.", "tenant", "kind", "severity")
        self.exception_oldest_seconds = gauge(
            "exception_oldest_seconds", "How long the oldest exception has stood as it stands.", "tenant", "kind", "severity"
        )

        self.erasure_oldest_seconds = gauge(
            "erasure_oldest_seconds", "How long the oldest request about personal data has waited; 0: none does.", "tenant"
        )

        # the engine itself
        self.lease_epoch = gauge("lease_epoch", "Which election of a dispatcher this is.", "tenant", "target")
        self.leader = gauge("leader", "1 where this engine holds the lease.", "tenant", "target")
        self.lease_conflict = counter("lease_conflict_total", "Results dropped because the lease was lost.", "tenant", "target")
        self.db_pool_in_use = gauge("db_pool_in_use", "Database connections at work.")
        self.db_pool_wait_seconds = histogram("db_pool_wait_seconds", "Waiting for a database connection.")
        self.db_errors = counter("db_errors_total", "Database errors, by SQLSTATE class.", "sqlstate_class")
        self.db_privilege_violation = gauge("db_privilege_violation", "1 where the engine's login could alter the log.")
        self.event_loop_lag_seconds = histogram("event_loop_lag_seconds", "How late the event loop woke.")
        self.tasks_alive = gauge("tasks_alive", "Workers running.", "task")
        self.task_restarts = counter("task_restarts_total", "Workers started again after an error.", "task")
        self.clock_offset_seconds = gauge("clock_offset_seconds", "Their clock minus ours, from Date headers.", "target")
        self.log_redactions = counter("log_redactions_total", "Things blanked in log lines that looked like a person or a secret.")
        self.build_info = gauge("build_info", "1; the labels tell what runs.", "version", "schema")

    @contextmanager
    def kept(self, *series: Series) -> Iterator[None]:
        """Whoever is in here keeps these up to date. Once nobody is, they are not shown: somebody else's may say otherwise by now."""
        self._kept.update(series)
        try:
            yield
        finally:
            self._kept.subtract(series)
            for gauge, labels in series:
                if not self._kept[gauge, labels]:
                    gauge.remove(*labels)

    def _stock(self, counter: Callable[..., Counter], gauge: Callable[..., Gauge], histogram: Callable[..., Histogram]) -> None:
        self.stock_waiting = gauge("stock_waiting_for_poll", "Offers that rise once the orders have been polled.", "tenant", "channel")
        self.stock_unpublished = gauge("stock_unpublished", "Offers that a channel shows otherwise than it should.", "tenant", "channel")
        self.stock_oldest_unpublished_seconds = gauge(
            "stock_oldest_unpublished_seconds", "For how long the oldest of these has been so.", "tenant", "channel", "change"
        )
        self.stock_decided_seconds = histogram(
            "stock_decided_seconds", "From a change to deciding on the file that shows it.", "channel", "change", buckets=_LONG
        )
        self.stock_submitted_seconds = histogram(
            "stock_submitted_seconds", "From a change to its file's being taken.", "channel", "change", buckets=_LONG
        )
        self.stock_applied_seconds = histogram(
            "stock_applied_seconds", "From a change to its file's being applied.", "channel", "change", buckets=_LONG
        )
        self.stock_ceiling_wait_seconds = histogram(
            "stock_ceiling_wait_seconds", "For how long a file waited for nothing but its turn.", "channel", buckets=_LONG
        )
        self.import_age_seconds = gauge("import_age_seconds", "For how long a file has been under way; 0: none is.", "tenant", "channel")
        self.import_lines = counter("import_lines_total", "Lines of files, by what became of them.", "tenant", "channel", "outcome")
        self.stock_degraded_skus = gauge(
            "stock_degraded_skus", "SKUs of which less is shown, for want of news or in a blackout.", "tenant", "channel"
        )
        self.oversell = counter("oversell_total", "Units sold that were not there, by what let it happen.", "tenant", "cause")
        self.reconcile_drift = gauge(
            "reconcile_drift", "Offers found otherwise than believed, at the last reading.", "tenant", "channel", "kind"
        )
        self.reconcile_drift_units = counter("reconcile_drift_units_total", "Units by which they were.", "tenant", "channel")
        self.reconcile_drift_minor_units = counter(
            "reconcile_drift_minor_units_total", "The same in money, at the offer's price.", "tenant", "channel", "currency"
        )
