"""Orders made: by an app through orderCreate with all its defaults, or by a buyer on the shop's own website."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ops.sandbox.money import minor, share, tax_within
from ops.sandbox.shopify import customers, index, metafields, payments, stock, totals
from ops.sandbox.shopify.state import (
    APP_ID,
    NOTHING,
    WEB_STORE_ID,
    Bag,
    Line,
    NotSimulatedError,
    Order,
    Problem,
    RefusedError,
    ShippingLine,
    Shop,
    TaxLine,
    Transaction,
    number_of,
)
from ops.sandbox.shopify.webhooks import emit

RESERVED_SOURCES = ("web", "pos", "shopify_draft_order", "iphone", "android")
UNKNOWN_ROOMS = "companyLocationId fulfillment fulfillmentStatus userId"  # of an order's input

Input = dict[str, Any]


# --------------------------------------------------------------------------------------------------------------- creation


def create_order(shop: Shop, wanted: Input, options: Input | None, at: datetime) -> int:
    """What an app asks for. Returns the order's number; raises RefusedError with every problem found."""
    for room in UNKNOWN_ROOMS.split():
        if wanted.get(room) is not None:
            raise NotSimulatedError(f"orderCreate with {room} is not simulated")
    behaviour = (options or {}).get("inventoryBehaviour") or "BYPASS"
    order = _blank(shop, wanted, at)
    if problems := list(_problems(shop, wanted, order)):
        raise RefusedError(*problems)
    order.metafields = metafields.made(shop, wanted.get("metafields") or [], at)
    order.lines = [_line(shop, order, line) for line in wanted["lineItems"]]
    order.shipping_lines = [_shipping_line(shop, order, line) for line in wanted.get("shippingLines") or []]
    _discount(order, wanted.get("discountCode") or {})
    for line, asked in zip(order.lines, wanted["lineItems"], strict=True):
        line.taxes = [_tax(order, tax, totals.line_total(line)) for tax in asked.get("taxLines") or []]
    order.customer_id = customers.customer_of(shop, wanted, at)
    order.transactions = [_transaction(shop, order, paid, at) for paid in wanted.get("transactions") or []]
    order.taxes = [_tax(order, tax, totals.subtotal(order) + totals.shipping(order)) for tax in wanted.get("taxLines") or []]
    order.financial_status = wanted.get("financialStatus") or totals.financial_status(order)
    if behaviour == "DECREMENT_OBEYING_POLICY" and (missing := _unclaimable(shop, order)):
        message = f"Unable to claim inventory for {missing}"
        raise RefusedError(Problem(("order", "lineItems"), message, "INVENTORY_CLAIM_FAILED"))
    if shop.switches.orders_per_minute is not None:
        shop.orders_created = [when for when in shop.orders_created if at - when < timedelta(minutes=1)] + [at]
    _place(shop, order, at, claims=behaviour != "BYPASS")
    return order.id


def too_many_orders(shop: Shop, at: datetime) -> bool:
    limit = shop.switches.orders_per_minute
    return limit is not None and sum(at - when < timedelta(minutes=1) for when in shop.orders_created) >= limit


def checkout(shop: Shop, lines: list[tuple[str, int]], address: Input, email: str, at: datetime, *, test: bool = False) -> int | None:
    """A buyer on the shop's own website. None if something is not for sale any more."""
    variants = [(shop.variants[shop.skus[sku][0]], quantity) for sku, quantity in lines]
    if any(stock.available(shop, variant.item_id) < quantity for variant, quantity in variants):
        return None
    token = f"{shop.last_number:06x}{shop.last_id % 0xFFFFFF:06x}"  # an ordinary order has a source identifier too
    known = {"sourceName": "web", "sourceIdentifier": token, "email": email, "shippingAddress": address}
    order = _blank(shop, known | {"taxesIncluded": shop.taxes_included, "test": test}, at)
    order.app_id = WEB_STORE_ID
    for variant, quantity in variants:
        price = Bag(variant.price, variant.price)
        line = of_variant(shop, variant.id, quantity, price, requires_shipping=True)
        tax = tax_within(price.shop * quantity, Decimal("0.2"))
        line.taxes = [TaxLine("GB VAT", "0.2", Bag(tax, tax), channel_liable=False)]
        order.lines.append(line)
    order.shipping_lines = [ShippingLine(shop.new_id(), "Standard", Bag(495, 495), "Standard", "shopify")]
    total = totals.total(order)
    order.transactions = [Transaction(shop.new_id(), "SALE", "SUCCESS", "shopify_payments", total, at, at, authorization=token)]
    order.financial_status = "PAID"
    _place(shop, order, at, claims=True)
    return order.id


