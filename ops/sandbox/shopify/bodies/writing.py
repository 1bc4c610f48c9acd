"""How webhook bodies write things: local times, money in the scale of its currency, sets of money, addresses."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ops.sandbox.money import rest_text
from ops.sandbox.shopify.sales import Bag, Order, TaxLine

Body = dict[str, Any]
COUNTRIES = {"GB": "United Kingdom", "IE": "Ireland", "FR": "France", "DE": "Germany", "PL": "Poland", "US": "United States"}


def local(at: datetime | None) -> str | None:
    """Whole seconds in the shop's own time, London: an hour ahead of UTC between the last Sundays of March and October."""
    if at is None:
        return None
    summer = _last_sunday(at.year, 3) <= at < _last_sunday(at.year, 10)
    shown = at.replace(microsecond=0, tzinfo=None) + timedelta(hours=summer)
    return f"{shown.isoformat()}{'+01:00' if summer else '+00:00'}"


def _last_sunday(year: int, month: int) -> datetime:
    end = datetime(year, month, 31, 1, tzinfo=UTC)
    return end - timedelta(days=(end.weekday() + 1) % 7)


def money_set(order: Order, bag: Bag) -> Body:
    return {
        "shop_money": {"amount": rest_text(bag.shop, order.currency), "currency_code": order.currency},
        "presentment_money": {
            "amount": rest_text(bag.presentment, order.presentment_currency),
            "currency_code": order.presentment_currency,
        },
    }


def tax(order: Order, line: TaxLine) -> Body:
    return {
        "title": line.title,
        "price": rest_text(line.amount.shop, order.currency),
        "rate": float(line.rate),
        "channel_liable": line.channel_liable,
        "price_set": money_set(order, line.amount),
    }


def address(given: Mapping[str, str | None] | None) -> Body | None:
    if given is None:
        return None
    first, last, code = given.get("firstName"), given.get("lastName"), given.get("countryCode")
    return {
        "first_name": first,
        "address1": given.get("address1"),
        "phone": given.get("phone"),
        "city": given.get("city"),
        "zip": given.get("zip"),
        "province": given.get("province"),
        "country": given.get("country") or COUNTRIES.get(code or "", code),
        "last_name": last,
        "address2": given.get("address2"),
        "company": given.get("company"),
        "latitude": None,
        "longitude": None,
        "name": " ".join(part for part in (first, last) if part),
        "country_code": code,
        "province_code": given.get("provinceCode"),
    }
