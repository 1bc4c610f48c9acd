"""Everything that Shopify is asked: one operation a document, with whose turn it is in and what it may cost.

Shopify publishes no calls a second but points: a bucket that refills, told in every answer. `points` is our guess before the first
answer, from above: 10 for a mutation, 1 for an object, children times their page. One request may cost 1,000. Admin API, 2026-10.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from engine.adapter import Endpoint
from schemas.commands import Lane

PATH = "/admin/api/{version}/graphql.json"
A_SECOND = 20  # calls of one mutation; ours, far above what points allow, so that a loop of ours is noticed
READS_A_SECOND = 40  # of one query, likewise: an order is read again several times while it is made, sent and paid back

_SPREAD = re.compile(r"\.\.\.\s*([A-Z]\w*)")
_FILES = {file.stem: file.read_text(encoding="utf-8") for file in sorted((Path(__file__).parent / "documents").glob("*.graphql"))}


def document(name: str) -> str:
    """An operation with the fragments it spreads, and theirs."""
    wanted, text = [name], ""
    for part in wanted:
        text += _FILES[part]
        wanted.extend(fragment for fragment in _SPREAD.findall(_FILES[part]) if fragment not in wanted)
    return text


@dataclass(frozen=True)
class Operation:
    endpoint: Endpoint  # its code is the operation's name
    text: str
    lane: Lane
    points: float

    @property
    def name(self) -> str:
        return self.endpoint.code


def _query(name: str, lane: Lane, points: float) -> Operation:
    return Operation(Endpoint(name, "POST", PATH, calls=READS_A_SECOND, per=1, reads=True), document(name), lane, points)


def _mutation(name: str, lane: Lane, points: float = 10) -> Operation:
    return Operation(Endpoint(name, "POST", PATH, calls=A_SECOND, per=1), document(name), lane, points)


SHOP_PROBE = _query("ShopProbe", Lane.CATALOGUE, 10)

DEFINITION = _query("MarketplaceIdDefinition", Lane.CREATE, 10)
DEFINITION_CREATE = _mutation("MarketplaceIdDefinitionCreate", Lane.CREATE)
ID_SET = _mutation("MarketplaceIdSet", Lane.CREATE)

VARIANTS_BY_SKU = _query("VariantsBySku", Lane.CREATE, 150)
ORDER_BY_ID = _query("OrderByMarketplaceId", Lane.CREATE, 5)
ORDERS_BY_TAG = _query("OrdersByTag", Lane.CREATE, 50)
ORDER_TERMS = _query("OrderTerms", Lane.CREATE, 260)
ORDER_CREATE = _mutation("OrderCreate", Lane.CREATE, 270)
ORDER_CANCEL = _mutation("OrderCancel", Lane.CREATE)
JOB = _query("Job", Lane.CREATE, 5)
ORDER_STANDING = _query("OrderStanding", Lane.CREATE, 5)
TAGS_ADD = _mutation("TagsAdd", Lane.CATALOGUE)

FULFILMENT_ORDERS = _query("FulfilmentOrders", Lane.CREATE, 110)
HOLD_PLACE = _mutation("HoldPlace", Lane.CREATE)
HOLD_RELEASE = _mutation("HoldRelease", Lane.CREATE)

REFUND_IDS = _query("RefundIds", Lane.REFUND, 255)
REFUND_BASIS = _query("RefundBasis", Lane.REFUND, 210)
REFUND_CREATE = _mutation("RefundCreate", Lane.REFUND)
SHELVES = _query("ShelvesOfOrder", Lane.REFUND, 620)
SHELF_LINES = _query("ShelfLines", Lane.REFUND, 210)
RETURNABLE_LINES = _query("ReturnableLines", Lane.REFUND, 620)
RETURNABLE_REST = _query("ReturnableRest", Lane.REFUND, 410)
RETURN_NOTES = _query("ReturnNotes", Lane.REFUND, 160)
RETURN_REASONS = _query("ReturnReasons", Lane.REFUND, 110)
RETURN_CREATE = _mutation("ReturnCreate", Lane.REFUND)

ORDER_GET = _query("OrderGet", Lane.SHIP, 350)
STANDING_LINES = _query("StandingLines", Lane.SHIP, 210)
FULFILMENT_IDS = _query("FulfilmentIds", Lane.SHIP, 260)
FULFILMENT_GET = _query("FulfilmentGet", Lane.SHIP, 75)
FULFILMENT_LINES = _query("FulfilmentLines", Lane.SHIP, 310)
ORDER_AFTERCARE = _query("OrderAftercare", Lane.SHIP, 620)
ORDER_RETURNS = _query("OrderReturns", Lane.SHIP, 780)
REFUND_GET = _query("RefundGet", Lane.SHIP, 110)
REFUND_LINES = _query("RefundLines", Lane.SHIP, 710)
REFUND_SHIPPING = _query("RefundShipping", Lane.SHIP, 310)
REFUND_TRANSACTIONS = _query("RefundTransactions", Lane.SHIP, 310)
RETURN_LINES = _query("ReturnLines", Lane.SHIP, 510)
REVERSE_ORDERS = _query("ReverseOrders", Lane.SHIP, 520)
REVERSE_LINES = _query("ReverseLines", Lane.SHIP, 510)
ORDERS_OF = _query("OrdersOf", Lane.SHIP, 100)
ORDERS_RETURNING = _query("OrdersReturning", Lane.SHIP, 55)
ORDERS_PAGE = _query("OrdersPage", Lane.CATALOGUE, 60)

BULK_RUN = _mutation("BulkRun", Lane.CATALOGUE)
BULK_GET = _query("BulkGet", Lane.CATALOGUE, 5)
BULK_ORDERS = document("BulkOrders")  # handed to BULK_RUN
BULK_SINCE = "2020-01-01T00:00:00Z"  # in it, and to be replaced
BULK_ITEMS = document("BulkItems")  # handed to BULK_RUN, too

ORDER_ITEMS = _query("OrderItems", Lane.ZERO_STOCK, 310)
OFFERED = _query("Offered", Lane.ACCEPT, 820)
ITEMS_GET = _query("ItemsGet", Lane.ZERO_STOCK, 785)
ITEM_LEVELS = _query("ItemLevels", Lane.STOCK, 310)

SUBSCRIPTIONS = _query("WebhookSubscriptions", Lane.CATALOGUE, 110)
SUBSCRIPTION_CREATE = _mutation("WebhookSubscriptionCreate", Lane.CATALOGUE)
SUBSCRIPTION_DELETE = _mutation("WebhookSubscriptionDelete", Lane.CATALOGUE)

ORDERS_A_PAGE = 50
NODES_A_CALL = 25  # items of at most 8 levels each stay below the 1,000 points of one request
SKUS_A_CALL = 25  # in one search

# The topics we subscribe to: those whose news a reader follows, and the end of our own access. Webhook topics, 2026-10.
_CHANGES = {
    "orders": "create updated cancelled edited delete",
    "fulfillments": "create update",
    "fulfillment_orders": "order_routing_complete moved split merged cancelled placed_on_hold hold_released",
    "fulfillment_holds": "added released",
    "refunds": "create",
    "order_transactions": "create",
    "returns": "request approve decline update process cancel close reopen",
    "reverse_fulfillment_orders": "dispose",
    "inventory_levels": "update connect disconnect",
    "inventory_items": "create update delete",
    "products": "update",
    "locations": "update deactivate delete",
    "app": "uninstalled scopes_update",
}
TOPICS = tuple(f"{family}/{change}" for family, changes in _CHANGES.items() for change in changes.split())

# What each scope is for. Without the fulfilment-order scopes nothing fails: orders merely look as if nobody could ship them.
SCOPES = {
    "write_orders": "orders are created and cancelled",
    "read_all_orders": "orders older than 60 days are found again",
    "read_products": "SKUs are found",
    "read_inventory": "stock is read",
    "read_locations": "stock is told apart by location",
    "read_fulfillments": "parcels are heard of",
    "write_merchant_managed_fulfillment_orders": "orders at the merchant's own locations are seen and held",
    "write_assigned_fulfillment_orders": "orders at our own fulfilment service are seen and held",
    "write_third_party_fulfillment_orders": "orders at other fulfilment services are seen and held",
    "write_returns": "returns are heard of and recorded",
}
