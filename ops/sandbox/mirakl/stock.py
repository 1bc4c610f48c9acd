"""Offers, and the stock files that set their quantities: imported later, line by line, each for itself."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta

from ops.sandbox.chance import fraction
from ops.sandbox.mirakl.state import Account, Import, LineError

COLUMNS = ("offer-sku", "quantity", "warehouse-code", "update-delete")
LARGEST = 10**9


def upload(account: Account, text: str, at: datetime) -> str:
    """STO01. Accepted is not imported: the file runs later. Returns the import's id."""
    account.last_import += 1
    wait = account.switches.import_wait * (0.5 + fraction(account.seed, "import", account.last_import))
    made = Import(f"{2000 + account.last_import}", at, text, at + timedelta(seconds=wait))
    account.imports[made.id] = made
    if not account.switches.imports_stuck:
        account.agenda.put(made.starts_at, "start_import", made.id)
    return made.id


def fall_due(account: Account, what: str, ref: str, at: datetime) -> None:
    found = account.imports[ref]
    if what == "start_import":
        found.status = "RUNNING"
        run = account.switches.import_run * (0.5 + fraction(account.seed, "run", found.id))
        account.agenda.put(at + timedelta(seconds=run), "finish_import", found.id)
    else:
        _finish(account, found, at)


def _finish(account: Account, found: Import, at: datetime) -> None:
    """Lines are taken one by one: what is wrong with one does not hold back the others."""
    found.completed_at = at
    rows = list(_rows(found.text))
    header = next((at for at, (_, cells, _) in enumerate(rows[:2]) if _is_header(cells)), None)  # a row of labels may stand above it
    if header is None:
        found.status = "FAILED"
        return
    names = [cell.strip().lower() for cell in rows[header][1]]
    found.header = rows[header][2]
    for number, cells, text in rows[header + 1 :]:
        if not any(cell.strip() for cell in cells):
            continue
        line = dict(zip(names, (cell.strip() for cell in cells), strict=False))
        if problem := _problem(account, line, len(cells) - len(names)):
            found.errors.append(LineError(number, problem, text))
        else:
            offer = account.offers[line["offer-sku"]]
            offer.quantity = 0 if line.get("update-delete") == "delete" else int(line["quantity"])
            offer.updated_at = at
            account.moved.append((offer.sku, f"import {found.id}"))
            found.applied += 1
    found.status = "COMPLETE"


def _rows(text: str) -> Iterator[tuple[int, list[str], str]]:
    """Number, cells and text of each line; quotes as RFC 4180 has them, semicolons between."""
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    reader = csv.reader(io.StringIO("".join(lines), newline=""), delimiter=";")
    before = 0
    for cells in reader:
        yield before + 1, cells, "".join(lines[before : reader.line_num]).rstrip("\r\n")
        before = reader.line_num


def _is_header(cells: list[str]) -> bool:
    names = [cell.strip().lower() for cell in cells]
    return "offer-sku" in names and "quantity" in names and set(names) <= set(COLUMNS)


def _problem(account: Account, line: dict[str, str], too_many: int) -> str | None:
    sku, quantity = line.get("offer-sku", ""), line.get("quantity", "")
    if too_many > 0:
        return "The line has too many columns"
    if not sku:
        return "The offer SKU is mandatory"
    if sku not in account.offers:
        return f"The offer with SKU {sku} does not exist"
    if line.get("update-delete") not in (None, "", "update", "delete"):
        return "The value of update-delete must be 'update' or 'delete'"
    if line.get("warehouse-code"):
        return f"The warehouse with code {line['warehouse-code']} does not exist"
    if line.get("update-delete") == "delete":
        return None
    if not (quantity.isascii() and quantity.isdigit()) or int(quantity) > LARGEST:
        return "The quantity must be a positive integer or zero"
    return None


def error_report(found: Import) -> str:
    """STO03: the refused lines as they came, with their number and the reason in front."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["line-number", "error-message", *_cells(found.header)])
    for error in found.errors:
        writer.writerow([error.number, error.message, *_cells(error.text)])
    return out.getvalue()


def _cells(text: str) -> list[str]:
    return next(csv.reader(io.StringIO(text, newline=""), delimiter=";"), [])
