"""Keeps the gauges of what waits for people: how much of each kind, and since when."""

from typing import Any

import asyncpg

from engine.log import Log
from engine.metrics import Metrics
from engine.ports import Clock

EVERY = 15.0  # seconds of the event loop between two looks

# How long it has stood as it stands: an exception that is brought up to date counts from then.
OPEN = """
SELECT x.document->>'code' AS code, x.document->>'severity' AS severity, count(*) AS number, min(e.recorded_at) AS since
FROM projections.exceptions x
JOIN crossdock.events e ON e.tenant = x.tenant AND e.position = x.position
WHERE x.tenant = $1 AND x.document->>'open' = 'true'
GROUP BY 1, 2 ORDER BY 1, 2
"""


async def watch(pool: "asyncpg.Pool[asyncpg.Record]", log: Log, metrics: Metrics, clock: Clock) -> None:
    """Until cancelled. A kind that was open and is not any more is shown as none."""
    shown: set[tuple[str, str]] = set()
    while True:
        rows: list[Any] = await pool.fetch(OPEN, log.tenant)
        found = {(row["code"], row["severity"] or "2"): row for row in rows}
        for kind in sorted(shown | found.keys()):
            row, now = found.get(kind), clock.now()
            metrics.exception_open.labels(log.tenant, *kind).set(row["number"] if row else 0)
            metrics.exception_oldest_seconds.labels(log.tenant, *kind).set((now - row["since"]).total_seconds() if row else 0)
        shown |= found.keys()
        await clock.sleep(EVERY / clock.loop_seconds(1.0))
