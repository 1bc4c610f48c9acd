"""Readings that were under way when a log was restored are dropped, and begin anew: their results are as old as the log."""

from typing import Any

import msgspec
from msgspec.structs import replace

from adapters.mirakl.inbound import offers, sweep
from adapters.shopify.inbound.sweep import Progress, StockSweep, progress_of
from engine.log import Log

READINGS = "SELECT name, cursor FROM crossdock.cursors WHERE tenant = $1 AND cursor LIKE '{%' ORDER BY name"
ANEW = "UPDATE crossdock.cursors SET cursor = $3 WHERE tenant = $1 AND name = $2"


async def read_anew(pool: Any, log: Log) -> None:
    """Before anything is polled. Each reading goes on from where the last whole one had come, and at once."""
    for row in await pool.fetch(READINGS, log.tenant):
        name, cursor = row["name"], row["cursor"]
        anew = _anew(name, cursor)
        if anew is not None:
            await pool.execute(ANEW, log.tenant, name, msgspec.json.encode(anew).decode())


def _anew(name: str, cursor: str) -> Progress | offers.Cursor | sweep.Cursor | None:
    """None: what it reads is read at once in any case."""
    if name == StockSweep.name:
        at = progress_of(cursor)
        return Progress(whole=at.whole, since=at.since)
    if name.endswith(":offers"):
        return replace(msgspec.json.decode(cursor, type=offers.Cursor), due=None, asked=None)
    if name.endswith(":sweep"):
        return replace(msgspec.json.decode(cursor, type=sweep.Cursor), due=None, asked=None)
    return None