def _blank(shop: Shop, wanted: Input, at: datetime) -> Order:
    processed = wanted.get("processedAt")
    return Order(
        id=0,
        number=0,
        name=wanted.get("name") or "",
        app_id=APP_ID,
        currency=shop.currency,
        presentment_currency=wanted.get("presentmentCurrency") or shop.currency,
        taxes_included=bool(wanted.get("taxesIncluded")),
        created_at=at,
        updated_at=at,
        processed_at=min(at, _utc(processed)) if processed else at,  # the future is clamped to now
        test=bool(wanted.get("test")),
        tags=clean_tags(wanted.get("tags") or []),
        source_name=_source_name(shop, wanted),
        source_identifier=wanted.get("sourceIdentifier"),
        email=wanted.get("email"),
        phone=wanted.get("phone"),
        note=wanted.get("note"),
        po_number=wanted.get("poNumber"),
        attributes=[(one["key"], one["value"]) for one in wanted.get("customAttributes") or []],
        shipping_address=wanted.get("shippingAddress"),
        billing_address=wanted.get("billingAddress"),
    )


def _utc(moment: str) -> datetime:
    return datetime.fromisoformat(moment).astimezone(UTC)


def _source_name(shop: Shop, wanted: Input) -> str:
    asked = wanted.get("sourceName")
    return asked if asked and shop.switches.source_name != "ignored" else str(APP_ID)


def clean_tags(tags: list[str]) -> list[str]:
    """Without blanks and doubles; compared without case, kept in order."""
    known: dict[str, str] = {}
    for tag in (part.strip() for text in tags for part in text.split(",")):
        if tag:
            known.setdefault(tag.lower(), tag)
    return sorted(known.values(), key=str.lower)


def _problems(shop: Shop, wanted: Input, order: Order) -> Iterator[Problem]:
    def invalid(field: str, says: str) -> Problem:
        return Problem(("order", field), says, "INVALID")

    lines = wanted.get("lineItems") or []
    if not lines:
        yield invalid("lineItems", "Line items must have at least one line item")
    for n, line in enumerate(lines):
        yield from _line_problems(shop, line, ("order", "lineItems", str(n)))
    if wanted.get("currency") not in (None, shop.currency):
        yield invalid("currency", f"Currency must be the shop's, {shop.currency}")
    if "presentmentMoney" in str(wanted) and not wanted.get("presentmentCurrency"):
        yield invalid("presentmentCurrency", "Presentment currency is required when presentment money is given")
    yield from _tax_problems(wanted, lines)
    for money, where in _amounts(wanted):
        if money["currencyCode"] != (shop.currency if where == "shopMoney" else order.presentment_currency):
            yield invalid(where, f"{money['currencyCode']} is not the currency of this amount")
    if says := tag_problem(shop, order.tags):
        yield invalid("tags", says)
    source = wanted.get("sourceName")
    if source in RESERVED_SOURCES:
        yield invalid("sourceName", "Source name is reserved")
    elif source and shop.switches.source_name == "attributed" and source not in shop.attributions:
        yield invalid("sourceName", "Source name must be the handle of an order attribution definition")
    yield from customers.problems(shop, wanted)
    yield from metafields.problems(shop, wanted.get("metafields") or [])


