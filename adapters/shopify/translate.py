"""Shopify's words into ours and ours into Shopify's. Pure: no call, no clock, no chance."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from adapters.shopify import wire
from engine.adapter import Heard
from schemas.commands import CreateShopOrder
from schemas.envelope import Fact, event_id
from schemas.events import Event, Personal, tag_of
from schemas.events.exceptions import ExceptionOpened
from schemas.events.inventory import StockCounted
from schemas.events.orders import DeliveryAddress, FulfilmentSeen, ShopLine, ShopOrderCreated, ShopOrderSeen
from schemas.events.shop import ShopOrderOrphaned
from schemas.streams import order_stream, stock_stream
from schemas.values import ChannelId, Instant, LineId, Money, OrderId, OrderLine, ShopId, Sku, Tax, TenantId, money

SOURCE = "shopify"
TAG = "crossdock"  # on every order of ours
LINE_ID = "_mirakl_line_id"  # a leading underscore hides it from the buyer
CHANNEL, ORDER, DISPATCH_BY = "Marketplace channel", "Marketplace order", "Dispatch by"
LONGEST_TAG = 40  # characters, on orders


def fact(
    tenant: TenantId,
    event: Event,
    external_id: str,
    at: Instant,
    *,
    personal: Personal | None = None,
    subject: str = "",
) -> Fact:
    identity = event_id(tenant, SOURCE, external_id, tag_of(event))
    return Fact(event=event, event_id=identity, occurred_at=at, personal=personal, subject=subject, actor=SOURCE)


# ---------------------------------------------------------------- orders as they stand


def owner(marks: wire.OrderMarks) -> tuple[ChannelId, OrderId] | None:
    """Whose order this is by the id that only we can give it, and the channel beside it; None: not ours, or not plainly."""
    said = {one.key: one.value or "" for one in marks.custom_attributes}
    if marks.marketplace_order_id is None or not said.get(CHANNEL):
        return None
    return ChannelId(said[CHANNEL]), OrderId(marks.marketplace_order_id.value)


def orphan(tenant: TenantId, marks: wire.OrderMarks, read_at: Instant) -> Heard | None:
    """An order that looks like ours without being it: a twin, or one whose marks a person took away. None: it does not, or it is void."""
    said = {one.key: one.value or "" for one in marks.custom_attributes}
    marked = TAG in {tag.lower() for tag in marks.tags} or said.get(CHANNEL) or said.get(ORDER)
    if not marked or marks.cancelled_at is not None:
        return None
    event = ShopOrderOrphaned(
        shop_order=ShopId(marks.id),
        channel=ChannelId(said[CHANNEL]) if said.get(CHANNEL) else None,
        order_id=OrderId(said[ORDER]) if said.get(ORDER) else None,
    )
    return Heard(f"hint-orphan:{number(marks.id)}", fact(tenant, event, f"{marks.id}:orphan", read_at), same=lambda last: last == event)


def order_seen(tenant: TenantId, state: wire.OrderState, whose: tuple[ChannelId, OrderId], read_at: Instant) -> Heard:
    """Holds come and go without moving `updatedAt`, so each reading is a fact of its own, dropped while it says the same as the last."""
    channel, order_id = whose
    event = ShopOrderSeen(
        channel=channel,
        order_id=order_id,
        shop_order=ShopId(state.id),
        updated_at=state.updated_at.astimezone(UTC),
        cancelled_at=state.cancelled_at.astimezone(UTC) if state.cancelled_at else None,
        financial_status=state.display_financial_status or "",
        fulfilment_status=state.display_fulfillment_status,
    )
    seen = fact(tenant, event, f"{state.id}@{event.updated_at.isoformat()}@{read_at.isoformat()}", event.updated_at)
    return Heard(order_stream(channel, order_id), seen, same=lambda last: last == event)


def fulfilment_seen(tenant: TenantId, parcel: wire.Fulfillment, whose: tuple[ChannelId, OrderId]) -> Heard:
    """A parcel group whose lines are all there. Times are in whole seconds, so what can be edited is part of the fact's id."""
    channel, order_id = whose
    units: dict[LineId, int] = {}
    for shipped in parcel.fulfillment_line_items.nodes:
        line = marketplace_line(shipped.line_item.custom_attributes)
        if line is not None:  # else added by hand in Shopify: the marketplace knows no such line
            units[line] = units.get(line, 0) + (shipped.quantity or 0)
    tracking = next((one for one in parcel.tracking_info if one.number), next(iter(parcel.tracking_info), wire.Tracking(None, None, None)))
    event = FulfilmentSeen(
        channel=channel,
        order_id=order_id,
        fulfilment=ShopId(parcel.id),
        status=parcel.status,
        updated_at=parcel.updated_at.astimezone(UTC),
        units=dict(sorted(units.items())),
        carrier=(tracking.company or "").strip(),
        tracking_number=(tracking.number or "").strip(),
        tracking_url=(tracking.url or "").strip(),
    )
    version = (parcel.id, event.updated_at.isoformat(), event.status, event.carrier, event.tracking_number, event.tracking_url)
    return Heard(order_stream(channel, order_id), fact(tenant, event, "@".join(version), event.updated_at))


