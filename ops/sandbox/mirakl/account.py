"""A01: who the seller is, and how much of its money stands where."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from ops.sandbox.mirakl import offers, scorecard
from ops.sandbox.mirakl.bookkeeping import identity
from ops.sandbox.mirakl.charges import TAX_CODE
from ops.sandbox.mirakl.registry import SHIPPING_TYPES
from ops.sandbox.mirakl.shapes import moment
from ops.sandbox.mirakl.state import Account
from ops.sandbox.money import number

COMPANY = {"company_registration_name": "Harbour & Thread Ltd", "company_registration_number": "01234567"}
STREET, TOWN, CODE, COUNTRY = "Unit 4, Old Mill", "Leeds", "LS9 8AA", "GBR"


def shown(blank: dict[str, Any], shop: Account, at: datetime) -> dict[str, Any]:
    """`blank` is the least that the contract wants."""
    score = scorecard.whole(shop)
    return blank | {
        "shop_id": shop.shop_id,
        "shop_name": shop.shop_name,
        "shop_state": offers.shop_state(shop, at),
        **({"suspension_type": "MANUAL"} if shop.shop_state == "SUSPENDED" else {}),
        "closed_from": moment(shop.closed_from),
        "closed_to": moment(shop.closed_until),
        "currency_iso_code": shop.currency,
        "date_created": moment(shop.created_at),
        "last_updated_date": moment(shop.created_at),
        "is_professional": True,
        "model": "MARKETPLACE",
        "offers_count": sum(not offers.inactivity(shop, offer, at) for offer in shop.offers.values()),
        "orders_count": score.debited,
        "approval_rate": score.approval_rate,
        "approval_delay": score.approval_delay,
        "domains": ["PRODUCT"],
        "channels": list(shop.switches.channels),
        "shipping_types": list(SHIPPING_TYPES),
        "shipping_zones": ["UK"],
        "shipping_country": COUNTRY,
        "applicable_taxes": [{"code": TAX_CODE, "label": "VAT", "fee_types": ["COMMISSION", "SUBSCRIPTION", "ADDITIONAL_FEES"]}],
        "contact_informations": {
            "city": TOWN,
            "country": COUNTRY,
            "email": "accounts@harbour-thread.example",
            "lastname": "Accounts",
            "street1": STREET,
            "zip_code": CODE,
        },
        "default_billing_information": {
            "id": identity(shop, "billing information", 1),
            "default_language": "en_GB",
            "corporate_information": COMPANY,
            "fiscal_information": {"tax_identification_country": COUNTRY, "tax_identification_number": "GB123456789"},
            "registration_address": {"city": TOWN, "country_iso_code": COUNTRY, "street_1": STREET, "zip_code": CODE},
        },
        "pro_details": {"corporate_name": COMPANY["company_registration_name"], "VAT_number": "GB123456789"},
        "kyc": {"status": "REFUSED" if shop.switches.payouts_fail == "INCOMPLETE_KYC" else "APPROVED"},
        "payment_details": balances(shop),
    }


def balances(shop: Account) -> dict[str, Any]:
    """By payment state. What has been paid is the sum of the lines that were; payments themselves are not counted against it."""
    sums = shop.finance.sums

    def money(amount: int) -> Decimal:
        return number(amount, shop.currency)

    pending, payable, paid = (money(sums.get(state, 0)) for state in ("PENDING", "PAYABLE", "PAID"))
    return {
        "pending_balance": pending,
        "payable_balance": payable,
        "paid_balance": paid,
        "reserve_balance": money(-sums.get("RESERVE", 0)),
        "reserve_target": money(shop.switches.reserve_target),
        "sub_balances": [{"pay_out_psp_code": "NOT_SPECIFIED", "pending": pending, "payable": payable, "paid": paid}],
    }
