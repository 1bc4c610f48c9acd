"""Every document and whatever we put into it fits the published schema."""

import itertools
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLSchema, OperationDefinitionNode, build_schema, parse, validate
from graphql.execution import get_variable_values
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.shopify import endpoints, wire
from adapters.shopify.endpoints import ORDER_CREATE, Operation
from adapters.shopify.hints import KNOWN
from adapters.shopify.shop import _DEFINITION_INPUT, _enum
from adapters.shopify.translate import creation
from adapters.shopify.translate.stock import search_for_skus
from ops.sandbox.shopify import creation as checkout
from ops.sandbox.shopify import totals
from ops.sandbox.shopify.cost import Price
from ops.sandbox.shopify.state import Shop
from schemas.commands import CreateShopOrder
from schemas.events.orders import DeliveryAddress
from schemas.values import ChannelId, Discount, Fee, LineId, Money, OrderId, OrderLine, Sku, Tax, minor_digits
from tests.contract.shopify.shopfront import SDL, command, order_line, stock
from tests.loopback import NOW


def written(
    asked: CreateShopOrder, variants: dict[Sku, str], address: DeliveryAddress | None = None, *, relay_email: bool = True
) -> dict[str, Any]:
    sold = {sku: wire.stock.Variant(gid, sku, wire.stock.ProductState("ACTIVE"), wire.frame.Ref(gid)) for sku, gid in variants.items()}
    return creation.creation(asked, address or DeliveryAddress(), sold, method="Standard", key=b"k", relay_email=relay_email)


FILES = Path(endpoints.__file__).parent / "documents"
OPERATIONS = [one for one in vars(endpoints).values() if isinstance(one, Operation)]
GID = "gid://shopify/Order/9007199254741995"
SENT: dict[str, dict[str, Any]] = {
    "ShopProbe": {},
    "MarketplaceIdDefinition": {},
    "MarketplaceIdDefinitionCreate": {"definition": _DEFINITION_INPUT},
    "MarketplaceIdSet": {"metafields": [{"ownerId": GID, "namespace": "$app", "key": "mirakl_order_id", "type": "id", "value": "1"}]},
    "VariantsBySku": {"query": search_for_skus([Sku('A "1"'), Sku("B")]), "after": None},
    "OrderByMarketplaceId": {"value": "00012345-A"},
    "OrdersByTag": {"query": creation.search_for_twins(OrderId("1"))},
    "OrderTerms": {"id": GID, "after": None},
    "OrderCreate": written(command(), {Sku("TEE-RED-M"): "gid://shopify/ProductVariant/1"}),
    "StandingLines": {"id": GID, "after": None},
    "FulfilmentOrders": {"id": GID, "after": None},
    "OrderAftercare": {"id": GID},
    "OrderReturns": {"id": GID, "after": None},
    "OrderStanding": {"id": GID},
    "OrdersReturning": {"after": None, "query": "tag:'crossdock'"},
    "RefundIds": {"id": GID},
    "RefundGet": {"id": GID},
    "RefundLines": {"id": GID, "after": "x"},
    "RefundShipping": {"id": GID, "after": "x"},
    "RefundTransactions": {"id": GID, "after": "x"},
    "ReturnLines": {"id": GID, "after": "x"},
    "ReverseOrders": {"id": GID, "after": "x"},
    "ReverseLines": {"id": GID, "after": "x"},
    "HoldPlace": {"id": GID, "hold": {"reason": "OTHER", "reasonNotes": "x", "handle": "crossdock", "notifyMerchant": False}},
    "HoldRelease": {"id": GID, "holdIds": [GID]},
    "TagsAdd": {"id": GID, "tags": ["late"]},
    "RefundBasis": {"id": GID, "after": None},
    "ShelvesOfOrder": {"id": GID, "after": None},
    "ShelfLines": {"id": GID, "after": "x"},
    "RefundCreate": {
        "input": {
            "orderId": GID,
            "note": "Mirakl refund 1",
            "notify": False,
            "currency": "GBP",
            "refundLineItems": [{"lineItemId": GID, "quantity": 1, "restockType": "CANCEL", "locationId": GID}],
            "shipping": {"amount": "3.60"},
            "transactions": [{"orderId": GID, "kind": "REFUND", "gateway": "asos Marketplace", "parentId": GID, "amount": "27.60"}],
        },
        "key": "6f1b3c1e-8b0e-5c55-9f6b-0a54a3a3d6f1",
    },
    "ReturnableLines": {"id": GID, "after": None},
    "ReturnableRest": {"id": GID, "after": "x"},
    "ReturnNotes": {"id": GID, "after": None},
    "ReturnReasons": {},
    "ReturnCreate": {
        "input": {
            "orderId": GID,
            "returnLineItems": [
                {"fulfillmentLineItemId": GID, "quantity": 1, "returnReasonDefinitionId": GID, "returnReasonNote": "Mirakl return 1"}
            ],
        }
    },
    "Offered": {"query": search_for_skus([Sku("A")]), "after": None},
    "BulkRun": {"query": endpoints.BULK_ORDERS, "group": False},
    "BulkGet": {"id": GID},
    "OrderCancel": {"orderId": GID, "staffNote": "Made twice"},
    "Job": {"id": GID, "orderId": GID},
    "OrderGet": {"id": GID},
    "FulfilmentIds": {"id": GID},
    "FulfilmentGet": {"id": GID},
    "FulfilmentLines": {"id": GID, "after": "x"},
    "OrdersOf": {"ids": [GID] * endpoints.NODES_A_CALL},
    "OrdersPage": {"first": endpoints.ORDERS_A_PAGE, "after": None, "query": "tag:'crossdock'"},
    "OrderItems": {"id": GID, "after": None},
    "ItemsGet": {"ids": [GID] * endpoints.NODES_A_CALL},
    "ItemLevels": {"id": GID, "after": "x"},
    "WebhookSubscriptions": {"after": None},
    "WebhookSubscriptionCreate": {"topic": "ORDERS_CREATE", "subscription": {"uri": "https://x.example/1", "format": "JSON"}},
    "WebhookSubscriptionDelete": {"id": GID},
}


