"""Orders: found, read, made, cancelled."""

from collections.abc import Callable
from typing import Any

from graphql import GraphQLError

from ops.sandbox.shopify import access, creation, metafields, totals
from ops.sandbox.shopify.bodies import COUNTRIES
from ops.sandbox.shopify.bodies.refunds import payment_id
from ops.sandbox.shopify.connections import in_order, page
from ops.sandbox.shopify.fields.found import found_orders
from ops.sandbox.shopify.fields.table import Call, Field, decimal, fields, limited, money, plain, when
from ops.sandbox.shopify.state import (
    NOTHING,
    WEB_STORE_ID,
    Bag,
    Line,
    Metafield,
    Order,
    Problem,
    Transaction,
    gid,
    namespace_of,
    number_of,
)


def _by_identifier(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    if custom := asked["identifier"].get("customId"):
        namespace, key = custom.get("namespace"), custom["key"]
        definition = metafields.definition_of(call.shop, "ORDER", namespace_of(namespace), key)
        if definition is None or not definition.unique:
            raise GraphQLError("Metafield definition of type 'id' is required when using custom ids.", extensions={"code": "NOT_FOUND"})
        found = metafields.order_by_unique_value(call.shop, namespace, key, custom["value"], call.at)
        return found if found is not None and access.visible(call.shop, found, call.at) else None
    return visible_order(call, number_of(asked["identifier"]["id"], "Order"))


def visible_order(call: Call, number: int) -> Order | None:
    order = call.shop.orders.get(number)
    return order if order is not None and access.visible(call.shop, order, call.at) else None


def _create(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    if creation.too_many_orders(call.shop, call.at):
        raise GraphQLError("Too many attempts. Please try again later.", extensions={"code": "THROTTLED"})
    number, problems = call.attempt("orderCreate", wanted=asked["order"], options=asked.get("options"))
    return {"order": call.shop.orders[number] if number else None, "userErrors": problems}


def _cancel(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    wanted = {name: value for name, value in asked.items() if name not in ("orderId", "idempotent")}
    number, problems = call.attempt("orderCancel", order_id=asked["orderId"], wanted=wanted)
    job = call.shop.jobs[number] if number else None
    return {"job": job, "jobResult": job, "orderCancelUserErrors": problems, "userErrors": problems}


def _changed(operation: str, argument: str, *names: str) -> Field:
    """A mutation that answers the order it changed: the argument that names the order, and others that go with it."""

    def change(_: Any, call: Call, asked: dict[str, Any]) -> Any:
        given = asked["input"]["id"] if argument == "input.id" else asked[argument]
        taken = {"wanted" if argument == "input" else "order": given} | {name: asked[name] for name in names}
        number, problems = call.attempt(operation, **taken)
        order = call.shop.orders[number] if number else None
        return {"order": order, "node": order, "userErrors": problems}

    return change


def _attribution(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    handle, problems = call.attempt("orderAttributionDefinitionUpsert", wanted=asked["input"])
    return {"orderAttributionDefinition": call.shop.attributions[handle] if handle else None, "userErrors": problems}


fields(
    "QueryRoot",
    order=lambda _, call, asked: visible_order(call, number_of(asked["id"], "Order")),
    orders=found_orders,
    orderByIdentifier=_by_identifier,
    job=lambda _, call, asked: call.shop.jobs.get(number_of(asked["id"], "Job")),
)
plain("Job", id=lambda job: gid("Job", job.id), done=lambda job: job.done)
plain(
    "OrderCancelJobResult",
    id=lambda job: gid("OrderCancelJobResult", job.id),
    done=lambda job: job.done,
    status=lambda job: job.status,
    errors=lambda job: [Problem(("orderId",), job.error, "INVALID")] if job.error else [],
)
fields("OrderCancelJobResult", order=lambda job, call, asked: call.shop.orders.get(job.order_id))
plain(
    "OrderAttributionDefinition",
    id=lambda known: gid("OrderAttributionDefinition", known.id),
    handle=lambda known: known.handle,
    displayName=lambda known: known.display_name,
    icon=lambda known: known.icon,
)


def _metafield(order: Order, call: Call, asked: dict[str, Any]) -> Any:
    namespace = namespace_of(asked.get("namespace"))
    return next((_shown(one) for one in order.metafields if (one.namespace, one.key) == (namespace, asked["key"])), None)


def _shown(metafield: Metafield) -> dict[str, Any]:
    return {
        "id": gid("Metafield", metafield.id),
        "legacyResourceId": str(metafield.id),
        "namespace": metafield.namespace,
        "key": metafield.key,
        "type": metafield.type,
        "value": metafield.value,
        "jsonValue": metafield.value,
        "ownerType": "ORDER",
        "compareDigest": metafields.digest(metafield),
        "description": None,
        "sizeInBytes": len(metafield.value.encode()),
        "createdAt": when(metafield.created_at),
        "updatedAt": when(metafield.updated_at),
    }


def _set_metafields(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    numbers, problems = call.attempt("metafieldsSet", wanted=asked["metafields"])
    changed = [_shown(one) for order, number in numbers or () for one in call.shop.orders[order].metafields if one.id == number]
    return {"metafields": None if problems else changed, "userErrors": problems}


def _totalled(compute: Callable[[Order, Call], Bag]) -> Field:
    return lambda order, call, asked: money(order, compute(order, call))


def _in_shop(compute: Callable[[Order, Call], Bag]) -> Field:
    """An older field: the shop's currency alone."""
    return lambda order, call, asked: decimal(compute(order, call).shop, order.currency, call)


TOTALS: dict[str, Callable[[Order, Call], Bag]] = {
    "subtotalPrice": lambda order, call: totals.subtotal(order),
    "totalShippingPrice": lambda order, call: totals.shipping(order),
    "totalTax": lambda order, call: totals.tax(order),
    "totalPrice": lambda order, call: totals.total(order),
    "totalDiscounts": lambda order, call: totals.discounts(order),
    "currentTotalPrice": lambda order, call: totals.current_total(call.shop, order),
    "currentTotalTax": lambda order, call: totals.current_tax(call.shop, order),
    "totalReceived": lambda order, call: totals.received(order),
    "totalRefunded": lambda order, call: totals.refunded(order),
    "totalRefundedShipping": lambda order, call: totals.refunded_shipping(call.shop, order),
    "netPayment": lambda order, call: totals.received(order) - totals.refunded(order),
    "totalOutstanding": lambda order, call: totals.outstanding(call.shop, order),
    "totalCapturable": lambda order, call: NOTHING,
}
fields("Order", **{f"{name}Set": _totalled(compute) for name, compute in TOTALS.items()})
fields("Order", **{name: _in_shop(compute) for name, compute in TOTALS.items()})


def _protected(read: Callable[[Order], Any]) -> Field:
    """Names, addresses, e-mail and phone: null or refused where the app may not see them."""

    def shown(order: Order, call: Call, asked: dict[str, Any]) -> Any:
        match call.shop.switches.protected_data if "protected" not in call.denied else "null":
            case "null":
                return None
            case "denied":
                extensions = {"code": "ACCESS_DENIED", "documentation": "https://shopify.dev/docs/apps/launch/protected-customer-data"}
                raise GraphQLError("This app is not approved to access protected customer data.", extensions=extensions)
        return read(order)

    return shown


def _attributed(order: Order, call: Call, asked: dict[str, Any]) -> Any:
    known = call.shop.attributions.get(order.attribution or "")
    return {"handle": known.handle, "displayName": known.display_name, "icon": known.icon} if known else None


def _address(read: Callable[[Order], dict[str, str | None] | None]) -> Field:
    return _protected(lambda order: (given := read(order)) and {**given, "of": order.id})


def _parcels(order: Order, call: Call, asked: dict[str, Any]) -> Any:
    """Those that the app's scopes let it see: no error tells that there are others."""
    found = (call.shop.fulfillment_orders[number] for number in sorted(order.fulfillment_orders))
    shown = [parcel for parcel in found if access.sees_parcel(call.shop, parcel)]
    if asked.get("displayable"):
        shown = [parcel for parcel in shown if parcel.moved_to is None and any(line.total for line in parcel.lines)]
    return page({parcel.id: parcel for parcel in shown}, asked)


plain(
    "Order",
    id=lambda order: gid("Order", order.id),
    legacyResourceId=lambda order: str(order.id),
    name=lambda order: order.name,
    number=lambda order: order.number,
    app=lambda order: {
        "id": gid("App", order.app_id),
        "name": "Online Store" if order.app_id == WEB_STORE_ID else "Crossdock",
    },
    createdAt=lambda order: when(order.created_at),
    updatedAt=lambda order: when(order.updated_at),
    processedAt=lambda order: when(order.processed_at),
    cancelledAt=lambda order: when(order.cancelled_at),
    cancelReason=lambda order: order.cancel_reason if order.cancelled_at else None,
    cancellation=lambda order: {"staffNote": order.staff_note} if order.cancelled_at else None,
    closed=lambda order: order.closed_at is not None,
    closedAt=lambda order: when(order.closed_at),
    edited=lambda order: order.edited,
    confirmed=lambda order: True,
    test=lambda order: order.test,
    tags=lambda order: order.tags,
    sourceName=lambda order: order.source_name,
    sourceIdentifier=lambda order: order.source_identifier,
    note=lambda order: order.note,
    poNumber=lambda order: order.po_number,
    currencyCode=lambda order: order.currency,
    presentmentCurrencyCode=lambda order: order.presentment_currency,
    taxesIncluded=lambda order: order.taxes_included,
    taxExempt=lambda order: False,
    displayFinancialStatus=lambda order: order.financial_status,
    discountCode=lambda order: order.discount_code,
    discountCodes=lambda order: [order.discount_code] if order.discount_code else [],
    requiresShipping=lambda order: any(line.requires_shipping for line in order.lines),
    customAttributes=lambda order: [{"key": key, "value": value} for key, value in order.attributes],
    unpaid=lambda order: totals.received(order).shop <= 0,
    refundable=lambda order: totals.received(order).shop > totals.refunded(order).shop,
    paymentGatewayNames=lambda order: sorted({paid.gateway for paid in order.transactions}),
    taxLines=lambda order: [(order, tax) for tax in totals.all_taxes(order)],
    fulfillmentsCount=lambda order: {"count": len(order.fulfillments), "precision": "EXACT"},
)
fields(
    "Order",
    attribution=_attributed,
    canMarkAsPaid=lambda order, call, asked: not order.cancelled_at and totals.outstanding(call.shop, order).shop > 0,
    displayFulfillmentStatus=lambda order, call, asked: totals.displayed_status(call.shop, order),
    returnStatus=lambda order, call, asked: totals.return_status(call.shop, order),
    fullyPaid=lambda order, call, asked: totals.outstanding(call.shop, order).shop <= 0,
    email=_protected(lambda order: order.email),
    phone=_protected(lambda order: order.phone),
    shippingAddress=_address(lambda order: order.shipping_address),
    billingAddress=_address(lambda order: order.billing_address),
    metafield=_metafield,
    refunds=lambda order, call, asked: limited([call.shop.refunds[number] for number in order.refunds], asked),
    returns=lambda order, call, asked: page({number: call.shop.returns[number] for number in order.returns}, asked),
    shippingLines=lambda order, call, asked: page(in_order([(order, line) for line in order.shipping_lines]), asked),
    lineItems=lambda order, call, asked: page(in_order([(order, line) for line in order.lines]), asked),
    fulfillments=lambda order, call, asked: limited([call.shop.fulfillments[number] for number in order.fulfillments], asked),
    fulfillmentOrders=_parcels,
    transactions=lambda order, call, asked: limited([(order, paid) for paid in order.transactions], asked),
)


AS_GIVEN = ("firstName", "lastName", "company", "address1", "address2", "city", "zip", "province", "provinceCode", "phone")


def _address_part(name: str) -> Field:
    return lambda address, call, asked: address.get(name)


plain(
    "MailingAddress",
    id=lambda address: f"gid://shopify/MailingAddress/{address['of']}?model_name=Address",
    name=lambda address: " ".join(part for part in (address.get("firstName"), address.get("lastName")) if part),
    countryCodeV2=lambda address: address.get("countryCode"),
    country=lambda address: address.get("country") or COUNTRIES.get(address.get("countryCode") or ""),
)
fields(
    "MailingAddress",
    **{name: _address_part(name) for name in AS_GIVEN},
)


def _of_line(read: Callable[[Line], Any]) -> Field:
    return lambda pair, call, asked: read(pair[1])


plain(
    "LineItem",
    originalUnitPriceSet=lambda pair: money(pair[0], pair[1].price),
    discountedTotalSet=lambda pair: money(pair[0], totals.line_total(pair[1])),
    totalDiscountSet=lambda pair: money(pair[0], pair[1].discount),
)
fields(
    "LineItem",
    id=_of_line(lambda line: gid("LineItem", line.id)),
    sku=_of_line(lambda line: line.sku),
    title=_of_line(lambda line: line.title),
    name=_of_line(lambda line: f"{line.title} - {line.variant_title}" if line.variant_title else line.title),
    variantTitle=_of_line(lambda line: line.variant_title),
    vendor=_of_line(lambda line: line.vendor),
    quantity=_of_line(lambda line: line.quantity),
    currentQuantity=_of_line(lambda line: line.current),
    refundableQuantity=_of_line(lambda line: line.current),
    unfulfilledQuantity=_of_line(lambda line: line.unfulfilled),
    nonFulfillableQuantity=_of_line(lambda line: line.quantity - line.unfulfilled),
    fulfillmentStatus=_of_line(lambda line: "fulfilled" if not line.unfulfilled else "partial" if line.fulfilled else "unfulfilled"),
    fulfillableQuantity=_of_line(lambda line: line.unfulfilled),
    requiresShipping=_of_line(lambda line: line.requires_shipping),
    taxable=_of_line(lambda line: line.taxable),
    isGiftCard=_of_line(lambda line: False),
    customAttributes=_of_line(lambda line: [{"key": key, "value": value} for key, value in line.properties]),
    variant=lambda pair, call, asked: call.shop.variants.get(pair[1].variant_id),
    taxLines=lambda pair, call, asked: limited([(pair[0], tax) for tax in pair[1].taxes], asked),
)
plain(
    "ShippingLine",
    code=lambda pair: pair[1].code,
    source=lambda pair: pair[1].source,
    isRemoved=lambda pair: False,
    originalPriceSet=lambda pair: money(pair[0], pair[1].price),
    discountedPriceSet=lambda pair: money(pair[0], pair[1].price),
    taxLines=lambda pair: [(pair[0], tax) for tax in pair[1].taxes],
)
fields(
    "ShippingLine",
    id=_of_line(lambda line: gid("ShippingLine", line.id)),
    title=_of_line(lambda line: line.title),
)
plain(
    "TaxLine",
    title=lambda pair: pair[1].title,
    rate=lambda pair: float(pair[1].rate),
    ratePercentage=lambda pair: round(float(pair[1].rate) * 100, 6),
    channelLiable=lambda pair: pair[1].channel_liable,
    priceSet=lambda pair: money(pair[0], pair[1].amount),
    source=lambda pair: None,
)
fields("TaxLine", price=lambda pair, call, asked: decimal(pair[1].amount.shop, pair[0].currency, call))


def _parent(pair: tuple[Order, Transaction]) -> tuple[Order, Transaction] | None:
    order, money_ = pair
    return next(((order, paid) for paid in order.transactions if paid.id == money_.parent_id), None)


plain(
    "OrderTransaction",
    id=lambda pair: gid("OrderTransaction", pair[1].id),
    kind=lambda pair: pair[1].kind,
    status=lambda pair: pair[1].status,
    gateway=lambda pair: pair[1].gateway,
    formattedGateway=lambda pair: pair[1].gateway.replace("_", " ").title(),
    manualPaymentGateway=lambda pair: pair[1].is_manual,
    createdAt=lambda pair: when(pair[1].created_at),
    processedAt=lambda pair: when(pair[1].processed_at),
    paymentId=lambda pair: payment_id(*pair),
    test=lambda pair: pair[1].test,
    errorCode=lambda pair: pair[1].error,
    receiptJson=lambda pair: "{}",
    authorizationCode=lambda pair: pair[1].authorization,
    parentTransaction=_parent,
    amountSet=lambda pair: money(pair[0], pair[1].amount),
)
fields("OrderTransaction", amount=lambda pair, call, asked: decimal(pair[1].amount.shop, pair[0].currency, call))
fields(
    "Mutation",
    metafieldsSet=_set_metafields,
    orderCreate=_create,
    orderCancel=_cancel,
    orderUpdate=_changed("orderUpdate", "input"),
    orderClose=_changed("orderClose", "input.id"),
    orderMarkAsPaid=_changed("orderMarkAsPaid", "input.id"),
    tagsAdd=_changed("tagsAdd", "id", "tags"),
    tagsRemove=_changed("tagsRemove", "id", "tags"),
    orderAttributionDefinitionUpsert=_attribution,
)
