"""Buyers as Shopify keeps them, as far as an order's creation goes: found again by e-mail, and one phone belongs to one of them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ops.sandbox.shopify.state import Customer, Problem, Shop, number_of

Input = dict[str, Any]


def problems(shop: Shop, wanted: Input) -> Iterator[Problem]:
    asked = wanted.get("customer") or {}
    if asked and wanted.get("customerId"):
        yield Problem(("order", "customer"), "Only one of customer and customerId can be given", "REDUNDANT_CUSTOMER_FIELDS")
        return
    number = wanted.get("customerId") or (asked.get("toAssociate") or {}).get("id")
    if number and number_of(number, "Customer") not in shop.customers:
        yield Problem(("order", "customer"), "Customer could not be found", "INVALID")
    phone = (asked.get("toUpsert") or {}).get("phone")
    known = _known(shop, asked.get("toUpsert") or {})
    if phone and any(other.phone == phone and other is not known for other in shop.customers.values()):
        yield Problem(("order", "customer", "toUpsert", "phone"), "Phone has already been taken", "INVALID")


def customer_of(shop: Shop, wanted: Input, at: datetime) -> int | None:
    asked = wanted.get("customer") or {}
    associate = asked.get("toAssociate") or {}
    if number := wanted.get("customerId") or associate.get("id"):
        return number_of(number, "Customer")
    upsert = asked.get("toUpsert") or ({"email": associate["email"]} if associate.get("email") else None)
    if not upsert:
        return None
    known = _known(shop, upsert)
    if known is None:
        known = Customer(shop.new_id(), upsert.get("email"), upsert.get("phone"))
        shop.customers[known.id] = known
        if known.email:
            shop.customer_emails[known.email.lower()] = known.id
    known.phone = upsert.get("phone") or known.phone
    return known.id


def _known(shop: Shop, upsert: Input) -> Customer | None:
    if upsert.get("id"):
        return shop.customers.get(number_of(upsert["id"], "Customer"))
    number = shop.customer_emails.get((upsert.get("email") or "").lower())
    return shop.customers.get(number or 0)
