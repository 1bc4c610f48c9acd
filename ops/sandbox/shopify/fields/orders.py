"""Orders: found, read, made, cancelled."""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from graphql import GraphQLError

from ops.sandbox.money import graph_text
from ops.sandbox.shopify import metafields, search, totals
from ops.sandbox.shopify import orders as ordering
from ops.sandbox.shopify.bodies import COUNTRIES
from ops.sandbox.shopify.connections import in_order, page
from ops.sandbox.shopify.fields.table import Call, Field, fields, limited, money, plain, when
from ops.sandbox.shopify.state import (
    NOTHING,
    WEB_STORE_ID,
    Bag,
    Definition,
    Line,
    Metafield,
    Order,
    gid,
    number_of,
)


def _seen(order: Order, call: Call) -> datetime:
    """The date of change that the search index knows."""
    settled = call.at - order.updated_at >= timedelta(seconds=call.shop.switches.index_lag)
    return order.updated_at if settled else order.seen_as_of


def _status(order: Order) -> list[str]:
    return ["any", "cancelled" if order.cancelled_at else "open"]


def _order_filters(call: Call) -> dict[str, search.Filter]:
    filters: dict[str, search.Filter] = {
        "id": search.number(lambda order: int(order.id)),
        "name": search.text(lambda order: order.name),
        "tag": search.texts(lambda order: order.tags),
        "source_identifier": search.text(lambda order: order.source_identifier),
        "source_name": search.text(lambda order: order.source_name),
        "created_at": search.time(lambda order: order.created_at),
        "processed_at": search.time(lambda order: order.processed_at),
        "updated_at": search.time(lambda order: _seen(order, call)),
        "financial_status": search.text(lambda order: order.financial_status),
        "fulfillment_status": search.text(totals.fulfillment_status),
        "return_status": search.text(lambda order: "no_return"),
        "sku": search.texts(lambda order: [line.sku or "" for line in order.lines]),
        "status": search.texts(_status),
        "test": search.text(lambda order: str(order.test).lower()),
    }
    for known in call.shop.definitions.values():
        if known.filterable and known.owner_type == "ORDER":
            named = f"metafields.{known.namespace}.{known.key}"
            holds = search.texts(_values(known))
            filters |= {named: holds, named.replace(metafields.APP_NAMESPACE, "$app"): holds}
    return filters


def _values(definition: Definition) -> Callable[[Order], list[str]]:
    wanted = (definition.namespace, definition.key)
    return lambda order: [one.value for one in order.metafields if (one.namespace, one.key) == wanted]