def marketplace_line(attributes: Iterable[wire.Attribute]) -> LineId | None:
    return next((LineId(one.value) for one in attributes if one.key == LINE_ID and one.value), None)


def number(gid: str) -> str:
    """The last part of a GID, by which people and streams call a thing."""
    return gid.rpartition("/")[2]


def unfit(tenant: TenantId, gid: str, field: str, read_at: Instant) -> Heard:
    """One thing that Shopify describes in a way we cannot read: set aside, so that its neighbours go on. At most one a day."""
    stream = f"hint-unreadable:{gid.removeprefix('gid://shopify/')}"
    trouble = ExceptionOpened(
        key=f"X79:{gid}:{field}", code="X79", subject=stream, summary=f"what Shopify says of {gid} cannot be read", field=field
    )
    return Heard(stream, fact(tenant, trouble, f"{gid}:{field}:{read_at.date()}", read_at))


# ---------------------------------------------------------------- stock


def sku_of(item: wire.Item | wire.Variant | wire.LineItem) -> Sku:
    """As it is compared: case and all, blanks around it aside; "" where there is none."""
    return Sku((item.sku or "").strip())


def counted(tenant: TenantId, item: wire.Item, read_at: Instant, settled: Sequence[str] = ()) -> Heard:
    """What there is of an item whose levels are all there. Saying what the last count said is no news, unless it settles orders."""
    levels: dict[ShopId, int] = {}
    for level in item.inventory_levels.nodes if item.tracked else ():
        units = next((one.quantity for one in level.quantities if one.name == "available"), None)
        if level.is_active and units is not None:  # never set is unknown, not zero
            levels[ShopId(level.location.id)] = units
    event = StockCounted(
        sku=sku_of(item),
        item=ShopId(item.id),
        levels=dict(sorted(levels.items())),
        read_at=read_at,
        tracked=item.tracked,
        settled=tuple(settled),
    )

    def same(last: Event) -> bool:
        return isinstance(last, StockCounted) and replace(last, read_at=read_at, settled=()) == event

    return Heard(stock_stream(event.sku), fact(tenant, event, f"{event.sku}@{read_at.isoformat()}", read_at), same=same)


def ambiguous(tenant: TenantId, sku: Sku, items: Iterable[str], read_at: Instant) -> Heard:
    """Several things are sold under one SKU: nobody can say how many there are. Told once a day while it lasts."""
    named = sorted(items)
    trouble = ExceptionOpened(
        key=f"X02:{sku}",
        code="X02",
        subject=stock_stream(sku),
        summary=f"SKU {sku} is that of several inventory items in Shopify: {', '.join(number(item) for item in named)}",
        field="sku",
        owner="ECOM",
    )
    return Heard(stock_stream(sku), fact(tenant, trouble, f"{sku}@{','.join(named)}@{read_at.date()}", read_at))


