"""Files on their way: accepted at once, run later, line by line, each for itself. What runs them is the same for stock and prices."""

import csv
import hashlib
import io
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal

from ops.sandbox.chance import fraction, happens
from ops.sandbox.mirakl import prices, pricing, stock
from ops.sandbox.mirakl.csv_files import Table, parse
from ops.sandbox.mirakl.goods import Import
from ops.sandbox.mirakl.state import Account, RefusedError

Kind = Literal["stock", "price"]
READS: dict[str, tuple[tuple[str, ...], tuple[str, ...], Callable[[Account, Import, Table, datetime], None]]] = {
    "stock": (("offer-sku", "quantity"), stock.COLUMNS, stock.carry_out),
    "price": (("offer-sku", "price"), prices.COLUMNS, pricing.carry_out),
}


def upload_stock(account: Account, text: str, at: datetime) -> str:
    """STO01. Accepted is not imported. Returns the import's id."""
    return _upload(account, "stock", text, at)


def upload_prices(account: Account, text: str, at: datetime) -> str:
    """PRI01, likewise."""
    return _upload(account, "price", text, at)


def _upload(account: Account, kind: Kind, text: str, at: datetime) -> str:
    switches = account.switches
    mark = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    if switches.identical_files == "same_import":
        for earlier in reversed(account.imports.values()):
            if (earlier.kind, earlier.mark) == (kind, mark) and earlier.status != "FAILED":
                return earlier.id
    account.last_import += 1
    wait = _vary(account, switches.import_wait, "import", account.last_import)
    made = Import(
        id=f"{2000 + account.last_import}", kind=kind, created_at=at, text=text, mark=mark, starts_at=at + timedelta(seconds=wait)
    )
    made.stuck = switches.imports_stuck or _hangs(account, made)
    account.imports[made.id] = made
    if not (made.stuck and switches.stuck_at == "WAITING") and not _must_queue(account, made):
        account.agenda.put(made.starts_at, "start_import", made.id)
    return made.id


def _vary(account: Account, seconds: float, *question: object) -> float:
    spread = account.switches.import_spread
    return seconds * (1 - spread + 2 * spread * fraction(account.seed, *question))


def _hangs(account: Account, found: Import) -> bool:
    return happens(account.seed, account.switches.import_stuck, "import hangs", found.id)


def _must_queue(account: Account, found: Import) -> bool:
    """Whether another file has to be done first."""
    if not account.switches.imports_serial:
        return False
    return any(other.id != found.id and other.status in ("WAITING", "RUNNING") for other in _unfinished(account))


def _unfinished(account: Account) -> list[Import]:
    """The oldest first. Imports end in about the order in which they came, so the search is short."""
    found = []
    done = 0
    for one in reversed(account.imports.values()):
        if one.status in ("WAITING", "RUNNING"):
            found.append(one)
            done = 0
        elif (done := done + 1) > LOOK_BACK:
            break
    return found[::-1]


LOOK_BACK = 100  # finished imports in a row after which no unfinished one is expected


def fall_due(account: Account, what: str, ref: str, at: datetime) -> None:
    found = account.imports[ref]
    if what == "start_import" and found.status == "WAITING":
        found.status = "RUNNING"
        if not found.stuck:
            run = _vary(account, account.switches.import_run, "run", found.id)
            account.agenda.put(at + timedelta(seconds=run), "finish_import", found.id)
    elif what == "finish_import" and found.status == "RUNNING":
        _finish(account, found, at)
        if account.switches.imports_serial and (waiting := next((one for one in _unfinished(account) if not one.stuck), None)):
            account.agenda.put(max(at, waiting.starts_at), "start_import", waiting.id)


def _finish(account: Account, found: Import, at: datetime) -> None:
    switches = account.switches
    found.completed_at, text, found.text = at, found.text, ""
    needed, columns, carry_out = READS[found.kind]
    table = parse(text, needed, columns)
    if table is None:
        found.reason = "The file has no header, or one that is not understood"
    elif switches.import_rows and len(table.rows) > switches.import_rows:
        found.reason = f"The file has more than {switches.import_rows} lines"
    elif happens(account.seed, switches.import_fails, "import fails", found.id):
        found.reason = "The file could not be processed"
    else:
        found.header = table.header
        carry_out(account, found, table, at)
        found.status = "COMPLETE"
        return
    found.status = "FAILED"


def resume(account: Account, import_id: str, at: datetime) -> None:
    """Somebody at the operator's gets a stuck import going again."""
    found = account.imports.get(import_id)
    if found is None or not found.stuck or found.status not in ("WAITING", "RUNNING"):
        raise RefusedError(409, f"The import {import_id} is not stuck")
    found.stuck = False
    account.agenda.put(at, "start_import" if found.status == "WAITING" else "finish_import", found.id)


def resume_all(account: Account, at: datetime) -> None:
    """Imports hang no longer, save those that chance has chosen."""
    if not account.switches.imports_stuck:
        for found in _unfinished(account):
            if found.stuck and not _hangs(account, found):
                resume(account, found.id, at)


# -------------------------------------------------------------------------------------------------------------- the report


FRENCH = {
    "does not exist": "n'existe pas",
    "is mandatory": "est obligatoire",
    "must be": "doit être",
    "The offer": "L'offre",
    "The quantity": "La quantité",
    "The price": "Le prix",
    "The line": "La ligne",
    "already": "déjà",
}


def error_report(account: Account, found: Import) -> bytes:
    """STO03 and PRI03: the refused lines as they came, with their number and the reason in front."""
    switches = account.switches
    french = switches.report_locale == "fr_FR"
    quoting: Any = csv.QUOTE_ALL if switches.report_quotes == "all" else csv.QUOTE_MINIMAL
    out = io.StringIO()
    writer = csv.writer(out, delimiter=switches.report_delimiter, quoting=quoting, lineterminator="\n")
    titles = ("numéro-ligne", "message-erreur") if french else ("line-number", "error-message")
    writer.writerow([*titles, *_cells(found.header)])
    for error in found.errors:
        message = error.message
        for english, other in FRENCH.items() if french else ():
            message = message.replace(english, other)
        writer.writerow([error.number, message, *_cells(error.text)])
    return out.getvalue().encode(switches.report_charset, "replace")


def _cells(text: str) -> list[str]:
    return next(csv.reader(io.StringIO(text, newline=""), delimiter=";"), [])
