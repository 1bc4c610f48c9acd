"""What a price file does: for each offer in it, these prices and no others."""

from datetime import datetime

from ops.sandbox.chance import happens
from ops.sandbox.mirakl import offers, prices
from ops.sandbox.mirakl.csv_files import Row, Table
from ops.sandbox.mirakl.goods import Import, LineError, Price
from ops.sandbox.mirakl.state import Account
from ops.sandbox.mirakl.stock import LOCKED

BESIDE = "Another price of the offer is in error"


def carry_out(account: Account, found: Import, table: Table, at: datetime) -> None:
    """An offer gets all its prices or keeps the old ones; what is wrong with one offer does not hold back the others."""
    lines: dict[str, list[Row]] = {}
    for row in table.rows:
        lines.setdefault(row.cells.get("offer-sku", ""), []).append(row)
    for sku, rows in lines.items():
        wanted = _read(account, found, sku, rows)
        if isinstance(wanted, dict):
            found.offers_in_error += 1
            found.errors += [LineError(row.number, wanted.get(row.number, BESIDE), table.text(row)) for row in rows]
        else:
            offers.set_prices(account, account.offers[sku], wanted, at)
            found.offers_updated += 1
            found.applied += len(rows)
    found.errors.sort(key=lambda error: error.number)


def _read(account: Account, found: Import, sku: str, rows: list[Row]) -> list[Price] | dict[int, str]:
    """The prices of one offer; or what is wrong, by the number of the line."""
    if not sku:
        return {row.number: "The offer SKU is mandatory" for row in rows}
    if sku not in account.offers:
        return {row.number: f"The offer with SKU {sku} does not exist" for row in rows}
    good: list[Price] = []
    wrong: dict[int, str] = {}
    fails = account.switches.line_fails
    for row in rows:
        read = "The line has too many columns" if row.surplus else prices.read(account, row.cells)
        if fails and happens(account.seed, fails, "line fails", found.id, row.number):
            read = LOCKED
        if isinstance(read, str):
            wrong[row.number] = read
        else:
            good.append(read)
    if wrong:
        return wrong
    together = prices.together(good)
    return {row.number: together for row in rows} if isinstance(together, str) else together
