"""A marketplace order as Shopify is to make it, and whether what it made is that."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from adapters.shopify import wire
from adapters.shopify.translate.address import LONGEST_NOTE, digest_of_input, written
from adapters.shopify.translate.marks import (
    CHANNEL,
    LINE_ID,
    ORDER,
    TAG,
    amount,
    attributes,
    fit_for_a_tag,
    marketplace_line,
    order_tag,
    quoted,
    sku_of,
)
from schemas.commands import CreateShopOrder
from schemas.events.orders import DeliveryAddress, ShopLine, ShopOrderCreated
from schemas.values import ChannelId, Discount, Instant, Money, OrderId, OrderLine, ShopId, Sku, Tax

DISPATCH_BY, DELIVER_BY, SERVICE = "Dispatch by", "Deliver by", "Service level"
MOST_ITEMS = 250  # entries in one input array. Admin API, limits, 2026-10


def search_for_twins(order_id: OrderId) -> str:
    return f"tag:{quoted(order_tag(order_id))}"


def gateway(channel: ChannelId) -> str:
    """What the payments of a channel's orders are called: a name of our own, so that they never meet Shopify Payments."""
    return f"{channel} Marketplace"


def creation(
    command: CreateShopOrder,
    address: DeliveryAddress,
    variants: Mapping[Sku, wire.stock.Variant],
    *,
    method: str,
    key: bytes,
    relay_email: bool,
) -> dict[str, Any]:
    """The variables of OrderCreate: every default that would be wrong is overruled. `variants` by the marketplace's SKU.

    Stock is claimed though it may go below zero, since the units are sold; nobody is notified; goods need shipping; prices are unit
    prices; the one transaction is a sale, so that refunds have a parent, on a gateway that moves no money.
    """
    shipping_address, rest = written(address)
    order: dict[str, Any] = {
        "currency": command.currency,
        "taxesIncluded": command.taxes_included,
        "test": command.test,
        "name": f"{command.channel.upper()}-{command.order_id}",
        "sourceName": f"{command.channel}-marketplace",
        "sourceIdentifier": command.order_id,
        "processedAt": _written(command.placed_at),
        "tags": _tags(command, method),
        "metafields": [
            {"namespace": "$app", "key": "mirakl_order_id", "type": "id", "value": command.order_id},
            {
                "namespace": "$app",
                "key": "address_digest",
                "type": "single_line_text_field",
                "value": digest_of_input(key, shipping_address),
            },
        ],
        "customAttributes": [{"key": name, "value": value} for name, value in _shown(command, method)],
        "shippingAddress": shipping_address,
        "lineItems": [item for line in command.lines for item in _items(command, line, variants[Sku(line.sku.strip())])],
        "shippingLines": [_shipping(command, method), *_fees(command)],
        "financialStatus": "PAID",
    }
    if command.total.minor:  # a sale of nothing is none
        order["transactions"] = [
            {
                "kind": "SALE",
                "status": "SUCCESS",
                "gateway": gateway(command.channel),
                "amountSet": _bag(command.total),
                "processedAt": _written(command.placed_at),
                "test": command.test,
            }
        ]
    if note := "\n".join(part for part in (address.notes, *rest) if part):
        order["note"] = note[:LONGEST_NOTE]
    if relay_email and _EMAIL.fullmatch(address.email):
        order["email"] = address.email
    options = {"inventoryBehaviour": "DECREMENT_IGNORING_POLICY", "sendReceipt": False, "sendFulfillmentReceipt": False}
    return {"order": order, "options": options}


_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,6}", re.ASCII)


def _written(at: Instant) -> str:
    return wire.frame.utc(at).isoformat(timespec="seconds").replace("+00:00", "Z")


def _bag(money: Money) -> dict[str, Any]:
    return {"shopMoney": {"amount": str(money), "currencyCode": money.currency}}


# ---------------------------------------------------------------- what the warehouse sees


def _tags(command: CreateShopOrder, method: str) -> list[str]:
    """By which people sort their list: whose order it is, how fast it must go, and whether it is a real one."""
    service = "-".join(re.findall(r"\w+", method.lower()))
    tags = [TAG, "mirakl", command.channel, order_tag(command.order_id), service, "test" if command.test else ""]
    return list(dict.fromkeys(tag for tag in map(fit_for_a_tag, tags) if tag))


