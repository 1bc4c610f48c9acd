"""Quantities into a file, and the report of what was wrong with it into reasons."""

import csv
import io
from collections.abc import Mapping

from adapters.mirakl.translate.values import LOST, UnreadableError
from schemas.values import Sku


def unwritable(quantities: Mapping[Sku, int]) -> dict[Sku, str]:
    """What cannot stand in a stock file, and why: everything else is for the marketplace to judge."""
    why = {sku: "is no SKU that a file can hold" for sku in quantities if not sku.strip() or not sku.isprintable() or LOST in sku}
    return why | {sku: "has a negative quantity" for sku, units in quantities.items() if units < 0}


def stock_file(quantities: Mapping[Sku, int]) -> bytes:
    """STO01: a line an offer, the global quantity; `;` between, all quoted, as in RFC 4180."""
    out = io.StringIO(newline="")
    write = csv.writer(out, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow
    write(("offer-sku", "quantity", "warehouse-code", "update-delete"))
    left_out = unwritable(quantities)
    for sku, units in quantities.items():
        if sku not in left_out:
            write((sku, units, "", "update"))
    return out.getvalue().encode()


def error_report(body: bytes) -> dict[Sku, str]:
    """STO03, by position: line number, reason, then our own columns. Whatever does not begin with a number is a header. A line in which
    the marketplace has read no SKU is nobody's: there is none in the file.

    Raises UnreadableError: a report of which nothing can be read is not one of no errors.
    """
    marked = body[:2] in (b"\xff\xfe", b"\xfe\xff")
    text = next(
        text for encoding in ("utf-16" if marked else "utf-8-sig", "cp1252", "latin-1") if (text := _decoded(body, encoding)) is not None
    )
    first = text.split("\n", 1)[0]
    delimiter = ";" if first.count(";") >= first.count(",") else ","
    try:
        rows = list(csv.reader(io.StringIO(text.replace("\0", ""), newline=""), delimiter=delimiter))
    except csv.Error:
        rows = []
    lines = [cells for cells in rows if len(cells) > 2 and cells[0].strip().isdigit()]
    if not lines:
        raise UnreadableError("error report", "names no line")
    return {Sku(cells[2]): cells[1] for cells in lines if cells[2]}


def _decoded(body: bytes, encoding: str) -> str | None:
    try:
        return body.decode(encoding)
    except UnicodeDecodeError:
        return None
