"""`crossdock bench`: how fast log, replay and dispatch are here, as ratios to what this machine's Postgres can do at all, in the same run.

Each figure is taken beside its raw limit, several times; the median counts. A file a question, each with its `rows`:

    append.py     how fast is an append?               project.py   how soon is an event in its projection?
    replay.py     how fast is the log folded again?    dispatch.py  how fast are commands carried out?
    torture.py    is anything lost?                    latency.py   how soon does each side know, in real time?
    load.py       how long does a large shop take?     publish.py   does what is shown keep up with it?

What they share: size.py, how much is measured; life.py, what is written; place.py, where; raw.py, the raw limits; row.py, a figure;
beside.py and __main__.py, other processes; large.py, a large shop.
"""

from collections.abc import Awaitable, Callable, Collection

from rich.console import Console

from ops.bench import append, dispatch, load, project, publish, replay, torture
from ops.bench.place import Place, place, server_at
from ops.bench.row import Row, show, show_json
from ops.bench.size import FULL, QUICK, Size

Part = Callable[[Place, Size, Callable[[str], None]], Awaitable[list[Row]]]
PARTS: dict[str, Part] = {
    "append": append.rows,
    "project": project.rows,
    "replay": replay.rows,
    "dispatch": dispatch.rows,
    "torture": torture.rows,
}
AT_SIZE: dict[str, Part] = {"load": load.rows, "publish": publish.rows}  # minutes each, and some GB of memory: only when asked for


async def bench(url: str, *, quick: bool, only: Collection[str], as_json: bool) -> int:
    """Measure at `url`, or on a Postgres brought along, and show it. Returns 1 if a figure falls short of what must hold."""
    console = Console(stderr=as_json, highlight=False)
    spread: Callable[[Console], None] | None = None
    with console.status("starting") as status:
        parts = [part for name, part in (PARTS | AT_SIZE).items() if name in (only or PARTS)]
        found = await _measure(url, QUICK if quick else FULL, parts, status.update) if parts else []
        if "latency" in only:  # takes the better part of an hour: only where it is asked for
            from ops.bench import latency  # noqa: PLC0415 - brings the sandbox along

            more, spread = await latency.rows(status.update, latency.FEWER if quick else latency.ORDERS)
            found += more
    if as_json:
        show_json(found)
    else:
        show(console, found)
    if spread is not None:
        spread(console)
    return 1 if any(row.meets == "short" for row in found) else 0


async def _measure(url: str, size: Size, parts: Collection[Part], told: Callable[[str], None]) -> list[Row]:
    found: list[Row] = []
    with server_at(url) as server:
        for part in parts:
            async with place(server) as where:
                found += await part(where, size, told)
    return found
