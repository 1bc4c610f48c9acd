"""What Postgres can do here at all: the raw limits that more than one part is held against, by Postgres's own tools."""

import asyncio
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from ops.bench.place import Place, clock
from ops.postgres import program

# A bare insert of the same row into the same table with the same keys: everything that an append does, except what makes it one.
RAW_TABLE = "CREATE TABLE {name} (LIKE crossdock.events INCLUDING ALL EXCLUDING GENERATED); ALTER TABLE {name} DROP COLUMN shard"
RAW_INSERT = """INSERT INTO raw_limit VALUES ('bench', :p, 'order-asos-' || (:p)::bigint / 8, (:p)::bigint % 8 + 1,
    md5((:p)::bigint::text)::uuid, 'order_placed', 1, '{data}', '', null, '2026-01-01Z', '2026-01-01Z', md5((:p)::bigint::text)::uuid, null,
    'engine', '\\x0000000000000000000000000000000000000000000000000000000000000000') ON CONFLICT DO NOTHING;
"""


async def raw_inserts(where: Place, clients: int, seconds: float) -> float:
    """Transactions a second of one INSERT each, as pgbench does them."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        text = json.dumps({"type": "order_placed", "filler": "x" * 440})
        script.write("\\set p random(1, 1000000000000000)\n")
        script.write(RAW_INSERT.replace("{data}", text))
        script.flush()
        how = ("-n", "-M", "prepared", "-f", script.name, "-c", str(clients), "-T", str(max(1, int(seconds))))
        told = await _run_tool("pgbench", where.owner_url, *how)
    return float(next(line.split("=")[1].split()[0] for line in told.splitlines() if line.startswith("tps")))


async def fsync_seconds(directory: Path, pause: float) -> float:
    """What it takes in the mean to write a page of 8 kB and see it on the disk, after a pause of so many seconds."""
    waits = []
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        for place in range(300):
            await clock.sleep(pause)
            began = clock.monotonic()
            os.pwrite(file.fileno(), bytes(8192), 8192 * (place % 100))
            os.fdatasync(file.fileno())
            waits.append(clock.monotonic() - began)
    return statistics.mean(waits[100:])  # the first ones make the file longer


async def raw_out(where: Place, events: int) -> float:
    """Rows a second of COPY OUT of the log, to nowhere."""
    copy = "COPY (SELECT * FROM crossdock.events ORDER BY tenant, position) TO STDOUT"
    began = clock.monotonic()
    await _run_tool("psql", where.owner_url, "-q", "-c", copy, "-o", os.devnull)
    return events / (clock.monotonic() - began)


async def _run_tool(name: str, url: str, *arguments: str) -> str:
    """One of Postgres's own programs, against that database."""
    pipes: dict[str, int] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    child = await asyncio.create_subprocess_exec(str(program(name)), *arguments, url, **pipes)  # type: ignore[arg-type]
    told, complaint = await child.communicate()
    if child.returncode:
        raise RuntimeError(f"{name}: {complaint.decode().strip()}")
    return told.decode()
