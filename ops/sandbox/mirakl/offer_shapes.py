"""Offers as they are told: one by one in OF21, by the thousand in OF54's files."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from ops.sandbox.mirakl import offers, prices
from ops.sandbox.mirakl.goods import Offer, Price
from ops.sandbox.mirakl.shapes import moment
from ops.sandbox.mirakl.state import Account
from ops.sandbox.money import number

CONDITION = "11"  # new
CLASS = {"code": "S", "label": "Small"}
ZONE, METHOD = "UK", "STD"


def shipping_price(account: Account) -> int:
    """The least a buyer pays for the way; here it is free somewhere."""
    return 0


def listed(account: Account, blank: Mapping[str, Any], offer: Offer, at: datetime, channel: str | None = None) -> dict[str, Any]:
    """As OF21 shows it. `blank` is the least that the contract wants."""
    applies = prices.applicable(offer, at, channel)
    default, idle = prices.listed(offer)[0], offers.inactivity(account, offer, at)
    price = number(applies.each(at), account.currency)
    return {
        **blank,
        "offer_id": offer.id,
        "shop_sku": offer.sku,
        "product_sku": offer.product_sku,
        "product_title": offer.title,
        "product_references": [{"reference": offer.ean, "reference_type": "EAN"}],
        "category_code": offer.category,
        "category_label": offer.category,
        "currency_iso_code": account.currency,
        "quantity": offer.quantity,
        "active": not idle,
        "inactivity_reasons": idle,
        "price": price,
        "total_price": number(applies.each(at) + shipping_price(account), account.currency),
        "applicable_pricing": _pricing(account, applies, at),
        "all_prices": [_pricing(account, one, at) for one in prices.listed(offer)],
        "discount": _discount(account, default),
        "channels": offer.channels or list(account.switches.channels),
        "state_code": CONDITION,
        "description": None,
        "logistic_class": CLASS,
        "fulfillment": {"center": {"code": "DEFAULT"}},
        "min_shipping_type": METHOD,
        "min_shipping_zone": ZONE,
        "shipping_deadline": None,
        "max_order_quantity": None,
        "available_start_date": moment(offer.sells_from),
        "available_end_date": moment(offer.sells_until),
        **_warehouses(offer),
    }


def _warehouses(offer: Offer) -> dict[str, Any]:
    shown = [{"code": code, "quantity": quantity} for code, quantity in offer.warehouses.items()]
    return {"warehouses": shown} if shown else {}


def _pricing(account: Account, price: Price, at: datetime) -> dict[str, Any]:
    def money(amount: int | None) -> Decimal | None:
        return None if amount is None else number(amount, account.currency)

    def step(threshold: int) -> dict[str, Any]:
        origin = next((each for least, each in reversed(((1, price.price), *price.ranges)) if least <= threshold), price.price)
        now = price.each(at, threshold)
        reduced = now if price.reduced(at) and now < origin else None
        return {
            "quantity_threshold": threshold,
            "price": money(now),
            "unit_origin_price": money(origin),
            "unit_discount_price": money(reduced),
        }

    shown: dict[str, Any] = {
        "price": money(price.each(at)),
        "unit_origin_price": money(price.price),
        "unit_discount_price": money(price.discount),
        "discount_start_date": moment(price.discount_from),
        "discount_end_date": moment(price.discount_until),
        "volume_prices": [step(threshold) for threshold in sorted({1, *(least for least, _ in (*price.ranges, *price.discount_ranges))})],
        "channel_code": price.channels[0] if len(price.channels) == 1 else None,
    }
    return shown if price.default else shown | {"context": _context(price)}


def _context(price: Price) -> dict[str, Any]:
    return {
        "channel_codes": list(price.channels),
        "customer_group_ids": list(price.groups),
        "customer_organization_ids": list(price.organisations),
        "start_date": moment(price.starts),
        "end_date": moment(price.ends),
    }


def _discount(account: Account, price: Price) -> dict[str, Any] | None:
    if price.discount is None and not price.discount_ranges:
        return None
    ladder = ((1, price.discount), *price.discount_ranges)
    return {
        "discount_price": None if price.discount is None else number(price.discount, account.currency),
        "origin_price": number(price.price, account.currency),
        "start_date": moment(price.discount_from),
        "end_date": moment(price.discount_until),
        "ranges": [
            {"quantity_threshold": least, "price": number(each, account.currency)}
            for least, each in ladder
            if each is not None and price.discount_ranges
        ],
    }


# ---------------------------------------------------------------------------------------------------------------- exports


def exported(account: Account, offer: Offer, at: datetime) -> dict[str, Any]:
    """As OF54's JSON has it. What is not known of it is left out."""
    idle = offers.inactivity(account, offer, at)
    dates = {"available_start_date": moment(offer.sells_from), "available_end_date": moment(offer.sells_until)}
    return {
        "offer_id": offer.id,
        "shop_sku": offer.sku,
        "product_sku": offer.product_sku,
        "shop_id": account.shop_id,
        "shop_name": account.shop_name,
        "active": not idle and not offer.deleted,
        "deleted": offer.deleted,
        "quantity": offer.quantity,
        "state_code": CONDITION,
        "currency_iso_code": account.currency,
        "channels": offer.channels or list(account.switches.channels),
        "prices": [_exported_price(account, price, at) for price in prices.listed(offer)],
        "date_created": moment(offer.created_at),
        "last_updated": moment(offer.updated_at),
        "allow_quote_requests": False,
        "is_professional": True,
        "premium": False,
        "leadtime_to_ship": 2,
        "logistic_class": {"code": CLASS["code"]},
        "fulfillment": {"center": {"code": "DEFAULT"}},
        "min_shipping_price": number(shipping_price(account), account.currency),
        "min_shipping_price_additional": number(0, account.currency),
        "min_shipping_type": METHOD,
        "min_shipping_zone": ZONE,
        **{name: value for name, value in dates.items() if value is not None},
        **_warehouses(offer),
    }


