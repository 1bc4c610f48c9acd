"""Asynchronous exports of offers and of the ledger: asked for, ready later, fetched file by file, gone after a while."""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import msgspec

from ops.sandbox.mirakl import offer_shapes, prices, statement
from ops.sandbox.mirakl.bookkeeping import identity
from ops.sandbox.mirakl.goods import Extract, Offer
from ops.sandbox.mirakl.state import Account, RefusedError
from ops.sandbox.money import number

ENCODER = msgspec.json.Encoder(decimal_format="number", order="deterministic")
ROWS = 10_000  # a file holds unless something else is asked for
MEGABYTE = 1024 * 1024


def ask_for_offers(account: Account, asked: dict[str, Any], at: datetime) -> str:
    """OF52. The same again soon after is handed the earlier one's id."""
    text = ENCODER.encode(asked).decode()
    recently = at - timedelta(seconds=account.switches.export_repeats)
    for earlier in reversed(account.extracts.values()):
        if earlier.created_at <= recently:
            break
        if (earlier.operation, earlier.asked) == ("OF52", text) and earlier.status != "FAILED":
            return earlier.id
    return _ask(account, "OF52", text, at, asked.get("export_type", "text/csv"))


def ask_for_ledger(account: Account, asked: dict[str, Any], at: datetime) -> str:
    """TL03: always a new one."""
    kind = "application/x-ndjson" if asked.get("format") == "NDJSON" else "application/json"
    return _ask(account, "TL03", ENCODER.encode(asked).decode(), at, kind)


def _ask(account: Account, operation: str, asked: str, at: datetime, kind: str) -> str:
    number = len(account.extracts) + 1
    made = Extract(id=identity(account, "export", number), operation=operation, asked=asked, created_at=at, updated_at=at, kind=kind)
    account.extracts[made.id] = made
    account.agenda.put(at + timedelta(seconds=account.switches.export_delay), "make_export", made.id)
    return made.id


def fall_due(account: Account, what: str, ref: str, at: datetime) -> None:
    found = account.extracts[ref]
    found.updated_at = at
    if what == "drop_export":
        found.files = []
    elif account.switches.exports_fail or account.switches.exports_cancelled:
        found.status = "FAILED" if account.switches.exports_fail or found.operation == "OF52" else "CANCELED"
    else:
        asked = msgspec.json.decode(found.asked)
        made = _offers(account, asked, at) if found.operation == "OF52" else _ledger(account, asked)
        found.files, found.status = [zlib.compress(file, 1) for file in made], "COMPLETED"
        account.agenda.put(at + timedelta(seconds=account.switches.export_keeps), "drop_export", ref)


def file_of(account: Account, operation: str, export: str, number: str) -> tuple[bytes, str]:
    """The content of a file, counted from 1, and its kind. Raises RefusedError where there is none, or none any more."""
    found = account.extracts.get(export)
    if found is None or found.operation != operation:
        raise RefusedError(404, f"Export with identifier '{export}' not found")
    if not number.isdecimal() or not 1 <= int(number) <= len(found.files):
        raise RefusedError(404 if found.files or found.status != "COMPLETED" else 410, "The file is not there, or not any more")
    return zlib.decompress(found.files[int(number) - 1]), found.kind


def _offers(account: Account, asked: dict[str, Any], at: datetime) -> Iterator[bytes]:
    """All that sell; since a moment, all that changed, the idle and the deleted too."""
    channels = asked.get("channel_codes")
    fields, renamed = asked.get("include_fields") or [], asked.get("rename_fields") or {}
    as_json = asked.get("export_type") == "application/json"
    rows = []
    for offer in _chosen(account, asked):
        row = offer_shapes.exported(account, offer, at)
        if channels and not set(channels) & set(row["channels"]):
            continue
        if "last_request_date" not in asked and not asked.get("include_inactive_offers") and not row["active"]:
            continue
        if as_json:
            rows.append({name: value for name, value in row.items() if not fields or name in fields})
        else:
            rows.append(row | {"price_now": number(prices.applicable(offer, at).each(at), account.currency)})
    if as_json:
        return _files(account, asked, rows, lambda some: b"[" + b",".join(some) + b"]")
    size = _rows(account, asked)
    parts = [rows[n : n + size] for n in range(0, len(rows), size)] or [[]]
    return (offer_shapes.as_csv(part, fields, renamed) for part in parts)


def _chosen(account: Account, asked: Mapping[str, Any]) -> Iterable[Offer]:
    if not asked.get("last_request_date"):
        return account.offers.values()
    since = datetime.fromisoformat(asked["last_request_date"]).astimezone(UTC)
    everything = [*account.offers.values(), *account.gone.values()]
    return sorted((offer for offer in everything if offer.updated_at >= since), key=lambda offer: (offer.updated_at, offer.id))


def _ledger(account: Account, asked: dict[str, Any]) -> Iterator[bytes]:
    if asked.get("format") == "NDJSON":
        return _files(account, asked, statement.rows(account, asked), lambda some: b"".join(line + b"\n" for line in some))
    return _files(account, asked, statement.rows(account, asked), lambda some: b"[" + b",".join(some) + b"]")


def _rows(account: Account, asked: Mapping[str, Any]) -> int:
    return min(int(asked.get("items_per_chunk") or ROWS), account.switches.export_items or ROWS)


def _files(account: Account, asked: Mapping[str, Any], rows: Iterable[dict[str, Any]], joined: Any) -> Iterator[bytes]:
    """No file holds more rows, or more megabytes, than was asked; there is always one."""
    most, size = int(asked.get("megabytes_per_chunk") or 100) * MEGABYTE, _rows(account, asked)
    encoded = (ENCODER.encode(row) for row in rows)
    first = True
    while True:
        part, weight = [], 0
        for line in islice(encoded, size):
            part.append(line)
            weight += len(line) + 1
            if weight >= most:
                break
        if not part and not first:
            return
        first = False
        yield joined(part)
