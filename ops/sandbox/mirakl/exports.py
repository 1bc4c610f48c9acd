"""Orders exported to files: OR13 asks for them, OR14 tells how far they are, OR15 hands them out."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from ops.sandbox.mirakl import search, shapes
from ops.sandbox.mirakl.state import Account, Export, RefusedError, identifier

DEFAULT_ITEMS, DEFAULT_MEGABYTES = 100_000, 256
KEPT = 3  # exports whose files are still there
ENCODER = msgspec.json.Encoder(decimal_format="number")


def begin(account: Account, asked: dict[str, Any], at: datetime) -> str:
    """OR13. One at a time; each date comes with its partner. Returns the tracking id."""
    pairs = [(asked.get(f"start_{what}date"), asked.get(f"end_{what}date")) for what in ("", "update_")]
    if any((start is None) != (end is None) for start, end in pairs):
        raise RefusedError(400, "A start date must be used with its end date")
    if all(start is None for start, _ in pairs):
        raise RefusedError(400, "At least one date range filter is mandatory: created or last updated date")
    if any(export.status == "PENDING" for export in account.exports.values()):
        raise RefusedError(400, "Only one export request can be created for the same shop account")
    account.last_export += 1
    export = Export(id=identifier(account.seed, "order export", account.last_export), created_at=at, updated_at=at, asked=asked)
    account.exports[export.id] = export
    account.agenda.put(at + timedelta(seconds=account.switches.export_delay), "export", export.id)
    return export.id


def known(account: Account, tracking_id: str) -> Export:
    export = account.exports.get(tracking_id)
    if export is None:
        raise RefusedError(404, f"Export with identifier '{tracking_id}' not found")
    return export


def file(account: Account, tracking_id: str, number: int) -> str:
    export = known(account, tracking_id)
    if not 1 <= number <= len(export.files):
        raise RefusedError(410 if export.status == "COMPLETED" else 404, "The file is not there, or not any more")
    return export.files[number - 1]


def fall_due(account: Account, what: str, ref: str, at: datetime) -> None:
    export = account.exports[ref]
    export.updated_at = at
    if account.switches.exports_fail or account.switches.exports_cancelled:
        export.status = "FAILED" if account.switches.exports_fail else "CANCELED"
        return
    mode = export.asked.get("order_tax_mode") or account.switches.tax_mode
    found = [account.orders[account.book.ids[number - 1]] for number in search.find(account, export.asked)]
    export.files = _files(account, [ENCODER.encode(shapes.order(account, order, mode)).decode() for order in found], export.asked)
    export.status = "COMPLETED"
    for old in list(account.exports.values())[:-KEPT]:
        old.files = []


def _files(account: Account, rendered: list[str], asked: dict[str, Any]) -> list[str]:
    """As few as the limits of items and of megabytes allow, and at least one."""
    most_items = account.switches.export_items or asked.get("items_per_chunk", DEFAULT_ITEMS)
    most_bytes = asked.get("megabytes_per_chunk", DEFAULT_MEGABYTES) * 1024 * 1024
    chunks: list[list[str]] = [[]]
    size = 0
    for order in rendered:
        if chunks[-1] and (len(chunks[-1]) >= most_items or size + len(order) > most_bytes):
            chunks.append([])
            size = 0
        chunks[-1].append(order)
        size += len(order)
    return [f'{{"orders":[{",".join(chunk)}]}}' for chunk in chunks]
