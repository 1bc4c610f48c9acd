"""`crossdock rush`: Black Friday in a modelled shop and marketplace, by our own arithmetic and by a connector that copies now and then.

market.py  the day, and whose doing an oversold unit is    connectors.py  what of ours is real there, and what is modelled
"""

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ops.paper import out
from ops.report import print_json
from ops.rush.connectors import Ours, Snapshot
from ops.rush.market import GRACE, Connector, Market, Plan, summary
from ops.sentences import so_many

Row = dict[str, Any]
KINDS: dict[str, Callable[[Market], Connector]] = {"crossdock": Ours, "snapshot": Snapshot}


def compare(plan: Plan, seed: int, told: Callable[[str, float], None] = lambda _name, _at: None) -> dict[str, Row]:
    """The same day with each of the two."""
    found = {}
    for name, kind in KINDS.items():
        market = Market(plan, seed)
        market.connector = kind(market)
        found[name] = summary(market.run(lambda at, name=name: told(name, at)))  # type: ignore[misc]
    return found


def claims(found: dict[str, Row]) -> dict[str, bool]:
    """What must hold of ours."""
    ours = found["crossdock"]
    late, files, polls = ours["zero_p99"] or 0.0, ours["closest_files"] or 60.0, ours["closest_polls"] or 60.0
    return {
        f"{so_many(ours['ours'], 'unit')} oversold by our doing": ours["ours"] == 0,
        f"what is sold out, and was told of, is shown as such within {late:.0f} s and the time of an import (p99)": late <= GRACE,
        f"no two files within {files:.0f} s, no two polls within {polls:.0f} s": min(files, polls) >= 60.0,
        "fewer units oversold than by the snapshots": ours["oversold"] < found["snapshot"]["oversold"],
    }


def play(hours: float, seed: int, *, as_json: bool) -> int:
    console = out(as_json)
    plan = Plan(hours=hours)
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=console, transient=True) as progress:
        tasks = {name: progress.add_task(name, total=hours * 3600) for name in KINDS}
        found = compare(plan, seed, lambda name, at: progress.update(tasks[name], completed=at))
    holds = claims(found)
    if as_json:
        print_json({"plan": plan, "seed": seed, "holds": holds, **found})
    else:
        _print(console, plan, seed, found, holds)
    return 0 if all(holds.values()) else 1


ROWS = (
    ("changes in the shop", "changes"),
    ("orders on the marketplace", "orders"),
    ("units of them", "units"),
    ("lost sales: wanted, there, and not shown", "lost"),
    ("units oversold", "oversold"),
    ("  within the minutes that the ceilings leave to nobody", "raced"),
    ("  taken in the shop while the order was on its way", "overtaken"),
    ("  after a webhook that Shopify lost", "unheard"),
    ("  after a call that the marketplace refused without reason", "refused"),
    ("  by the connector's doing", "ours"),
    ("SKUs sold out, and shown as such", "zeros"),
    ("  seconds until then without the import, p50", "zero_p50"),
    ("  p99", "zero_p99"),
    ("  at most", "zero_max"),
    ("SKUs sold out of which Shopify's webhook was lost", "missed"),
    ("  seconds until then without the import, at most", "missed_max"),
    ("files of quantities", "files"),
)


def _print(console: Console, plan: Plan, seed: int, found: dict[str, Row], holds: dict[str, bool]) -> None:
    orders = f"{plan.quiet:g} to {plan.rush:g} orders a minute"
    title = f"{plan.hours:g} hours, {plan.skus:,} SKUs, {plan.changes:g} changes a second, {orders}, seed {seed}"
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("modelled: the shop, the marketplace, the wire and time")
    table.add_column("Crossdock's arithmetic", justify="right")
    table.add_column("a snapshot every 15 minutes", justify="right")
    for label, name in ROWS:
        table.add_row(label, *(_number(found[kind][name]) for kind in KINDS))
    console.print(table)
    for claim, true in holds.items():
        console.print(f"  {'[green]✓[/]' if true else '[red]✗[/]'} {claim}")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