def tag_problem(shop: Shop, tags: list[str]) -> str | None:
    if any(len(tag) > shop.switches.longest_tag for tag in tags):
        return f"Tags can be at most {shop.switches.longest_tag} characters long"
    return f"An order can have at most {shop.switches.most_tags} tags" if len(tags) > shop.switches.most_tags else None


def _tax_problems(wanted: Input, lines: list[Input]) -> Iterator[Problem]:
    carriers = [*lines, *(wanted.get("shippingLines") or [])]
    if wanted.get("taxLines") and any(carrier.get("taxLines") for carrier in carriers):
        yield Problem(("order", "taxLines"), "Tax lines can be on the order or on its lines, not on both", "INVALID")
    for tax in [*(wanted.get("taxLines") or []), *(tax for carrier in carriers for tax in carrier.get("taxLines") or [])]:
        if tax.get("rate") is None:
            yield Problem(("order", "taxLines"), "Tax line rate is missing", "TAX_LINE_RATE_MISSING")


def _line_problems(shop: Shop, line: Input, where: tuple[str, ...]) -> Iterator[Problem]:
    if line["quantity"] < 1:
        yield Problem((*where, "quantity"), "Quantity must be greater than 0", "INVALID")
    if line.get("variantId"):
        if number_of(line["variantId"], "ProductVariant") not in shop.variants:
            yield Problem((*where, "variantId"), "Product variant could not be found", "INVALID")
    elif not line.get("title") or not line.get("priceSet"):
        yield Problem((*where, "title"), "A line item without a variant needs a title and a price", "INVALID")
    if line.get("fulfillmentService") not in (None, "manual"):
        yield Problem((*where, "fulfillmentService"), "Fulfillment service is invalid", "FULFILLMENT_SERVICE_INVALID")


def _amounts(node: Any) -> Iterator[tuple[Input, str]]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name in ("shopMoney", "presentmentMoney") and value is not None:
                yield value, name
            else:
                yield from _amounts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _amounts(value)


def _bag(order: Order, wanted: Input) -> Bag:
    amount = minor(wanted["shopMoney"]["amount"], order.currency)
    shown = wanted.get("presentmentMoney")
    return Bag(amount, minor(shown["amount"], order.presentment_currency) if shown else amount)


def of_variant(shop: Shop, variant_id: int, quantity: int, price: Bag, *, requires_shipping: bool) -> Line:
    variant = shop.variants[variant_id]
    product = shop.products[variant.product_id]
    return Line(
        id=shop.new_id(),
        variant_id=variant.id,
        product_id=product.id,
        item_id=variant.item_id,
        sku=variant.sku,
        title=product.title,
        quantity=quantity,
        price=price,
        requires_shipping=requires_shipping,
        taxable=variant.taxable,
        vendor=product.vendor,
        variant_title=variant.title,
    )


def _line(shop: Shop, order: Order, wanted: Input) -> Line:
    """Without a word on shipping a line needs none: goods that no warehouse will ever see."""
    ships, price = bool(wanted.get("requiresShipping")), _bag(order, wanted["priceSet"]) if wanted.get("priceSet") else None
    number = number_of(wanted.get("variantId") or "", "ProductVariant")
    if variant := shop.variants.get(number):
        ships = ships or (shop.switches.shipping_from_variant and shop.items[variant.item_id].requires_shipping)
        line = of_variant(shop, number, wanted["quantity"], price or Bag(variant.price, variant.price), requires_shipping=ships)
        line.sku = wanted.get("sku") or line.sku
    else:
        assert price is not None
        line = Line(shop.new_id(), None, None, None, wanted.get("sku"), wanted["title"], wanted["quantity"], price, ships, True)
    line.taxable = bool(wanted.get("taxable", True))
    line.properties = [(one["name"], one["value"]) for one in wanted.get("properties") or []]
    line.variant_title = wanted.get("variantTitle") or line.variant_title
    return line


def _shipping_line(shop: Shop, order: Order, wanted: Input) -> ShippingLine:
    line = ShippingLine(shop.new_id(), wanted["title"], _bag(order, wanted["priceSet"]), wanted.get("code"), wanted.get("source"))
    line.taxes = [_tax(order, tax, line.price) for tax in wanted.get("taxLines") or []]
    return line


