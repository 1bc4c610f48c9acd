"""The files that sellers send: semicolons, quotes as RFC 4180 has them, a header in the first row or, under labels, in the second."""

import csv
import io
from collections.abc import Iterable

from msgspec import Struct


class Row(Struct):
    number: int  # of its first line in the file, from 1
    lines: int  # that it takes
    cells: dict[str, str]
    surplus: bool  # more cells than the header has


class Table(Struct):
    header: str  # as it came
    rows: list[Row]  # without empty ones
    lines: list[str]

    def text(self, row: Row) -> str:
        """The row as it came."""
        return "".join(self.lines[row.number - 1 : row.number - 1 + row.lines]).rstrip("\r\n")


def parse(text: str, needed: Iterable[str], known: Iterable[str]) -> Table | None:
    """None for what has no header: all of the needed columns, none but the known ones."""
    lines = list(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    reader = csv.reader(lines, delimiter=";")
    needed, known = set(needed), set(known)
    names: list[str] | None = None
    rows: list[Row] = []
    header, before = "", 0
    try:
        for cells in reader:
            first, before = before, reader.line_num
            if names is not None:
                stripped = [cell.strip() for cell in cells]
                if any(stripped):
                    found = dict(zip(names, stripped, strict=False))
                    rows.append(Row(first + 1, before - first, found, len(cells) > len(names)))
                continue
            titles = [cell.strip().lower() for cell in cells]
            if needed <= set(titles) <= known:
                names, header = titles, "".join(lines[first:before]).rstrip("\r\n")
            elif first > 0:
                return None  # labels may stand above the header, nothing else
    except csv.Error:
        return None
    return None if names is None else Table(header, rows, lines)
