"""What a person sees of a demo: both sides side by side while it runs, and what holds in the end."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ops.demo.proof import Result, State
from ops.paper import paper


class Board:
    def __init__(self, console: Console, orders: int) -> None:
        self._progress = Progress(
            TextColumn("orders that came to their end"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        )
        self._task = self._progress.add_task("", total=orders)
        self.done = 0

    def shown(self, glance: Mapping[str, Any], state: State) -> RenderableType:
        self.done = state.over
        self._progress.update(self._task, completed=state.over)
        return Group(_sides(glance, state), self._progress)


def _sides(glance: Mapping[str, Any], state: State) -> Table:
    there, orders = glance["mirakl"]["orders"], glance["shopify"]["orders"]
    states = Counter(order["state"] for order in there)
    ours = [order for order in orders if order["by_app"]]
    done = Counter((order["fulfillment_status"] or "").lower() for order in ours)
    refunds = sum(len(line["refunds"]) for order in there for line in order["lines"])
    left = [
        ("waiting acceptance", states["WAITING_ACCEPTANCE"]),
        ("waiting for payment", states["WAITING_DEBIT"] + states["WAITING_DEBIT_PAYMENT"]),
        ("to be shipped", states["SHIPPING"]),
        ("shipped", sum(states[name] for name in ("SHIPPED", "RECEIVED", "CLOSED", "TO_COLLECT"))),
        ("refused or cancelled", states["REFUSED"] + states["CANCELED"]),
        ("refunds", refunds),
    ]
    right = [
        ("marketplace orders", len(ours)),
        ("of them in parcels", done["fulfilled"]),
        ("cancelled", sum(bool(order["cancelled_at"]) for order in ours)),
        ("refunds of them", sum(len(order["refunds"]) for order in ours)),
        ("the shop's own orders", len(orders) - len(ours)),
        ("commands in the outbox · exceptions", f"{state.waiting} · {state.open}"),
    ]
    board = Table(title=f"{glance['now'][:19].replace('T', ' ')} simulated", title_justify="left", header_style="bold", expand=False)
    for heading in ("on the marketplace", "", "in Shopify", ""):
        board.add_column(heading, justify="right" if not heading else "left")
    for (a, b), (c, d) in zip(left, right, strict=True):
        board.add_row(a, str(b), c, str(d))
    return board


def print_result(result: Result, order: str, data: Path | None) -> None:
    console = paper()
    for claim, holds in result.claims().items():
        console.print(f"  {'[green]✓[/]' if holds else '[red]✗[/]'} {claim}")
    for broken in result.rules_broken:
        console.print(f"      {broken}", markup=False)
    verdict = "[green]Everything holds[/]" if result.holds else "[red]Not everything holds[/]"
    console.print(f"{verdict}, after {result.seconds:.0f} s.")
    if data is not None and order:
        console.print(f"Trace an order: ./ops/run trace --data {data} {order}", soft_wrap=True)
