"""Nobody waits for a connection because others keep theirs."""

from inspect import signature

from engine.ports import PostgresDb
from ops.service import PROJECTIONS

KEPT = len(PROJECTIONS) + 2  # under steady load: each projection's, the log's, the bell's. See engine/line.py
OTHERS = 8  # readers, pollers, publishers, dispatchers, leases: for a moment each


def test_a_pool_has_connections_left_when_every_line_keeps_its_own():
    assert signature(PostgresDb).parameters["size"].default >= KEPT + OTHERS