def _shown(command: CreateShopOrder, method: str) -> Iterator[tuple[str, str]]:
    yield CHANNEL, command.channel
    yield ORDER, command.order_id
    yield SERVICE, method
    if command.ship_by:
        yield DISPATCH_BY, _written(command.ship_by)
    if command.deliver_by:
        yield DELIVER_BY, _written(command.deliver_by)


# ---------------------------------------------------------------- lines


def items_needed(lines: Iterable[OrderLine]) -> int:
    return sum(len(unit_prices(line)) for line in lines)


def unit_prices(line: OrderLine) -> list[tuple[int, Money]]:
    """Units at a price each, which come to the line's price to the penny: Shopify multiplies, and takes no total.

    One item, unless the price is no multiple of its quantity: then some units cost a penny more, as an item of their own.
    """
    if line.unit_price * line.quantity == line.price:
        return [(line.quantity, line.unit_price)]
    low, dearer = divmod(line.price.minor, line.quantity)
    parts = ((dearer, low + 1), (line.quantity - dearer, low))
    return [(units, Money(price, line.price.currency)) for units, price in parts if units]


def _items(command: CreateShopOrder, line: OrderLine, variant: wire.stock.Variant) -> Iterator[dict[str, Any]]:
    parts = unit_prices(line)
    shares = _shares(line.taxes, [price * units for units, price in parts])
    for place, ((units, price), taxes) in enumerate(zip(parts, shares, strict=True)):
        yield {
            "variantId": variant.id,
            "sku": sku_of(variant),
            "quantity": units,
            "requiresShipping": True,
            "taxable": bool(line.taxes),
            "priceSet": _bag(price),
            "properties": [
                {"name": LINE_ID, "value": line.line_id},
                *({"name": f"_discount {each.code}".strip(), "value": _funded(each)} for each in (line.discounts if place == 0 else ())),
            ],
            "taxLines": _tax_lines(taxes, price * units, included=command.taxes_included),
        }


