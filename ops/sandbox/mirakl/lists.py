"""Lists that hardly ever change: reasons, channels, currencies, taxes, where and how things are shipped."""

from typing import Any

from ops.sandbox.mirakl.offer_shapes import CLASS
from ops.sandbox.mirakl.registry import REASONS
from ops.sandbox.mirakl.shapes import moment
from ops.sandbox.mirakl.state import Account
from ops.sandbox.money import number

ZONES = {"UK": "United Kingdom", "EU": "Europe"}
CLASSES = {CLASS["code"]: CLASS["label"], "M": "Medium"}
CURRENCY_LABELS = {"GBP": "Pound sterling", "EUR": "Euro", "PLN": "Złoty", "SEK": "Swedish krona", "DKK": "Danish krone"}
MESSAGING = "MESSAGING"  # an old name for every type that ends in it
DAYS = {"STD": (2, 4), "EXP": (1, 2)}  # of delivery
PRICES = {"STD": (295, 100), "EXP": (499, 150)}  # minor units: the first unit, each further one


def reasons() -> dict[str, Any]:
    """RE01: all of them, by type."""
    shown = [
        {"code": code, "label": label, "type": kind, "is_shop_right": ours}
        for code, label, kind, ours in sorted(REASONS, key=lambda reason: reason[2])
    ]
    return {"reasons": shown, "total_count": len(shown)}


def reasons_of(kind: str, *, ours: bool = False) -> dict[str, Any]:
    """RE02, RE11, RE12, RE14: of one type; the old operations show only those that a shop may use."""
    shown = [
        {"code": code, "label": label}
        for code, label, of, right in REASONS
        if (of == kind or (kind == MESSAGING and of.endswith(MESSAGING))) and (right or not ours)
    ]
    return {"reasons": shown, "total_count": len(shown)}


def channels(account: Account) -> dict[str, Any]:
    return {"channels": [{"code": code, "label": code, "description": f"Storefront {code}"} for code in sorted(account.switches.channels)]}


def currencies(account: Account) -> dict[str, Any]:
    """CUR01: the platform's and the shop's."""
    platform = account.switches.platform_currency
    codes = dict.fromkeys((platform, account.currency))
    return {
        "currencies": [{"code": code, "label": CURRENCY_LABELS.get(code, code), "platform_default": code == platform} for code in codes]
    }


def zones() -> dict[str, Any]:
    return {"shipping_zones": [{"code": code, "label": label, "description": label} for code, label in ZONES.items()]}


def logistic_classes() -> dict[str, Any]:
    return {"logistic_classes": [{"code": code, "label": label, "description": label} for code, label in CLASSES.items()]}


def shipping(account: Account) -> dict[str, Any]:
    """SH42."""
    return {
        "shop_id": str(account.shop_id),
        "last_updated_date": moment(account.created_at),
        "lead_time_to_ship": {"default_value": 2, "shop_value": 2},
        "order_free_shipping": False,
        "shipping_paid_by_operator": account.switches.operator_pays_shipping,
        "delivery_times": [
            {
                "shipping_type_code": method,
                "shipping_zone_code": zone,
                "delivery_time": {"earliest_days": first, "latest_days": last + 2 * (zone != "UK")},
                "set_by": "OPERATOR",
            }
            for method, (first, last) in DAYS.items()
            for zone in ZONES
        ],
        "order_cut_off_times": [
            {"shipping_type_code": method, "cut_off_time": "14:00:00Z", "is_required": False, "set_by": "OPERATOR"} for method in DAYS
        ],
    }


def charges(account: Account, *, only_ours: bool | None) -> dict[str, Any]:
    """SH52. The shop has changed none of the operator's charges."""

    def money(amount: int) -> Any:
        return number(amount, account.currency)

    shown = [
        {
            "logistic_class_code": size,
            "shipping_method_code": method,
            "shipping_zone_code": zone,
            "overridden_by_shop": False,
            "prices": {"type": "FIXED_PRICE", "initial_price": money(first), "additional_price": money(more)},
        }
        for method, (first, more) in PRICES.items()
        for zone in ZONES
        for size in CLASSES
    ]
    return {
        "shop_id": account.shop_id,
        "currency_iso_code": account.currency,
        "last_updated_date": moment(account.created_at),
        "configuration": [] if only_ours else shown,
    }


def taxes(account: Account) -> dict[str, Any]:
    """OR75."""
    return {"taxes": [{"code": code, "label": label, "tax_calculation_rule": account.switches.tax_rule} for code, label in TAXES.items()]}


TAXES = {"GB-VAT": "VAT", "STATE": "State tax", "CITY": "City tax"}
