"""Who may ask, in which version, and for what: tokens, API versions, scopes, and what a missing scope hides."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from ops.sandbox.shopify.state import FulfillmentOrder, Order, Pass, Problem, RefusedError, Shop
from ops.sandbox.shopify.webhooks import emit

CLIENT_ID = "crossdock-sandbox"
GRANTED_FOR = {"client_credentials": timedelta(seconds=86_399), "offline": timedelta(minutes=60)}
REFRESHED_FOR = timedelta(days=90)
FIRST_REFRESH = "shprt_sandbox"  # what an installation hands out first; each refresh token serves once
OLDEST_YEAR = 2020

# Root fields and the scopes of which any one opens them. The schema's own descriptions say so; write implies read.
FULFILLING = tuple(f"write_{kind}_fulfillment_orders" for kind in ("merchant_managed", "assigned", "third_party"))
ORDER_WRITES = (
    "orderCreate orderUpdate orderClose orderMarkAsPaid orderCancel orderAttributionDefinitionUpsert tagsAdd tagsRemove "
    "metafieldsSet metafieldDefinitionCreate refundCreate"
)
RETURN_WRITES = (
    "returnCreate returnApproveRequest returnDeclineRequest returnProcess returnClose returnCancel "
    "reverseFulfillmentOrderDispose reverseDeliveryCreateWithShipping"
)
PARCEL_WRITES = "fulfillmentOrderHold fulfillmentOrderReleaseHold fulfillmentOrderMove fulfillmentOrderSplit"
NEEDED: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("order", "orders", "orderByIdentifier", "refund", "tenderTransactions"), ("read_orders",)),
    **dict.fromkeys(("return", "returnableFulfillments", "returnReasonDefinitions"), ("read_returns",)),
    "fulfillment": ("read_fulfillments", "read_orders", *(scope.replace("write", "read") for scope in FULFILLING)),
    **dict.fromkeys(("inventoryItem", "inventoryItems"), ("read_inventory", "read_products")),
    **dict.fromkeys(("location", "locations"), ("read_locations",)),
    "productVariants": ("read_products",),
    **dict.fromkeys(ORDER_WRITES.split(), ("write_orders",)),
    **dict.fromkeys(("fulfillmentCreate", "fulfillmentTrackingInfoUpdate", "fulfillmentCancel"), (*FULFILLING, "write_fulfillments")),
    **dict.fromkeys(PARCEL_WRITES.split(), FULFILLING),
    **dict.fromkeys(RETURN_WRITES.split(), ("write_returns",)),
    **dict.fromkeys(("inventorySetQuantities", "inventoryAdjustQuantities", "inventoryActivate"), ("write_inventory",)),
}


# --------------------------------------------------------------------------------------------------------------- versions


def stable_versions(at: datetime) -> list[str]:
    """One a quarter, at 17:00 UTC on its first day; each is supported for a year. Oldest first."""
    found = [(year, month) for year in (at.year - 1, at.year) for month in (1, 4, 7, 10)]
    out = [(year, month) for year, month in found if datetime(year, month, 1, 17, tzinfo=at.tzinfo) <= at]
    return [f"{year}-{month:02}" for year, month in out[-4:]]


def candidate(at: datetime) -> str:
    """The version that comes next: it can be asked for already."""
    year, month = map(int, stable_versions(at)[-1].split("-"))
    return f"{year + (month == 10)}-{(month + 2) % 12 + 1:02}"


def served(asked: str, at: datetime) -> str:
    """The version that answers: what is missing, malformed or retired is served by the oldest, and nothing says so but a header."""
    stable = stable_versions(at)
    return asked if asked in (*stable, candidate(at), "unstable") else stable[0]


# ----------------------------------------------------------------------------------------------------------------- tokens


def grant(shop: Shop, kind: str, at: datetime, refresh: str | None = None) -> str:
    """A token for a time; the old refresh token is used up. Raises RefusedError for one that is not known, or too old."""
    if kind == "offline":
        before = next((one for one in shop.passes.values() if one.refresh == refresh), None)
        if refresh is None or (before is None and (refresh != FIRST_REFRESH or any(one.kind == kind for one in shop.passes.values()))):
            raise RefusedError(Problem(("refresh_token",), "invalid_grant"))
        if before is not None:
            if before.refresh_ends_at is not None and before.refresh_ends_at <= at:
                raise RefusedError(Problem(("refresh_token",), "invalid_grant"))
            before.refresh = None
    made = Pass(f"shpat_{_secret(shop, 'token')}", kind, at + GRANTED_FOR[kind])
    if kind == "offline":
        made.refresh, made.refresh_ends_at = f"shprt_{_secret(shop, 'refresh')}", at + REFRESHED_FOR
    shop.passes = {token: one for token, one in shop.passes.items() if one.ends_at > at or one.refresh}
    shop.passes[made.token] = made
    return made.token


def _secret(shop: Shop, what: str) -> str:
    drawn = hashlib.blake2b(f"{shop.seed}:{what}:{shop.new_id()}".encode(), digest_size=15).digest()
    return base64.b32encode(drawn).decode().lower()


def kind_of_token(shop: Shop, given: str, static: str, at: datetime) -> str | None:
    """static, client_credentials, offline; None: not one that opens anything."""
    if shop.uninstalled_at is not None:
        return None
    if given == static:
        return "static"
    known = shop.passes.get(given)
    return known.kind if known is not None and known.ends_at > at else None


# ----------------------------------------------------------------------------------------------------------------- scopes


def set_scopes(shop: Shop, scopes: list[str], at: datetime) -> None:
    """The merchant, or a new version of the app, grants others than before."""
    before, shop.scopes = shop.scopes, list(scopes)
    shop.former_scopes, shop.scopes_at = before, at
    emit(shop, "app/scopes_update", (), at)


def has(shop: Shop, scope: str) -> bool:
    return scope in shop.scopes or (scope.startswith("read_") and scope.replace("read_", "write_", 1) in shop.scopes)


def missing(shop: Shop, field: str) -> tuple[str, ...]:
    """The scopes of which one is needed for a root field; none if it is open."""
    wanted = NEEDED.get(field, ())
    return () if not wanted or any(has(shop, scope) for scope in wanted) else wanted


def visible(shop: Shop, order: Order, at: datetime) -> bool:
    """Orders that are too old are not there for whoever lacks read_all_orders."""
    days = shop.switches.visible_days
    return days is None or at - order.created_at < timedelta(days=days) or "read_all_orders" in shop.scopes


def sees_parcel(shop: Shop, parcel: FulfillmentOrder) -> bool:
    """A missing scope raises no error: it hides the fulfilment order."""
    service = shop.locations[parcel.location_id].service
    kind = "merchant_managed" if service is None else "assigned" if service == CLIENT_ID else "third_party"
    return has(shop, f"read_{kind}_fulfillment_orders")
