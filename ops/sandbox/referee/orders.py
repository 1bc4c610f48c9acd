"""Orders and parcels: one for one, the same on both sides, and nothing said to be shipped that is not."""

from collections.abc import Iterator
from itertools import pairwise

from ops.sandbox.referee.case import (
    LIVE,
    NEVER,
    NOTHING,
    SHIPPED,
    Case,
    Finding,
    Row,
    amount,
    came_to,
    described,
    due,
    is_over,
    moment,
    units,
)

SHIPS = ("mirakl.OR24", "mirakl.ST24", "mirakl.ST01")


def one_for_one(case: Case) -> Iterator[Finding]:
    """O1: each marketplace order that came to be shipped has exactly one Shopify order, and none ever has two."""
    for name, copies in case.copies.items():
        for first, second in pairwise(copies):
            says = f"is in Shopify as {first['name']} and as {second['name']}"
            if _one_call(case, first, second):
                if not (first["cancelled_at"] or second["cancelled_at"]):
                    yield Finding(rule="O1", subject=name, says=f"{says}, since something on the way asked twice", level="open")
            elif not first["cancelled_at"] or moment(first["cancelled_at"]) > moment(second["created_at"]):
                yield Finding(rule="O1", subject=name, says=says, call=case.creation(second))
    if case.told.settled:
        for order in case.orders:
            ours = order["centre"] == "DEFAULT" and not order["hidden"]
            if ours and order["order_id"] not in case.copies and any(line["state"] in LIVE and due(line) for line in order["lines"]):
                yield Finding(rule="O1", subject=order["order_id"], says=f"{order['state']} on the marketplace, and not in Shopify")


def _one_call(case: Case, first: Row, second: Row) -> bool:
    """Whether a single request made both: the shop took it twice, and whoever asked cannot have known."""
    calls = case.created_by(first), case.created_by(second)
    return calls[0] is not None and calls[1] is not None and calls[0]["number"] == calls[1]["number"]


def the_same(case: Case) -> Iterator[Finding]:
    """O2: goods, quantities, prices, tax, shipping, currency and address are those of the marketplace order."""
    for order, copy in case.pairs():
        lines = [line for line in order["lines"] if line["state"] not in NEVER]
        if not lines or any(line["excluded"] or line["cancelations"] for line in order["lines"]):
            continue  # what it was when it was copied cannot be told any more
        differences = list(_differences(order, lines, copy))
        if differences and copy["edited"]:  # by people: an app's edits are not simulated
            yield Finding(rule="O2", subject=order["order_id"], says=f"edited in Shopify: {'; '.join(differences)}", level="open")
        elif differences:
            yield Finding(rule="O2", subject=order["order_id"], says="; ".join(differences), call=case.creation(copy))


def _differences(order: Row, lines: list[Row], copy: Row) -> Iterator[str]:
    if copy["currency"] != order["currency"]:
        yield f"{order['currency']} there, {copy['currency']} here"
        return
    edited = copy["edited"] and not copy["cancelled_at"]
    wanted = units(lines)
    got = units(copy["lines"], (lambda line: line["current_quantity"] + line["refunded"]) if edited else (lambda line: line["quantity"]))
    for sku in sorted({*wanted, *got}, key=str):
        if wanted.get(sku, 0) != got.get(sku, 0):
            yield f"{sku}: {wanted.get(sku, 0)} ordered, {got.get(sku, 0)} in Shopify"
    sums = {
        "goods and shipping": sum(amount(line["price"]) + amount(line["shipping_price"]) for line in lines),
        "shipping": sum(amount(line["shipping_price"]) for line in lines),
        "tax": sum(amount(tax["amount"]) for line in lines for tax in [*line["taxes"], *line["shipping_taxes"]]),
    }
    shipping_tax = sum(amount(tax["amount"]) for line in copy["shipping_lines"] for tax in line["taxes"])
    here = {
        "goods and shipping": amount(copy["total"]),
        "shipping": amount(copy["shipping"]) + (0 if copy["taxes_included"] else shipping_tax),
        "tax": amount(copy["tax"]),
    }
    yield from (f"{what}: {sums[what]} there, {here[what]} here" for what in sums if sums[what] != here[what])
    if copy["redacted"]:
        return  # the shop has erased whose it is
    buyer, address = order["buyer"], copy["shipping_address"] or {}
    for theirs, ours in (("zip_code", "zip"), ("city", "city")):
        if _plain(buyer[theirs]) != _plain(address.get(ours)):
            yield f"{ours} of the address differs"  # what it is belongs into no report
    if _plain(buyer["last_name"]) not in _plain(f"{address.get('firstName')} {address.get('lastName')}"):  # a whole name may be parted
        yield "the name of the address differs"


