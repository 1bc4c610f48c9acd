"""What a stock file does: quantities of offers, in all or by warehouse."""

from datetime import datetime

from ops.sandbox.chance import happens
from ops.sandbox.mirakl import offers
from ops.sandbox.mirakl.csv_files import Table
from ops.sandbox.mirakl.goods import Import, LineError
from ops.sandbox.mirakl.state import Account

COLUMNS = ("offer-sku", "quantity", "warehouse-code", "update-delete")
LARGEST = 10**9
LOCKED = "The offer is being updated by another process"  # what chance says to a line that has nothing wrong with it


def carry_out(account: Account, found: Import, table: Table, at: datetime) -> None:
    """Lines are taken one by one: what is wrong with one does not hold back the others."""
    fails, seen = account.switches.line_fails, set()
    touched = set()
    for row in table.rows:
        cells = row.cells
        sku, warehouse = cells.get("offer-sku", ""), cells.get("warehouse-code") or None
        problem = "The line has too many columns" if row.surplus else _problem(account, cells)
        if problem is None and account.switches.repeated_lines == "refused" and (sku, warehouse) in seen:
            problem = f"The offer with SKU {sku} is in the file already"
        if problem is None and fails and happens(account.seed, fails, "line fails", found.id, row.number):
            problem = LOCKED
        if problem is not None:
            found.errors.append(LineError(row.number, problem, table.text(row)))
            continue
        seen.add((sku, warehouse))
        quantity = None if cells.get("update-delete") == "delete" else int(cells["quantity"])
        offers.set_quantity(account, account.offers[sku], quantity, at, why=f"import {found.id}", warehouse=warehouse)
        touched.add(sku)
        found.applied += 1
    found.offers_updated = len(touched)


def _problem(account: Account, line: dict[str, str]) -> str | None:
    sku, quantity = line.get("offer-sku", ""), line.get("quantity", "")
    if not sku:
        return "The offer SKU is mandatory"
    if sku not in account.offers:
        return f"The offer with SKU {sku} does not exist"
    if line.get("update-delete") not in (None, "", "update", "delete"):
        return "The value of update-delete must be 'update' or 'delete'"
    if (warehouse := line.get("warehouse-code")) and warehouse not in account.switches.warehouses:
        return f"The warehouse with code {warehouse} does not exist"
    if line.get("update-delete") == "delete":
        return None
    zero = account.switches.zero_quantity
    if not (quantity.isascii() and quantity.isdigit()) or int(quantity) > LARGEST or (int(quantity) == 0 and not zero):
        return f"The quantity must be a positive integer{' or zero' * zero}"
    return None