def _exported_price(account: Account, price: Price, at: datetime) -> dict[str, Any]:
    pricing = _pricing(account, price, at)
    shown: dict[str, Any] = {
        "origin_price": pricing["unit_origin_price"],
        "volume_prices": [
            {name: value for name, value in step.items() if name != "price" and value is not None} for step in pricing["volume_prices"]
        ],
    }
    if price.discount is not None and not price.discount_ranges:
        shown["discount_price"] = number(price.discount, account.currency)
    shown |= {name: pricing[name] for name in ("discount_start_date", "discount_end_date") if pricing[name] is not None}
    if "context" in pricing:
        shown["context"] = {name: value for name, value in pricing["context"].items() if value}
    return shown


COLUMNS: dict[str, Callable[[dict[str, Any]], Any]] = {  # of OF54's CSV, from its JSON
    "offer-id": lambda row: row["offer_id"],
    "product-sku": lambda row: row["product_sku"],
    "shop-sku": lambda row: row["shop_sku"],
    "shop-id": lambda row: row["shop_id"],
    "shop-name": lambda row: row["shop_name"],
    "active": lambda row: row["active"],
    "deleted": lambda row: row["deleted"],
    "quantity": lambda row: row["quantity"],
    "price": lambda row: row["price_now"],
    "origin-price": lambda row: row["prices"][0]["origin_price"],
    "discount-price": lambda row: row["prices"][0].get("discount_price"),
    "discount-start-date": lambda row: row["prices"][0].get("discount_start_date"),
    "discount-end-date": lambda row: row["prices"][0].get("discount_end_date"),
    "total-price": lambda row: row["price_now"] + row["min_shipping_price"],
    "currency-iso-code": lambda row: row["currency_iso_code"],
    "channels": lambda row: "|".join(row["channels"]),
    "state-code": lambda row: row["state_code"],
    "date-created": lambda row: row["date_created"],
    "last-updated": lambda row: row["last_updated"],
    "available-start-date": lambda row: row.get("available_start_date"),
    "available-end-date": lambda row: row.get("available_end_date"),
    "leadtime-to-ship": lambda row: row["leadtime_to_ship"],
    "logistic-class": lambda row: row["logistic_class"]["code"],
    "fulfillment-center-code": lambda row: row["fulfillment"]["center"]["code"],
    "min-shipping-price": lambda row: row["min_shipping_price"],
    "min-shipping-price-additional": lambda row: row["min_shipping_price_additional"],
    "min-shipping-type": lambda row: row["min_shipping_type"],
    "min-shipping-zone": lambda row: row["min_shipping_zone"],
    "professional": lambda row: row["is_professional"],
    "premium": lambda row: row["premium"],
}


def as_csv(rows: Iterable[dict[str, Any]], fields: Iterable[str], renamed: Mapping[str, str]) -> bytes:
    """Of rows that say what each costs now as `price_now`. Fields: all columns where none is named."""
    wanted = [name for name in fields if name in COLUMNS] or list(COLUMNS)
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow([renamed.get(name, name) for name in wanted])
    for row in rows:
        writer.writerow([_cell(COLUMNS[name](row)) for name in wanted])
    return out.getvalue().encode()


def _cell(value: object) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