def one_item_each(tenant: TenantId, heard: Iterable[Heard], read_at: Instant) -> list[Heard]:
    """Shopify takes `A` and `A ` for two SKUs; we do not, and neither does whoever packs them."""
    said: dict[str, dict[str, Heard]] = {}  # stream -> item -> its count, or another trouble by its own name
    for one in heard:
        whose = one.fact.event.item if isinstance(one.fact.event, StockCounted) else str(one.fact.event_id)
        said.setdefault(one.stream, {})[whose] = one
    kept: list[Heard] = []
    for of_stream in said.values():
        counts = {item: one.fact.event for item, one in of_stream.items() if isinstance(one.fact.event, StockCounted)}
        if len(counts) > 1:
            kept.append(ambiguous(tenant, next(iter(counts.values())).sku, counts, read_at))
        else:
            kept += of_stream.values()
    return kept


def for_sale(variant: wire.Variant) -> bool:
    """Whether its product is: an archived one may share its SKU with whatever replaced it."""
    return variant.product.status not in ("ARCHIVED", "DRAFT")


# ---------------------------------------------------------------- creating an order


def search_for_sku(sku: Sku) -> str:
    """The index compares without case, and may know more than asked for: whoever reads the answer compares again."""
    return f"sku:{quoted(sku)}"


def search_for_twins(order_id: OrderId) -> str:
    return f"tag:{quoted(order_tag(order_id))}"


def quoted(text: str) -> str:
    """A value in Shopify's search language."""
    if '"' not in text and "\\" not in text:
        return f'"{text}"'
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def order_tag(order_id: OrderId) -> str:
    """For people and for the search; cut, so two orders may share it. Tags hold no commas."""
    return f"mirakl-{order_id}".replace(",", "-")[:LONGEST_TAG]


def creation(command: CreateShopOrder, address: DeliveryAddress, variants: Mapping[Sku, str], *, relay_email: bool) -> dict[str, Any]:
    """The variables of OrderCreate: every default that would be wrong is overruled.

    Stock is claimed though it may go below zero, since the units are sold; nobody is notified; goods need shipping; prices are unit
    prices; the one transaction is a sale, so that refunds have a parent, on a gateway that moves no money.
    """
    order: dict[str, Any] = {
        "currency": command.currency,
        "taxesIncluded": command.taxes_included,
        "test": command.test,
        "name": f"{command.channel.upper()}-{command.order_id}",
        "sourceName": f"{command.channel}-marketplace",
        "sourceIdentifier": command.order_id,
        "processedAt": _written(command.placed_at),
        "tags": [TAG, "mirakl", command.channel, order_tag(command.order_id)],
        "metafields": [{"namespace": "$app", "key": "mirakl_order_id", "type": "id", "value": command.order_id}],
        "customAttributes": [
            {"key": CHANNEL, "value": command.channel},
            {"key": ORDER, "value": command.order_id},
            *([{"key": DISPATCH_BY, "value": _written(command.ship_by)}] if command.ship_by else []),
        ],
        "shippingAddress": _address(address),
        "lineItems": [_line(command, line, variants[Sku(line.sku.strip())]) for line in command.lines],
        "shippingLines": [_shipping(command)],
        "financialStatus": "PAID",
    }
    if command.total.minor:  # a sale of nothing is none
        order["transactions"] = [
            {
                "kind": "SALE",
                "status": "SUCCESS",
                "gateway": f"{command.channel} Marketplace",
                "amountSet": _bag(command.total),
                "processedAt": _written(command.placed_at),
                "test": command.test,
            }
        ]
    if address.notes:
        order["note"] = address.notes
    if relay_email and _EMAIL.fullmatch(address.email):
        order["email"] = address.email
    options = {"inventoryBehaviour": "DECREMENT_IGNORING_POLICY", "sendReceipt": False, "sendFulfillmentReceipt": False}
    return {"order": order, "options": options}


_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,6}", re.ASCII)
_PROVINCE_CODE = re.compile(r"[A-Z0-9]{1,3}", re.ASCII)


def _written(at: Instant) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _bag(amount: Money) -> dict[str, Any]:
    return {"shopMoney": {"amount": str(amount), "currencyCode": amount.currency}}


