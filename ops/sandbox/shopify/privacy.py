"""Privacy topics and the end of an installation. They are declared in the app's configuration: nobody subscribes to them by API."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from ops.sandbox.shopify.state import SHOP_ID, Order, Problem, RefusedError, Shop
from ops.sandbox.shopify.webhooks import LOOPBACK, emit, put_private

REDACTED_AFTER = timedelta(hours=48)  # from uninstalling to shop/redact


def set_address(shop: Shop, uri: str | None, at: datetime) -> None:
    if uri is not None and urlsplit(uri).hostname not in LOOPBACK:
        raise RefusedError(Problem(("uri",), "the sandbox posts to this machine only"))
    shop.privacy_uri = uri


def request_data(shop: Shop, order: int, at: datetime) -> int:
    """The buyer of an order asks what is known of them. Returns the request's number."""
    found, number = _order(shop, order), shop.new_id()
    put_private(shop, "customers/data_request", _of_buyer(shop, found, "orders_requested") | {"data_request": {"id": number}}, at)
    return number


def redact_customer(shop: Shop, order: int, at: datetime) -> None:
    """Whoever holds data of that order's buyer is to erase it. The shop does so itself."""
    found = _order(shop, order)
    put_private(shop, "customers/redact", _of_buyer(shop, found, "orders_to_redact"), at)
    found.email = found.phone = None
    found.shipping_address = found.billing_address = None
    found.redacted = True


def _of_buyer(shop: Shop, order: Order, orders: str) -> dict[str, Any]:
    known = shop.customers.get(order.customer_id or 0)
    customer = {"id": order.customer_id, "email": order.email, "phone": order.phone or (known.phone if known else None)}
    return {"shop_id": SHOP_ID, "shop_domain": shop.domain, "customer": customer, orders: [order.id]}


def uninstall(shop: Shop, at: datetime) -> None:
    """The app is thrown out: its token opens nothing, its subscriptions are gone, and two days later all is to be erased."""
    if shop.uninstalled_at is not None:
        raise RefusedError(Problem(("app",), "it is not installed"))
    shop.uninstalled_at = at
    emit(shop, "app/uninstalled", (), at)
    for known in shop.subscriptions.values():
        known.ends = True
    shop.passes.clear()
    shop.agenda.put(at + REDACTED_AFTER, "shop_redact", 0)


def redact_shop(shop: Shop, at: datetime) -> None:
    put_private(shop, "shop/redact", {"shop_id": SHOP_ID, "shop_domain": shop.domain}, at)


def _order(shop: Shop, order: int) -> Order:
    found = shop.orders.get(order)
    if found is None:
        raise RefusedError(Problem(("order",), "there is no such order"))
    return found