def _orders(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    """Through the index, which lags: what is newer than that is not found."""
    holds = call.found("orders", asked.get("query"), _order_filters(call))
    known = call.at - timedelta(seconds=call.shop.switches.index_lag)
    shown = [order for order in call.shop.orders.values() if order.created_at <= known and (holds is None or holds(order))]
    read: dict[str, Callable[[Order], tuple[str | int, ...]]] = {
        "ID": lambda order: (order.id,),
        "ORDER_NUMBER": lambda order: (order.number,),
        "CREATED_AT": lambda order: (order.created_at.isoformat(timespec="microseconds"), order.id),
        "PROCESSED_AT": lambda order: (order.processed_at.isoformat(timespec="microseconds"), order.id),
        "UPDATED_AT": lambda order: (_seen(order, call).isoformat(timespec="microseconds"), order.id),
    }
    if asked["sortKey"] not in read:
        raise GraphQLError(f"orders sorted by {asked['sortKey']} are not simulated", extensions={"code": "NOT_SIMULATED"})
    by_key = {read[asked["sortKey"]](order): order for order in shown}
    return page({key: by_key[key] for key in sorted(by_key)}, asked)


def _by_identifier(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    if custom := asked["identifier"].get("customId"):
        namespace, key = custom.get("namespace"), custom["key"]
        definition = metafields.definition_of(call.shop, "ORDER", metafields.namespace_of(namespace), key)
        if definition is None or not definition.unique:
            raise GraphQLError("Metafield definition of type 'id' is required when using custom ids.", extensions={"code": "NOT_FOUND"})
        return metafields.order_by_unique_value(call.shop, namespace, key, custom["value"], call.at)
    return call.shop.orders.get(number_of(asked["identifier"]["id"], "Order"))


def _create(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    if ordering.too_many_orders(call.shop, call.at):
        raise GraphQLError("Too many attempts. Please try again later.", extensions={"code": "THROTTLED"})
    number, problems = call.attempt("orderCreate", wanted=asked["order"], options=asked.get("options"))
    return {"order": call.shop.orders[number] if number else None, "userErrors": problems}


def _cancel(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    number, problems = call.attempt("orderCancel", order_id=asked["orderId"], wanted=asked)
    return {"job": call.shop.jobs[number] if number else None, "orderCancelUserErrors": problems, "userErrors": problems}


fields(
    "QueryRoot",
    order=lambda _, call, asked: call.shop.orders.get(number_of(asked["id"], "Order")),
    orders=_orders,
    orderByIdentifier=_by_identifier,
    job=lambda _, call, asked: call.shop.jobs.get(number_of(asked["id"], "Job")),
)
plain(
    "Job",
    id=lambda job: gid("Job", job.id),
    done=lambda job: job.done,
)


def _metafield(order: Order, call: Call, asked: dict[str, Any]) -> Any:
    namespace = metafields.namespace_of(asked.get("namespace"))
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
        "compareDigest": hashlib.sha256(metafield.value.encode()).hexdigest(),
        "createdAt": when(metafield.created_at),
    }


def _set_metafields(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    numbers, problems = call.attempt("metafieldsSet", wanted=asked["metafields"])
    changed = [_shown(one) for order, number in numbers or () for one in call.shop.orders[order].metafields if one.id == number]
    return {"metafields": None if problems else changed, "userErrors": problems}


def _totalled(compute: Callable[[Order], Bag]) -> Field:
    return lambda order, call, asked: money(order, compute(order))


def _plain_total(compute: Callable[[Order], Bag]) -> Field:
    return lambda order, call, asked: graph_text(compute(order).shop, order.currency)


def _net(order: Order) -> Bag:
    return NOTHING if order.cancelled_at else totals.tax(order)


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
    attribution=lambda order: None,
    createdAt=lambda order: when(order.created_at),
    updatedAt=lambda order: when(order.updated_at),
    processedAt=lambda order: when(order.processed_at),
    cancelledAt=lambda order: when(order.cancelled_at),
    cancelReason=lambda order: order.cancel_reason if order.cancelled_at else None,
    cancellation=lambda order: {"staffNote": order.staff_note} if order.cancelled_at else None,
    closed=lambda order: False,
    closedAt=lambda order: None,
    confirmed=lambda order: True,
    test=lambda order: order.test,
    tags=lambda order: order.tags,
    sourceName=lambda order: order.source_name,
    sourceIdentifier=lambda order: order.source_identifier,
    email=lambda order: order.email,
    phone=lambda order: order.phone,
    note=lambda order: order.note,
    poNumber=lambda order: order.po_number,
    currencyCode=lambda order: order.currency,
    presentmentCurrencyCode=lambda order: order.presentment_currency,
    taxesIncluded=lambda order: order.taxes_included,
    taxExempt=lambda order: False,
    displayFinancialStatus=lambda order: order.financial_status,
    displayFulfillmentStatus=totals.fulfillment_status,
    returnStatus=lambda order: "NO_RETURN",
    requiresShipping=lambda order: any(line.requires_shipping for line in order.lines),
    customAttributes=lambda order: [{"key": key, "value": value} for key, value in order.attributes],
    shippingAddress=lambda order: order.shipping_address and {**order.shipping_address, "of": order.id},
    billingAddress=lambda order: order.billing_address and {**order.billing_address, "of": order.id},
    fullyPaid=lambda order: totals.outstanding(order).shop <= 0,
    paymentGatewayNames=lambda order: sorted({paid.gateway for paid in order.transactions}),
    taxLines=lambda order: [(order, tax) for tax in totals.all_taxes(order)],
    fulfillmentsCount=lambda order: {"count": len(order.fulfillments), "precision": "EXACT"},
    refunds=lambda order: [],
)
fields(
    "Order",
    metafield=_metafield,
    subtotalPriceSet=_totalled(totals.subtotal),
    totalShippingPriceSet=_totalled(totals.shipping),
    totalTaxSet=_totalled(totals.tax),
    totalPriceSet=_totalled(totals.total),
    totalPrice=_plain_total(totals.total),
    subtotalPrice=_plain_total(totals.subtotal),
    totalTax=_plain_total(totals.tax),
    totalDiscountsSet=_totalled(lambda order: NOTHING),
    currentTotalPriceSet=_totalled(totals.current_total),
    currentTotalTaxSet=_totalled(_net),
    totalReceivedSet=_totalled(totals.received),
    totalRefundedSet=_totalled(lambda order: NOTHING),
    totalRefundedShippingSet=_totalled(lambda order: NOTHING),
    netPaymentSet=_totalled(totals.received),
    totalOutstandingSet=_totalled(totals.outstanding),
    shippingLines=lambda order, call, asked: page(in_order([(order, line) for line in order.shipping_lines]), asked),
    lineItems=lambda order, call, asked: page(in_order([(order, line) for line in order.lines]), asked),
    fulfillments=lambda order, call, asked: limited([call.shop.fulfillments[number] for number in order.fulfillments], asked),
    fulfillmentOrders=lambda order, call, asked: page(
        {number: call.shop.fulfillment_orders[number] for number in order.fulfillment_orders}, asked
    ),
    transactions=lambda order, call, asked: limited([(order, paid) for paid in order.transactions], asked),
    returns=lambda order, call, asked: page({}, asked),
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
    totalDiscountSet=lambda pair: money(pair[0], NOTHING),
)
fields(
    "LineItem",
    id=_of_line(lambda line: gid("LineItem", line.id)),
    sku=_of_line(lambda line: line.sku),
    title=_of_line(lambda line: line.title),
    name=_of_line(lambda line: line.title),
    vendor=_of_line(lambda line: line.vendor),
    quantity=_of_line(lambda line: line.quantity),
    currentQuantity=_of_line(lambda line: line.quantity - line.cancelled),
    refundableQuantity=_of_line(lambda line: line.quantity - line.cancelled),
    unfulfilledQuantity=_of_line(lambda line: line.unfulfilled),
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
    price=lambda pair: graph_text(pair[1].amount.shop, pair[0].currency),
)
plain(
    "OrderTransaction",
    id=lambda pair: gid("OrderTransaction", pair[1].id),
    kind=lambda pair: pair[1].kind,
    status=lambda pair: pair[1].status,
    gateway=lambda pair: pair[1].gateway,
    formattedGateway=lambda pair: pair[1].gateway.replace("_", " ").title(),
    manualPaymentGateway=lambda pair: pair[1].gateway != "shopify_payments",
    createdAt=lambda pair: when(pair[1].created_at),
    processedAt=lambda pair: when(pair[1].processed_at),
    paymentId=lambda pair: f"#{pair[0].number}.{pair[0].transactions.index(pair[1]) + 1}",
    test=lambda pair: pair[1].test,
    errorCode=lambda pair: None,
    authorizationCode=lambda pair: pair[1].authorization,
    parentTransaction=lambda pair: None,
    amountSet=lambda pair: money(pair[0], pair[1].amount),
    amount=lambda pair: graph_text(pair[1].amount.shop, pair[0].currency),
)
fields("Mutation", metafieldsSet=_set_metafields, orderCreate=_create, orderCancel=_cancel)
