"""A figure, and how figures are shown: what was measured, beside what must hold and what is aimed at."""

import statistics
from collections.abc import Sequence

from msgspec import Struct
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from ops.report import print_json


class Row(Struct, kw_only=True):
    """One figure. `ratio` is `ours` over `raw`, or the figure itself where the page measures it so."""

    what: str
    ours: float | None
    unit: str
    raw: float | None = None
    ratio: float | None = None
    must: float | None = None
    aim: float | None = None
    less_is_better: bool = False
    note: str = ""

    @property
    def meets(self) -> str:
        """`aim`, `must` or `short`; empty where nothing was measured, or is asked for."""
        measured = self.ratio if self.ratio is not None else self.ours
        if measured is None or self.must is None or self.aim is None:
            return ""
        sign = -1 if self.less_is_better else 1
        return "aim" if sign * measured >= sign * self.aim else "must" if sign * measured >= sign * self.must else "short"


def ratio(what: str, ours: Sequence[float], raw: Sequence[float], *, must: float | None, aim: float | None, note: str = "") -> Row:
    """Of rates: medians, and the median of the ratios of what was measured side by side."""
    of_both = statistics.median(mine / theirs for mine, theirs in zip(ours, raw, strict=True))
    mine, theirs = statistics.median(ours), statistics.median(raw)
    return Row(what=what, ours=mine, raw=theirs, ratio=of_both, unit="/s", must=must, aim=aim, note=note)


def show_json(found: Sequence[Row]) -> None:
    print_json([{**{name: getattr(row, name) for name in row.__struct_fields__}, "meets": row.meets} for row in found])


def show(console: Console, found: Sequence[Row]) -> None:
    table = Table(header_style="bold", box=SIMPLE, pad_edge=False, padding=(0, 1))
    for heading in ("what", "ours", "raw", "ratio", "must", "aim", "meets"):
        table.add_column(heading, justify="left" if heading in ("what", "meets") else "right", no_wrap=heading != "what")
    colours = {"aim": "green", "must": "yellow", "short": "red", "": ""}
    notes: list[str] = []
    for row in found:
        meets = f"[{colours[row.meets]}]{row.meets}[/]" if row.meets else ""
        sign = ""
        if row.note:
            notes.append(f"{row.what}: {row.note}")
            sign = " *"
        ours = f"{_number(row.ours)} {row.unit}"
        table.add_row(row.what + sign, ours, _number(row.raw), _number(row.ratio), _number(row.must), _number(row.aim), meets)
    console.print(table)
    for note in notes:
        console.print(f"* {note}")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"