def _discount(order: Order, wanted: Input) -> None:
    """One code at most: off the goods, shared out by their prices, or off the shipping."""
    fixed, percentage = wanted.get("itemFixedDiscountCode"), wanted.get("itemPercentageDiscountCode")
    free = wanted.get("freeShippingDiscountCode")
    order.discount_code = (fixed or percentage or free or {}).get("code")
    gross = totals.gross(order)
    if free:
        for carried in order.shipping_lines:
            carried.price = NOTHING
    if fixed:
        off = _bag(order, fixed["amountSet"])
        left = off = Bag(min(off.shop, gross.shop), min(off.presentment, gross.presentment))
        for line in order.lines:
            line.discount = totals.part(off, line.price.shop * line.quantity, gross.shop)
            line.discount = Bag(min(left.shop, line.discount.shop), min(left.presentment, line.discount.presentment))
            left -= line.discount
        order.lines[-1].discount += left
    if percentage:
        rate = Decimal(str(percentage.get("percentage") or 0)) / 100
        for line in order.lines:
            whole = line.price.times(line.quantity)
            line.discount = Bag(share(whole.shop, rate), share(whole.presentment, rate))


def _tax(order: Order, wanted: Input, base: Bag) -> TaxLine:
    """The amount as given, for the whole line; computed from the rate where it is not."""
    rate = Decimal(str(wanted["rate"]))
    of = tax_within if order.taxes_included else share
    amount = _bag(order, wanted["priceSet"]) if wanted.get("priceSet") else Bag(of(base.shop, rate), of(base.presentment, rate))
    return TaxLine(wanted["title"], str(wanted["rate"]), amount, bool(wanted.get("channelLiable")))


def _transaction(shop: Shop, order: Order, wanted: Input, at: datetime) -> Transaction:
    processed = wanted.get("processedAt")
    return Transaction(
        id=shop.new_id(),
        kind=wanted.get("kind") or "SALE",
        status=wanted.get("status") or "SUCCESS",
        gateway=wanted.get("gateway") or "manual",
        amount=_bag(order, wanted["amountSet"]),
        created_at=at,
        processed_at=_utc(processed) if processed else at,
        test=bool(wanted.get("test")),
        authorization=wanted.get("authorizationCode"),
    )


def _unclaimable(shop: Shop, order: Order) -> str | None:
    """The first SKU that its policy does not let be sold below zero."""
    for line in order.lines:
        if line.variant_id is not None and line.item_id is not None and shop.variants[line.variant_id].policy == "DENY":
            units = sum(other.quantity for other in order.lines if other.item_id == line.item_id)
            if stock.available(shop, line.item_id) < units:
                return line.sku or str(line.variant_id)
    return None


def _place(shop: Shop, order: Order, at: datetime, *, claims: bool) -> None:
    """The order is there: its units claimed, its unique values taken, its routing under way."""
    shop.last_number += 1
    order.id, order.number = shop.new_id(), shop.last_number
    order.name = order.name or f"#{order.number}"
    shop.orders[order.id] = order
    for metafield in order.metafields:
        definition = metafields.definition_of(shop, "ORDER", metafield.namespace, metafield.key)
        if definition is not None and definition.unique:
            shop.unique_values[f"{metafield.namespace}/{metafield.key}/{metafield.value}"] = order.id
    if order.source_name in shop.attributions:
        order.attribution = order.source_name
    if claims:
        for line in order.lines:
            stock.claim(shop, line, line.quantity, at, sold_at=order.processed_at)
    emit(shop, "orders/create", (order.id,), at)
    for paid in order.transactions:
        payments.tell(shop, order, paid, at)
    if order.financial_status == "PAID":
        emit(shop, "orders/paid", (order.id,), at)
    index.learn(shop, order, at)
    shop.agenda.put(at + timedelta(seconds=shop.switches.routing_delay), "route", order.id)