@cache
def schema() -> GraphQLSchema:
    return build_schema(SDL)


def coerced(operation: Operation, variables: dict[str, Any]) -> Any:
    node = next(node for node in parse(operation.text).definitions if isinstance(node, OperationDefinitionNode))
    return get_variable_values(schema(), node.variable_definitions or (), variables)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_what_is_sent_is_one_operation_that_fits_and_so_do_its_variables(operation):
    document = parse(operation.text)
    assert validate(schema(), document) == []
    [node] = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    assert node.name is not None and node.name.value == operation.name
    assert (node.operation.value == "query") == operation.endpoint.reads
    given = coerced(operation, SENT[operation.name])
    assert not isinstance(given, list), given
    assert set(SENT[operation.name]) == {one.variable.name.value for one in node.variable_definitions or ()}
    price = Price(schema(), document, given.coerced).of(node)
    many = endpoints.NODES_A_CALL if operation.name in ("OrdersOf", "ItemsGet") else 1  # nodes(ids:) names its size by its ids
    assert price * many <= 1000, "more than one request may cost"
    if operation.endpoint.reads:
        assert price * many * 0.5 <= operation.points <= 1000, f"{operation.name} costs {price * many}"


def test_every_file_is_sent_and_every_topic_is_one():
    spread = {name for operation in OPERATIONS for name in endpoints._SPREAD.findall(operation.text)}
    assert {file.stem for file in FILES.glob("*.graphql")} == {operation.name for operation in OPERATIONS} | spread | {
        "BulkOrders",
        "BulkItems",
    }
    assert set(endpoints.TOPICS) <= KNOWN
    assert {_enum(topic) for topic in endpoints.TOPICS} <= set(schema().type_map["WebhookSubscriptionTopic"].values)  # type: ignore[attr-defined]


# ---------------------------------------------------------------- any order there can be

words = st.text("aB3é ,'\"\\🧵-\u202e", max_size=12)
channels = st.sampled_from([ChannelId("asos"), ChannelId("decathlon-fr")])