def _address(address: DeliveryAddress) -> dict[str, str]:
    province = "provinceCode" if _PROVINCE_CODE.fullmatch(address.state) else "province"
    written = {
        "firstName": address.first_name,
        "lastName": address.last_name,
        "company": address.company,
        "address1": address.street_1,
        "address2": address.street_2,
        "city": address.city,
        "zip": address.zip_code,
        province: address.state,
        "countryCode": address.country_code,
        "country": "" if address.country_code else address.country,
        "phone": address.phone,
    }
    return {name: text for name, text in written.items() if text}


def _line(command: CreateShopOrder, line: OrderLine, variant: str) -> dict[str, Any]:
    return {
        "variantId": variant,
        "sku": line.sku,
        "quantity": line.quantity,
        "requiresShipping": True,
        "taxable": bool(line.taxes),
        "priceSet": _bag(line.unit_price),
        "properties": [{"name": LINE_ID, "value": line.line_id}],
        "taxLines": _tax_lines(line.taxes, line.price, included=command.taxes_included),
    }


def _shipping(command: CreateShopOrder) -> dict[str, Any]:
    """One shipping line for the whole order, whatever it costs: the warehouse sees by it how the parcel goes."""
    price = Money(sum(line.shipping_price.minor for line in command.lines), command.currency)
    taxes: dict[tuple[str, str | None, bool], Money] = {}
    for tax in (tax for line in command.lines for tax in line.shipping_taxes):
        kind = (tax.code, tax.rate, tax.remitted_by_operator)
        taxes[kind] = taxes[kind] + tax.amount if kind in taxes else tax.amount
    added = [Tax(code=code, rate=rate, remitted_by_operator=remitted, amount=amount) for (code, rate, remitted), amount in taxes.items()]
    return {
        "title": command.shipping_label or command.shipping_method or "Shipping",
        "code": command.shipping_method or None,
        "source": command.channel,
        "priceSet": _bag(price),
        "taxLines": _tax_lines(added, price, included=command.taxes_included),
    }


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


def created(command: CreateShopOrder, terms: wire.OrderTerms) -> ShopOrderCreated:
    """The order as it stands in Shopify, all its lines read. Raises ValueError where its total is no amount."""
    return ShopOrderCreated(
        channel=command.channel,
        order_id=command.order_id,
        shop_order=ShopId(terms.id),
        name=terms.name,
        total=_money(terms.total_price_set),
        lines=tuple(
            ShopLine(line_id=line_id, item=ShopId(line.id), sku=sku_of(line), quantity=line.quantity)
            for line in terms.line_items.nodes
            if (line_id := marketplace_line(line.custom_attributes)) is not None
        ),
        created_at=terms.created_at.astimezone(UTC),
    )


def difference(command: CreateShopOrder, terms: wire.OrderTerms) -> tuple[str, str] | None:
    """In what an order in Shopify is not the one we were asked for, and the field; None: it is."""
    whose = {one.key: one.value for one in terms.custom_attributes}.get(CHANNEL)
    if whose != command.channel:
        return f"it is that of channel {whose or '(none)'}", "channel"
    there = {marketplace_line(line.custom_attributes): line for line in terms.line_items.nodes}
    for index, line in enumerate(command.lines):
        found = there.pop(line.line_id, None)
        if found is None:
            return f"it lacks line {line.line_id}", f"lines.{index}"
        if found.quantity != line.quantity or sku_of(found) != line.sku.strip():
            return f"line {line.line_id} has {found.quantity} x {sku_of(found)}, not {line.quantity} x {line.sku}", f"lines.{index}"
        if (price := _money(found.original_unit_price_set)) != line.unit_price:
            return f"line {line.line_id} costs {price} a unit, not {line.unit_price}", f"lines.{index}.unit_price"
    if there:
        return f"it has {len(there)} lines more", "lines"
    total = _money(terms.total_price_set)
    if total != command.total:
        return f"its total is {total} {total.currency}, not {command.total} {command.total.currency}", "total"
    return None


def _money(bag: wire.MoneyBag) -> Money:
    return money(bag.shop_money.amount, bag.shop_money.currency_code)