def _plain(text: str | None) -> str:
    return " ".join((text or "").split()).casefold()


def no_orphans(case: Case) -> Iterator[Finding]:
    """O3: no order that an app made is without its marketplace order."""
    for order in case.shop:
        if order["by_app"] and not order["test"] and case.marketplace_id(order) not in case.by_id:
            yield Finding(rule="O3", subject=order["name"], says="belongs to no marketplace order", call=case.creation(order))


def one_way(case: Case) -> Iterator[Finding]:
    """O4: what is over stays over: nothing leaves for an order that was cancelled."""
    for order, copy in case.pairs():
        for parcel in copy["fulfillments"]:
            if copy["cancelled_at"] and moment(parcel["created_at"]) > moment(copy["cancelled_at"]):
                call = next(iter(case.effective(parcel["id"].rpartition("/")[2], "shopify.fulfillmentCreate")), None)
                yield Finding(
                    rule="O4", subject=order["order_id"], says="a parcel left after the order was cancelled", call=described(call)
                )


def answered_once(case: Case) -> Iterator[Finding]:
    """O5: accepted or refused once, and in time."""
    for order in case.orders:
        answers = case.effective(order["order_id"], "mirakl.OR21")
        if len(answers) > 1:
            yield Finding(rule="O5", subject=order["order_id"], says=f"answered {len(answers)} times", call=described(answers[1]))
        if order["reason"] == "ACCEPTANCE_TIMEOUT":
            yield Finding(rule="O5", subject=order["order_id"], says="nobody accepted or refused it in time")


def cancelled_on_both(case: Case) -> Iterator[Finding]:
    """O6: what was cancelled before it left is cancelled on the other side too, and does not leave."""
    if not case.told.settled:
        return
    for order, copy in case.pairs():
        over = is_over(order)
        left = any(parcel["status"] == "SUCCESS" for parcel in copy["fulfillments"])
        if over and not copy["cancelled_at"]:
            if left:
                yield Finding(rule="O6", subject=order["order_id"], says=f"cancelled there, but {copy['name']} has left", level="open")
            elif any(one["remaining"] for one in copy["fulfillment_orders"] if one["status"] not in ("CLOSED", "CANCELLED")):
                yield Finding(rule="O6", subject=order["order_id"], says=f"{order['state']} there, {copy['name']} is still to be packed")
        if over and copy["cancelled_at"] and any(line["claimed"] for line in copy["lines"]):
            yield Finding(rule="O6", subject=order["order_id"], says=f"{copy['name']} still holds its units")
        if copy["cancelled_at"] and not over and order["state"] not in NEVER and not _paid_back(order):
            if order["state"] in SHIPPED:
                yield Finding(
                    rule="O6", subject=order["order_id"], says=f"{copy['name']} is cancelled, the other side {order['state']}", level="open"
                )
            elif not _refunded(order):
                yield Finding(rule="O6", subject=order["order_id"], says=f"{copy['name']} is cancelled, and the marketplace does not know")


def _paid_back(order: Row) -> bool:
    """Nothing is left of it to settle, whatever it is called there."""
    return all(sum((amount(refund["total"]) for refund in line["refunds"]), NOTHING) >= came_to(line) for line in order["lines"])


def _refunded(order: Row) -> bool:
    return any(line.get("refunds") or line.get("cancelations") for line in order["lines"])


# ----------------------------------------------------------------------------------------------------------- parcels


def nothing_said_before(case: Case) -> Iterator[Finding]:
    """F1: the marketplace is told of a parcel only once Shopify has it, and all that is said to have left."""
    for order, copy in case.pairs():
        ordered = units(order["lines"], due)
        for call in case.effective(order["order_id"], "mirakl.OR23", *SHIPS):
            gone = _gone(copy, call["at"])
            whole = any(change["op"] == "mirakl.OR24" for change in call["changes"])
            wanted = ordered if whole else {}
            if not gone or any(gone.get(sku, 0) < quantity for sku, quantity in wanted.items()):
                there = sum(gone.values())
                says = f"told as shipped when {there} of {sum(ordered.values())} units had left"
                yield Finding(rule="F1", subject=order["order_id"], says=says, call=described(call))
    for order in case.orders:
        if order["order_id"] not in case.copies:
            for call in case.effective(order["order_id"], *SHIPS):
                yield Finding(rule="F1", subject=order["order_id"], says="told as shipped, and not in Shopify at all", call=described(call))