def _shares(taxes: Sequence[Tax], prices: Sequence[Money]) -> list[list[Tax]]:
    """A line's taxes over its items, by price and to the penny: what does not divide stays with the last."""
    shares: list[list[Tax]] = [[] for _ in prices]
    whole = sum(price.minor for price in prices)
    for tax in taxes:
        left = tax.amount
        for place, price in enumerate(prices):
            last = place == len(prices) - 1
            part = left if last else Money(tax.amount.minor * price.minor // whole if whole else 0, left.currency)
            left -= part
            shares[place].append(Tax(code=tax.code, rate=tax.rate, remitted_by_operator=tax.remitted_by_operator, amount=part))
    return shares


def _funded(discount: Discount) -> str:
    """Prices are net of it already; this says to whoever looks what was taken off, and at whose cost."""
    by = f", funded by {discount.funded_by}" if discount.funded_by else ""
    return f"{discount.amount} {discount.amount.currency}{by}"


# ---------------------------------------------------------------- shipping and fees


def _shipping(command: CreateShopOrder, method: str) -> dict[str, Any]:
    """One shipping line for the whole order, whatever it costs: the warehouse sees by it how the parcel goes."""
    price = Money(sum(line.shipping_price.minor for line in command.lines), command.currency)
    taxes: dict[tuple[str, str | None, bool], Money] = {}
    for tax in (tax for line in command.lines for tax in line.shipping_taxes):
        kind = (tax.code, tax.rate, tax.remitted_by_operator)
        taxes[kind] = taxes[kind] + tax.amount if kind in taxes else tax.amount
    added = [Tax(code=code, rate=rate, remitted_by_operator=remitted, amount=total) for (code, rate, remitted), total in taxes.items()]
    return {
        "title": method,
        "code": command.shipping_method or None,
        "source": command.channel,
        "priceSet": _bag(price),
        "taxLines": _tax_lines(added, price, included=command.taxes_included),
    }


def _fees(command: CreateShopOrder) -> list[dict[str, Any]]:
    """What is paid beside price and shipping: shipping lines of their own, one for each kind, named by its code."""
    sums: dict[str, Money] = {}
    for fee in (fee for line in command.lines for fee in line.fees):
        sums[fee.code] = sums[fee.code] + fee.amount if fee.code in sums else fee.amount
    source = fee_source(command.channel)
    return [
        {"title": code or "Fee", "code": code or None, "source": source, "priceSet": _bag(total), "taxLines": []}
        for code, total in sums.items()
        if total.minor
    ]


def fee_source(channel: ChannelId) -> str:
    """Tells a fee from the shipping, where both are shipping lines."""
    return f"{channel}-fee"


# ---------------------------------------------------------------- taxes


def _tax_lines(taxes: Sequence[Tax], price: Money, *, included: bool) -> list[dict[str, Any]]:
    net = price.minor - (sum(tax.amount.minor for tax in taxes) if included else 0)
    return [
        {
            "title": tax.code or "Tax",
            "rate": _rate(tax, net),
            "channelLiable": tax.remitted_by_operator,
            "priceSet": _bag(tax.amount),
        }
        for tax in taxes
    ]


def _rate(tax: Tax, net: int) -> str:
    """As a fraction. Where the marketplace gives none, what the amounts come to: Shopify wants a rate, for display; amounts are copied."""
    if tax.rate is not None and _PER_CENT.fullmatch(tax.rate):
        rate = Decimal(tax.rate) / 100
    else:
        rate = (Decimal(tax.amount.minor) / Decimal(net)).quantize(Decimal("0.0001")) if net > 0 else Decimal(0)
    return format(rate.normalize(), "f")


_PER_CENT = re.compile(r"\d{1,3}(?:\.\d{1,6})?", re.ASCII)


# ---------------------------------------------------------------- what became of it


def created(command: CreateShopOrder, terms: wire.orders.OrderTerms) -> ShopOrderCreated:
    """The order as it stands in Shopify, all its lines read. Raises ValueError where its total is no amount."""
    bought = {line.line_id: line.sku for line in command.lines}
    return ShopOrderCreated(
        channel=command.channel,
        order_id=command.order_id,
        shop_order=ShopId(terms.id),
        name=terms.name,
        total=amount(terms.total_price_set),
        lines=tuple(
            ShopLine(
                line_id=line_id,
                item=ShopId(line.id),
                sku=sku_of(line),
                quantity=line.quantity,
                sold_as=Sku("") if bought.get(line_id) == sku_of(line) else bought.get(line_id, Sku("")),
            )
            for line in terms.line_items.nodes
            if (line_id := marketplace_line(line.custom_attributes)) is not None
        ),
        created_at=wire.frame.utc(terms.created_at),
    )


def difference(command: CreateShopOrder, terms: wire.orders.OrderTerms, names: Mapping[Sku, Sku]) -> tuple[str, str] | None:
    """In what an order in Shopify is not the one we were asked for, and the field; None: it is. `names` are Shopify's SKUs for ours."""
    whose = attributes(terms.custom_attributes).get(CHANNEL)
    if whose != command.channel:
        return f"it is that of channel {whose or '(none)'}", "channel"
    there: dict[str | None, list[wire.orders.LineItem]] = {}
    for item in terms.line_items.nodes:
        there.setdefault(marketplace_line(item.custom_attributes), []).append(item)
    for index, line in enumerate(command.lines):
        found = there.pop(line.line_id, [])
        if not found:
            return f"it lacks line {line.line_id}", f"lines.{index}"
        units, skus = sum(item.quantity for item in found), sorted({sku_of(item) for item in found})
        asked = Sku(line.sku.strip())
        if units != line.quantity or skus != [names.get(asked, asked)]:
            return f"line {line.line_id} has {units} x {', '.join(skus)}, not {line.quantity} x {line.sku}", f"lines.{index}"
        price = sum(amount(item.original_unit_price_set).minor * item.quantity for item in found)
        if price != line.price.minor:
            return f"line {line.line_id} costs {Money(price, line.price.currency)}, not {line.price}", f"lines.{index}.price"
    if there:
        return f"it has {sum(map(len, there.values()))} lines more", "lines"
    total = amount(terms.total_price_set)
    if total != command.total:
        return f"its total is {total} {total.currency}, not {command.total} {command.total.currency}", "total"
    return None
