"""Where people read what a command says: a terminal, however narrow; or a file or a pipe, where a line is as long as it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDE = 1_000  # characters of a table that goes to a file or a pipe


def out(as_json: bool) -> Console:
    """People read tables; programs get JSON on standard output and nothing else."""
    return paper(stderr=as_json)


def paper(*, stderr: bool = False) -> Console:
    """What goes to a file or a pipe is not folded to the width of a terminal that is not there."""
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=WIDE, soft_wrap=True)


@dataclass(frozen=True)
class Column:
    """Of a table whose cells are text as it is, without markup."""

    heading: str
    style: str = ""
    least: int = 0  # characters to which it may be folded; 0: it is not
    figures: bool = False


def print_fitted(console: Console, columns: Sequence[Column], rows: Sequence[Sequence[str]], *, first_out: Sequence[str]) -> None:
    """Where not all columns have room, these are left out in this order, and that is said."""
    widths = {column.heading: max(map(cell_len, (column.heading, *(row[place] for row in rows)))) for place, column in enumerate(columns)}
    left_out: list[str] = []
    while len(left_out) < len(first_out) and _needed(_kept(columns, left_out), widths) > console.width:
        left_out.append(first_out[len(left_out)])
    kept = _kept(columns, left_out)
    table = Table(header_style="bold")
    for column in kept:
        justify: Literal["left", "right"] = "right" if column.figures else "left"
        table.add_column(column.heading, style=column.style, no_wrap=not column.least, justify=justify, overflow="fold")
    for row in rows:
        cells = [cell for column, cell in zip(columns, row, strict=True) if column in kept]
        if any(cells):
            table.add_row(*map(Text, cells))
    console.print(table)
    if left_out:
        console.print(f"[dim]In a wider terminal also: {', '.join(left_out)}.[/]")


def _kept(columns: Sequence[Column], left_out: Sequence[str]) -> list[Column]:
    return [column for column in columns if column.heading not in left_out]


def _needed(columns: Sequence[Column], widths: dict[str, int]) -> int:
    """Characters, with the frame."""
    return 1 + sum(3 + min(widths[column.heading], column.least or widths[column.heading]) for column in columns)
