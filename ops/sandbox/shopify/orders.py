"""Orders changed after they were made: by the app (fields, tags, paid, closed) and by people in the merchant's admin (edited, deleted)."""

from datetime import datetime
from typing import Any

from ops.sandbox.shopify import index, metafields, payments, routing, totals
from ops.sandbox.shopify.creation import clean_tags, of_variant, tag_problem
from ops.sandbox.shopify.state import Attribution, Bag, Line, Order, Problem, RefusedError, Shop, Transaction, namespace_of, number_of
from ops.sandbox.shopify.webhooks import emit, touch

Input = dict[str, Any]

GIVEN = {"email": "email", "phone": "phone", "note": "note", "poNumber": "po_number", "shippingAddress": "shipping_address"}


def update(shop: Shop, wanted: Input, at: datetime) -> int:
    """What is given replaces what was, tags and attributes as a whole. Returns the order's number."""
    order = _order(shop, wanted["id"])
    tags = clean_tags(wanted["tags"]) if wanted.get("tags") is not None else order.tags
    if says := tag_problem(shop, tags):
        raise _refused("tags", says)
    fields = wanted.get("metafields") or []
    if problems := list(metafields.problems(shop, [one for one in fields if not _own(order, one)])):
        raise RefusedError(*(Problem(problem.field and problem.field[1:], problem.message) for problem in problems))
    order.tags = tags
    for name, kept in GIVEN.items():
        if name in wanted:
            setattr(order, kept, wanted[name])
    if wanted.get("customAttributes") is not None:
        order.attributes = [(one["key"], one["value"]) for one in wanted["customAttributes"]]
    for one in fields:
        metafields.set_on(shop, order, one, at)
    touch(shop, order, at)
    return order.id


def _own(order: Order, one: Input) -> bool:
    """Whether the order itself holds that very value."""
    key = (namespace_of(one.get("namespace")), one.get("key"), one.get("value"))
    return any((known.namespace, known.key, known.value) == key for known in order.metafields)


def add_tags(shop: Shop, order: str, tags: list[str], at: datetime) -> int:
    """A set operation; nothing is told where nothing changes."""
    found = _order(shop, order)
    return _retag(shop, found, clean_tags([*found.tags, *tags]), at)


def remove_tags(shop: Shop, order: str, tags: list[str], at: datetime) -> int:
    found = _order(shop, order)
    gone = {tag.lower() for tag in clean_tags(tags)}
    return _retag(shop, found, [tag for tag in found.tags if tag.lower() not in gone], at)


def _retag(shop: Shop, order: Order, tags: list[str], at: datetime) -> int:
    if says := tag_problem(shop, tags):
        raise _refused("tags", says)
    if tags != order.tags:
        order.tags = tags
        touch(shop, order, at)
    return order.id


def close(shop: Shop, order: str, at: datetime) -> int:
    found = _order(shop, order)
    if found.closed_at is None:
        found.closed_at = at
        touch(shop, found, at)
    return found.id


def mark_paid(shop: Shop, order: str, at: datetime) -> int:
    """What is outstanding was paid outside of Shopify."""
    found = _order(shop, order)
    due = totals.outstanding(shop, found)
    if due.shop <= 0 or found.cancelled_at is not None:
        raise _refused("id", "Order cannot be marked as paid.")
    paid = Transaction(shop.new_id(), "SALE", "SUCCESS", "manual", due, created_at=at, processed_at=at)
    found.transactions.append(paid)
    found.financial_status = totals.financial_status(found)
    payments.tell(shop, found, paid, at)
    emit(shop, "orders/paid", (found.id,), at)
    touch(shop, found, at)
    return found.id


def define_attribution(shop: Shop, wanted: Input, at: datetime) -> str:
    """Once more under the same handle changes it. Returns the handle."""
    handle = str(wanted["handle"]).strip()
    if not handle or not wanted["displayName"].strip():
        raise RefusedError(Problem(("input", "handle"), "Handle and display name can't be blank", "INVALID"))
    known = shop.attributions.get(handle)
    number = known.id if known else shop.new_id()
    shop.attributions[handle] = Attribution(number, handle, wanted["displayName"], wanted.get("icon"))
    return handle