def _gone(copy: Row, at: str) -> dict[str, int]:
    """Units that had left by then, as Shopify knew it then."""
    there = [
        parcel
        for parcel in copy["fulfillments"]
        if moment(parcel["created_at"]) <= moment(at) and (parcel["status"] == "SUCCESS" or moment(parcel["updated_at"]) > moment(at))
    ]
    return units(line for parcel in there for line in parcel["lines"])


def no_more_than_left(case: Case) -> Iterator[Finding]:
    """F2: what the marketplace was told has left, has. F4: a parcel taken back after that is for a person to settle."""
    for order, copy in case.pairs():
        calls = case.effective(order["order_id"], *SHIPS)
        if not calls:
            continue
        said = _said_shipped(order)
        gone = units(line for parcel in copy["fulfillments"] if parcel["status"] == "SUCCESS" for line in parcel["lines"])
        lacking = {sku: quantity - gone.get(sku, 0) for sku, quantity in said.items() if quantity > gone.get(sku, 0)}
        if not lacking:
            continue
        missing = ", ".join(f"{quantity} of {sku}" for sku, quantity in lacking.items())
        if any(parcel["status"] == "CANCELLED" for parcel in copy["fulfillments"]):
            yield Finding(rule="F4", subject=order["order_id"], says=f"taken back after it was told as shipped: {missing}", level="open")
        else:
            call = described(calls[-1])
            yield Finding(rule="F2", subject=order["order_id"], says=f"told as shipped and never left: {missing}", call=call)


def _said_shipped(order: Row) -> dict[str, int]:
    if shipments := order.get("shipments"):
        skus = {line["order_line_id"]: line["sku"] for line in order["lines"]}
        return units(
            {"sku": skus[line], "quantity": quantity}
            for one in shipments
            if one["state"] in SHIPPED
            for line, quantity in one["units"].items()
        )
    return units(order["lines"], lambda line: due(line) if line["state"] in SHIPPED else 0)


def tracked(case: Case) -> Iterator[Finding]:
    """F3: no parcel is told twice; in the end every parcel is told, under its last tracking number."""
    for order, copy in case.pairs():
        told = [one["tracking"]["number"] for one in order.get("shipments") or [] if one["tracking"]["number"]]
        for number in sorted({number for number in told if told.count(number) > 1}):
            yield Finding(rule="F3", subject=order["order_id"], says=f"parcel {number} is there {told.count(number)} times")
        if case.told.settled and order["state"] not in NEVER:
            yield from _untold(case, order, copy, told or [order["tracking"]["number"]])


def _untold(case: Case, order: Row, copy: Row, told: list[str | None]) -> Iterator[Finding]:
    if order["state"] == "SHIPPING" and copy["fulfillment_status"] == "FULFILLED":
        yield Finding(rule="F3", subject=order["order_id"], says=f"all of {copy['name']} has left, and the marketplace does not know")
    parcels = [parcel for parcel in copy["fulfillments"] if parcel["status"] == "SUCCESS" and parcel["numbers"]]
    if order["state"] not in SHIPPED or not parcels or not case.effective(order["order_id"], *SHIPS):
        return
    known = {number for parcel in parcels for number in parcel["numbers"]}
    if stale := [number for number in told if number is not None and number not in known]:
        calls = case.effective(order["order_id"], "mirakl.OR23", "mirakl.ST01", "mirakl.ST23")
        says = f"tracked as {', '.join(stale)}, which no parcel is any more"
        yield Finding(rule="F3", subject=order["order_id"], says=says, call=described(calls[-1] if calls else None))
    elif not any(told):
        yield Finding(rule="F3", subject=order["order_id"], says="shipped without the tracking number that Shopify has", level="open")


RULES = (
    one_for_one,
    the_same,
    no_orphans,
    one_way,
    answered_once,
    cancelled_on_both,
    nothing_said_before,
    no_more_than_left,
    tracked,
)