@st.composite
def commands(draw: st.DrawFn) -> CreateShopOrder:
    currency = draw(st.sampled_from(["GBP", "JPY", "KWD"]))
    included = draw(st.booleans())
    cents = st.integers(0, 999_999)

    def taxes(price: int) -> tuple[Tax, ...]:
        rates = st.none() | st.sampled_from(["20", "20.0", "5.5", "0", "7,7", "abc"])
        amounts = draw(st.lists(st.integers(0, price), max_size=2))
        return tuple(
            Tax(code=draw(words), amount=Money(amount // 2, currency), rate=draw(rates), remitted_by_operator=draw(st.booleans()))
            for amount in amounts
        )

    lines = []
    for number in range(draw(st.integers(1, 4))):
        unit, quantity, shipping = draw(cents), draw(st.integers(1, 5)), draw(cents)
        price = max(0, unit * quantity + draw(st.integers(-7, 7) | st.just(0)))  # not always what units at that price come to
        lines.append(
            OrderLine(
                line_id=LineId(f"L-{number}"),
                sku=Sku(f"SKU{number % 2}"),
                quantity=quantity,
                unit_price=Money(unit, currency),
                price=Money(price, currency),
                shipping_price=Money(shipping, currency),
                taxes=taxes(price),
                shipping_taxes=taxes(shipping),
                fees=tuple(Fee(code=draw(words), amount=Money(draw(cents), currency)) for _ in range(draw(st.integers(0, 2)))),
                discounts=(Discount(code=draw(words), amount=Money(500, currency), funded_by=draw(words)),) if draw(st.booleans()) else (),
            )
        )
    total = sum(line.price.minor + line.shipping_price.minor + sum(fee.amount.minor for fee in line.fees) for line in lines)
    if not included:
        total += sum(tax.amount.minor for line in lines for tax in (*line.taxes, *line.shipping_taxes))
    return CreateShopOrder(
        channel=draw(channels),
        order_id=OrderId(draw(st.text("A1-,'\"é", min_size=1, max_size=60))),
        placed_at=NOW,
        currency=currency,
        taxes_included=included,
        lines=tuple(lines),
        total=Money(total, currency),
        shipping_method=draw(words),
        shipping_label=draw(words),
        ship_by=draw(st.none() | st.just(NOW)),
        test=draw(st.booleans()),
    )


addresses = st.builds(
    DeliveryAddress,
    first_name=words,
    street_1=words,
    state=st.sampled_from(["", "CA", "West Yorkshire"]),
    country_code=st.sampled_from(["", "GB", "FR"]),
    country=words,
    email=st.sampled_from(["", "a@b.example", "not an address", "ä@b.example"]),
    notes=words,
)


@settings(max_examples=60)
@given(commands(), addresses, st.booleans())
def test_whatever_order_it_is_shopify_understands_it_and_comes_to_the_same_total(asked, address, relay):
    shop = Shop(seed=1, created_at=NOW, currency=asked.currency)
    variants = {}
    for sku in ("SKU0", "SKU1"):
        item = stock(shop, sku, 100)
        variants[Sku(sku)] = f"gid://shopify/ProductVariant/{item.variant_id}"
    variables = written(asked, variants, address, relay_email=relay)
    given = coerced(ORDER_CREATE, variables)
    assert not isinstance(given, list), given
    number = checkout.create_order(shop, given.coerced["order"], given.coerced["options"], NOW)  # raises where it would be refused
    made = shop.orders[number]
    assert totals.total(made).shop == asked.total.minor
    assert totals.outstanding(shop, made).shop == 0, "paid, to the penny"
    for line in asked.lines:
        items = [item for item in made.lines if ("_mirakl_line_id", line.line_id) in item.properties]
        assert sum(item.quantity for item in items) == line.quantity and len(items) <= 2, "never merged"
        assert sum(totals.line_total(item).shop for item in items) == line.price.minor, "to the penny"
        for code in {tax.code or "Tax" for tax in line.taxes}:
            written_ = sum(tax.amount.shop for item in items for tax in item.taxes if tax.title == code)
            assert written_ == sum(tax.amount.minor for tax in line.taxes if (tax.code or "Tax") == code)
    assert sum(item.quantity for item in made.lines) == sum(line.quantity for line in asked.lines)
    assert sum(line.claimed for line in made.lines) == sum(line.quantity for line in asked.lines)
    remitted = sum(tax.amount.minor for line in asked.lines for tax in (*line.taxes, *line.shipping_taxes) if tax.remitted_by_operator)
    taxes = [*itertools.chain.from_iterable(line.taxes for line in made.lines), *made.shipping_lines[0].taxes]
    assert sum(tax.amount.shop for tax in taxes if tax.channel_liable) == remitted
    assert all(len(tag) <= 40 and "," not in tag for tag in variables["order"]["tags"])
    assert all(Decimal(tax["rate"]) >= 0 for line in variables["order"]["lineItems"] for tax in line["taxLines"])


@pytest.mark.parametrize(
    ("rate", "included", "expected"), [("20", True, "0.2"), ("5.5", False, "0.055"), (None, True, "0.2"), (None, False, "0.1667")]
)
def test_a_rate_is_copied_or_for_want_of_one_worked_out_for_display(rate, included, expected):
    line = order_line(quantity=1, price=2400, taxes=(Tax(code="VAT", amount=Money(400, "GBP"), rate=rate),))
    variables = written(command(line, taxes_included=included), {Sku("TEE-RED-M"): "gid://shopify/ProductVariant/1"})
    [tax] = variables["order"]["lineItems"][0]["taxLines"]
    assert tax["rate"] == expected and tax["priceSet"]["shopMoney"] == {"amount": "4.00", "currencyCode": "GBP"}


def test_an_amount_is_written_with_the_digits_of_its_currency():
    assert (minor_digits("JPY"), minor_digits("KWD")) == (0, 3)
    assert creation._bag(Money(1234, "KWD"))["shopMoney"]["amount"] == "1.234"