# ------------------------------------------------------------------------------------------------------------ by people


def edit(
    shop: Shop,
    order: int,
    at: datetime,
    *,
    quantities: dict[str, int] | None = None,
    add: list[tuple[str, int]] | None = None,
    address: dict[str, str | None] | None = None,
    restock: bool = True,
) -> int:
    """Someone edits an order that waits: how many of a line are wanted, further SKUs, another address. Returns the edit's number.

    A line can lose only what has not left. What is added is owed; what is taken off was perhaps paid: money is another matter.
    """
    found = shop.orders.get(order)
    if found is None or found.cancelled_at is not None:
        raise _refused("order", "Order can't be edited.")
    changes: list[tuple[Line, int]] = []
    for named, wanted in (quantities or {}).items():
        line = found.line(int(named))
        if line is None or wanted < 0 or line.current - wanted > line.unfulfilled:
            raise _refused("quantities", "Not so many can be taken off that line.")
        changes.append((line, wanted - line.current))
    if any(not shop.skus.get(sku) or quantity < 1 for sku, quantity in add or []):
        raise _refused("add", "There is no variant of that SKU.")
    additions: list[tuple[int, int]] = []
    removals: list[tuple[int, int]] = []
    for line, difference in changes:
        if difference < 0:
            line.dropped -= difference
            routing.take_off(shop, found, line, -difference, at, restock=restock)
            removals.append((line.id, -difference))
        elif difference > 0:
            _grow(line, difference)
            routing.add_units(shop, found, line, difference, at)
            additions.append((line.id, difference))
    for sku, quantity in add or []:
        variant = shop.variants[shop.skus[sku][0]]
        line = of_variant(shop, variant.id, quantity, Bag(variant.price, variant.price), requires_shipping=True)
        found.lines.append(line)
        routing.add_units(shop, found, line, quantity, at)
        additions.append((line.id, quantity))
    if address is not None:
        found.shipping_address = address
    number = shop.new_id()
    if additions or removals:
        found.edited = True
        found.financial_status = totals.financial_status(found)
        flat = [value for row in [(len(additions), 0), *additions, *removals] for value in row]
        emit(shop, "orders/edited", (found.id, number, *flat), at)
    touch(shop, found, at)
    return number


def _grow(line: Line, units: int) -> None:
    """The tax grows with the quantity."""
    before = line.quantity
    line.quantity += units
    for tax in line.taxes:
        tax.amount = totals.part(tax.amount, line.quantity, before)


def delete(shop: Shop, order: int, at: datetime) -> None:
    """An order that was cancelled or archived is gone for good; ids that were unique are free again."""
    found = shop.orders.get(order)
    if found is None or (found.cancelled_at is None and found.closed_at is None):
        raise _refused("order", "Only archived or cancelled orders can be deleted.")
    if any(parcel.remaining for parcel in routing.alive(shop, found)):
        raise _refused("order", "Units of the order still wait to be sent.")
    for held in [value for value, number in shop.unique_values.items() if number == order]:
        del shop.unique_values[held]
    for tender in [tender for tender, (number, _) in shop.tenders.items() if number == order]:
        del shop.tenders[tender]
    for kept, numbers in (
        (shop.fulfillment_orders, found.fulfillment_orders),
        (shop.fulfillments, found.fulfillments),
        (shop.refunds, found.refunds),
        (shop.returns, found.returns),
    ):
        for number in numbers:
            kept.pop(number, None)
    del shop.orders[order]
    index.forget(shop, order, at)
    emit(shop, "orders/delete", (order,), at)


def _order(shop: Shop, order: str) -> Order:
    found = shop.orders.get(number_of(order, "Order"))
    if found is None:
        raise _refused("id", "Order does not exist")
    return found


def _refused(where: str, message: str) -> RefusedError:
    return RefusedError(Problem((where,), message))
