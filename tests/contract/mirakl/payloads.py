"""Orders as OR11 might send them: one good one, and what can be wrong with it. Written by hand; nobody lives at these addresses."""

from copy import deepcopy
from typing import Any

import msgspec

Payload = dict[str, Any]


def line(number: int = 1, **more: Any) -> Payload:
    fields: Payload = {
        "can_refund": False,
        "cancelations": [],
        "category_code": "TOPS",
        "category_label": "Tops",
        "commission_fee": 7.35,
        "commission_rate_vat": 20.0,
        "commission_taxes": [{"amount": 1.47, "code": "TAXDEFAULT", "rate": 20.0}],
        "commission_vat": 1.47,
        "created_date": "2026-08-13T08:30:00Z",
        "debited_date": None,
        "description": None,
        "fees": [],
        "last_updated_date": "2026-08-13T08:41:07.250Z",
        "offer_id": 9007199254740993,
        "offer_sku": "TEE-RED-M",
        "offer_state_code": "11",
        "order_line_additional_fields": [{"code": "gift", "type": "BOOLEAN", "value": "false"}],
        "order_line_id": f"00012345-A-{number}",
        "order_line_index": number,
        "order_line_state": "SHIPPING",
        "order_line_state_reason_code": None,
        "order_line_state_reason_label": None,
        "price": 49,
        "price_additional_info": None,
        "price_unit": 24.5,
        "product_medias": [{"media_url": "/media/1", "mime_type": None, "type": "SMALL"}],
        "product_shop_sku": "TEE-RED",
        "product_sku": "120034",
        "product_title": "Tee, red, M",
        "promotions": [],
        "quantity": 2,
        "received_date": None,
        "refunds": [],
        "shipped_date": None,
        "shipping_price": 3.95,
        "shipping_price_additional_unit": None,
        "shipping_price_unit": None,
        "shipping_taxes": [{"amount": 0.66, "code": "VAT", "rate": 20.0, "tax_calculation_rule": "PROPORTIONAL_TO_AMOUNT"}],
        "taxes": [{"amount": 8.17, "code": "VAT", "rate": 20.0, "tax_calculation_rule": "PROPORTIONAL_TO_AMOUNT"}],
        "total_commission": 8.82,
        "total_price": 52.95,
    }
    return fields | more


def address(**more: Any) -> Payload:
    fields: Payload = {
        "additional_info": "ring twice",
        "city": "Testford",
        "civility": None,
        "company": None,
        "country": "United Kingdom",
        "country_iso_code": "GBR",
        "firstname": "Robin",
        "lastname": "Example",
        "phone": None,
        "phone_secondary": "+44 20 7946 0000",
        "state": None,
        "street_1": "1 Nowhere Lane",
        "street_2": "",
        "zip_code": "ZZ1 1ZZ",
    }
    return fields | more


def order(*lines: Payload, **more: Any) -> Payload:
    """In SHIPPING, two red tees to Testford, tax included."""
    fields: Payload = {
        "acceptance_decision_date": "2026-08-13T08:35:00Z",
        "can_cancel": False,
        "can_shop_ship": True,
        "channel": {"code": "UK", "label": "United Kingdom"},
        "commercial_id": "00012345",
        "created_date": "2026-08-13T08:30:00Z",
        "currency_iso_code": "GBP",
        "customer": {
            "billing_address": None,
            "civility": None,
            "customer_id": "robin@example.com",
            "firstname": "Robin",
            "lastname": "Example",
            "locale": "en_GB",
            "shipping_address": address(),
        },
        "customer_debited_date": "2026-08-13T08:40:00.5Z",
        "customer_notification_email": "x1y2z3@uk.notification.mirakl.net",
        "fulfillment": {"center": {"code": "DEFAULT"}},
        "has_customer_message": False,
        "last_updated_date": "2026-08-13T08:41:07.250Z",
        "order_id": "00012345-A",
        "order_lines": list(lines) or [line()],
        "order_state": "SHIPPING",
        "order_state_reason_code": None,
        "order_tax_mode": "TAX_INCLUDED",
        "paymentType": None,
        "price": 49,
        "shipping_deadline": "2026-08-15T22:59:59.999Z",
        "shipping_price": 3.95,
        "shipping_type_code": "STD",
        "shipping_type_label": "Standard",
        "total_price": 52.95,
    }
    return fields | more


def without(path: str, payload: Payload | None = None) -> Payload:
    return _changed(path, payload, lambda place, key: place.pop(key))


def having(path: str, value: Any, payload: Payload | None = None) -> Payload:
    """An order with another value at order_lines.0.price or the like."""

    def put(place: Any, key: Any) -> None:
        place[key] = value

    return _changed(path, payload, put)


def _changed(path: str, payload: Payload | None, change: Any) -> Payload:
    payload = deepcopy(payload or order())
    place: Any = payload
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        place = place[part]
    change(place, last)
    return payload


def written(payload: Any, **literals: str) -> bytes:
    """As JSON, with literals that no encoder writes: "@name" becomes what is given for that name."""
    text = msgspec.json.encode(payload).decode()
    for name, literal in literals.items():
        text = text.replace(f'"@{name}"', literal)
    return text.encode()


def amount(literal: str, path: str = "order_lines.0.price") -> bytes:
    return written(having(path, "@it"), it=literal)


def with_null(*paths: str) -> Payload:
    payload = order()
    for path in paths:
        payload = having(path, None, payload)
    return payload


CANCELED = {
    "amount": 24.5,
    "commission_amount": 3.67,
    "commission_taxes": [],
    "commission_total_amount": 3.67,
    "created_date": "2026-08-13T09:00:00Z",
    "id": "77",
    "quantity": 1,
    "reason_code": "34",
    "shipping_amount": 0,
    "shipping_taxes": [],
    "taxes": [{"amount": 4.08, "code": "VAT"}],
}

REFUND = {
    "amount": 20,
    "commission_amount": 3.0,
    "commission_taxes": [],
    "commission_total_amount": 3.0,
    "created_date": "2026-08-14T08:00:00Z",
    "fees": [{"code": "GIFT", "amount": 1.5}],
    "id": "1120",
    "order_refund_id": "9",
    "quantity": 1,
    "reason_code": "16",
    "refund_state": "WAITING_REFUND",
    "shipping_amount": 0.2,
    "shipping_taxes": [{"amount": 0.03, "code": "VAT"}],
    "state": "WAITING_REFUND",
    "taxes": [{"amount": 3.33, "code": "VAT"}],
    "transaction_date": None,
}

RETURN = {
    "id": "ret-1",
    "order_id": "00012345-A",
    "order_commercial_id": "00012345",
    "state": "WAITING_ACCEPTANCE",
    "reason_code": "RETURN_BROKEN_ITEM",
    "return_lines": [
        {"order_line_id": "00012345-A-1", "quantity": 1, "reason_code": "RETURN_PDNT_TOO_SMALL"},
        {"order_line_id": "00012345-A-2", "quantity": 2, "reason_code": None},
    ],
    "rma": "RMA-1",
    "tracking": {"carrier_code": "RM", "tracking_number": "RET1"},
    "date_created": "2026-08-20T08:00:00Z",
    "last_updated": "2026-08-20T09:00:00Z",
}

# What it is -> the payload, and the field that is refused; None: it is read.
NASTY: dict[str, tuple[bytes, str | None]] = {
    "as it should be": (written(order()), None),
    "nothing but nulls beside what is needed": (
        written(
            with_null(
                "acceptance_decision_date",
                "channel",
                "customer",
                "customer_notification_email",
                "last_updated_date",
                "order_state_reason_code",
                "shipping_deadline",
                "shipping_type_code",
                "shipping_type_label",
                "order_lines.0.cancelations",
                "order_lines.0.fees",
                "order_lines.0.taxes",
                "order_lines.0.shipping_taxes",
                "order_lines.0.product_title",
                "order_lines.0.refunds",
            )
        ),
        None,
    ),
    "no address yet": (written(having("customer.shipping_address", None)), None),
    "an address of nulls": (written(having("customer.shipping_address", dict.fromkeys(address()))), None),
    "an address without a street": (written(having("customer.shipping_address", address(street_1=None, street_2=None))), None),
    "a country nobody knows": (
        written(having("customer.shipping_address", address(country_iso_code=None, country="Ruritania"))),
        None,
    ),
    "a phone that is a number": (written(having("customer.shipping_address.phone", 442079460000)), None),
    "an address that is a list": (written(having("customer.shipping_address", [])), "customer.shipping_address"),
    "a NUL and emoji in a name": (written(having("customer.shipping_address.lastname", "A\0b \U0001f984 \u202eמשפחה e\u0301")), None),
    "a name of 10 kB": (written(having("customer.shipping_address.lastname", "x" * 10_240)), None),
    "half a character in a name": (
        written(having("customer.shipping_address.lastname", "@it"), it=r'"M\ud800ller"'),
        None,
    ),
    "a name that is not UTF-8": (
        written(having("customer.shipping_address.lastname", "@it"), it='"@L"').replace(b"@L", b"M\xfcller"),
        None,
    ),
    "half a character in an id": (written(having("order_lines.0.offer_sku", "@it"), it=r'"T\udc00E"'), "order_lines[0].offer_sku"),
    "a NUL in an id": (written(having("order_lines.0.order_line_id", "1\0")), "order_lines[0].order_line_id"),
    "a SKU of blanks": (written(having("order_lines.0.offer_sku", "  ")), "order_lines[0].offer_sku"),
    "a SKU in two lines": (written(having("order_lines.0.offer_sku", "A\nB")), "order_lines[0].offer_sku"),
    "a SKU like a formula": (written(having("order_lines.0.offer_sku", '=cmd|" /C";x')), None),
    "an id of 10 kB": (written(having("order_id", "x" * 10_240)), "order_id"),
    "ids that are numbers": (written(having("order_lines.0.order_line_id", 95, having("order_lines.0.offer_sku", 12))), None),
    "no order_id": (written(without("order_id")), "order_id"),
    "an order_id of null": (written(having("order_id", None)), "order_id"),
    "an order_id that is a list": (written(having("order_id", ["a"])), "order_id"),
    "no commercial_id": (written(without("commercial_id")), "commercial_id"),
    "no currency": (written(without("currency_iso_code")), "currency_iso_code"),
    "a currency in small letters": (written(having("currency_iso_code", "gbp")), "currency_iso_code"),
    "pence in yen": (written(having("currency_iso_code", "JPY")), "order_lines[0].shipping_price"),
    "no state": (written(without("order_state")), "order_state"),
    "a state nobody knows": (written(having("order_state", "TELEPORTING")), None),
    "a line state nobody knows": (written(having("order_lines.0.order_line_state", "TELEPORTED")), None),
    "a line without a state": (written(having("order_lines.0.order_line_state", None)), "order_lines[0].order_line_state"),
    "taxes in no known mode": (written(without("order_tax_mode")), None),
    "a tax mode nobody knows": (written(having("order_tax_mode", "TAX_MAYBE")), "order_tax_mode"),
    "no lines": (written(having("order_lines", [])), "order_lines"),
    "lines of null": (written(having("order_lines", None)), "order_lines"),
    "a line of null": (written(having("order_lines", [None])), "order_lines[0]"),
    "a line twice": (written(order(line(1), line(1))), "order_lines[1].order_line_id"),
    "six lines of one SKU": (written(order(*(line(number, quantity=1, price=24.5) for number in range(1, 7)))), None),
    "a line without a price": (written(without("order_lines.0.price")), "order_lines[0].price"),
    "a line without a unit price": (written(having("order_lines.0.price_unit", None)), "order_lines[0].price_unit"),
    "a line without a quantity": (written(without("order_lines.0.quantity")), "order_lines[0].quantity"),
    "a line without a SKU": (written(without("order_lines.0.offer_sku")), "order_lines[0].offer_sku"),
    "a million units": (written(having("order_lines.0.quantity", 10**6)), None),
    "units with a point": (amount("2.0", "order_lines.0.quantity"), None),
    "half a unit": (amount("2.5", "order_lines.0.quantity"), "order_lines[0].quantity"),
    "no units": (written(having("order_lines.0.quantity", 0)), "order_lines[0].quantity"),
    "units below zero": (written(having("order_lines.0.quantity", -1)), "order_lines[0].quantity"),
    "units beyond reason": (amount("1" + "0" * 400, "order_lines.0.quantity"), "order_lines[0].quantity"),
    "money of 1e400": (amount("1e400"), "order_lines[0].price"),
    "money as an exponent": (amount("4.9e1"), "order_lines[0].price"),
    "money of NaN": (amount("NaN"), "order_lines[0].price"),
    "money of infinity": (amount("-Infinity"), "order_lines[0].price"),
    "money of half a penny": (amount("43.005"), "order_lines[0].price"),
    "money with zeros behind": (amount("49.000"), None),
    "money as text": (amount('"49.00"'), None),
    "money in words": (amount('"forty-nine"'), "order_lines[0].price"),
    "money in other digits": (amount('"٤٩"'), "order_lines[0].price"),
    "money as a list": (amount("[49]"), "order_lines[0].price"),
    "money as true": (amount("true"), "order_lines[0].price"),
    "money below zero": (amount("-0.01"), "order_lines[0].price"),
    "money of minus nothing": (amount("-0.00", "order_lines.0.shipping_price"), None),
    "money beyond reason": (amount("999999999999999"), "order_lines[0].price"),
    "money of 400 digits": (amount("9" * 400), "order_lines[0].price"),
    "a unit price with more decimals": (written(order(line(price=25, price_unit=8.3333, quantity=3))), None),
    "a free line": (written(order(line(price=0, price_unit=0, taxes=[]))), None),
    "totals that do not add up": (written(order(line(price=48.99, total_price=1), price=7, total_price=0.01)), None),
    "a tax below zero": (written(having("order_lines.0.taxes.0.amount", -1)), "order_lines[0].taxes.amount"),
    "a tax without a code": (written(without("order_lines.0.taxes.0.code")), "order_lines[0].taxes.code"),
    "a tax of null": (written(having("order_lines.0.taxes", [None])), "order_lines[0].taxes[0]"),
    "a rate that is no number": (written(having("order_lines.0.taxes.0.rate", "twenty")), None),
    "a fee": (written(having("order_lines.0.fees", [{"amount": 1.5, "code": "GIFT"}])), None),
    "a fee without a code": (written(having("order_lines.0.fees", [{"amount": 1.5}])), "order_lines[0].fees.code"),
    "a fee below zero": (written(having("order_lines.0.fees", [{"amount": -1.5, "code": "GIFT"}])), "order_lines[0].fees.amount"),
    "a refund": (written(having("order_lines.0.refunds", [REFUND])), None),
    "a refund of half a penny": (written(having("order_lines.0.refunds", [REFUND | {"amount": 1.005}])), None),
    "a refund without a number": (written(having("order_lines.0.refunds", [REFUND | {"id": None}])), "order_lines[0].refunds[0].id"),
    "a total in words": (written(order(total_price="fifty")), "total_price"),
    "a campaign that is a text": (written(having("order_lines.0.discount_campaign", "SALE")), "order_lines[0].discount_campaign"),
    "a date of delivery without a zone": (written(order(delivery_date={"latest": "2026-08-18"})), None),
    "a fee of nothing": (written(having("order_lines.0.fees", [{"amount": 0.0, "code": "GIFT"}])), None),
    "a cancelation": (written(order(line(quantity=1, price=24.5, cancelations=[CANCELED]))), None),
    "a cancelation without units": (
        written(order(line(quantity=1, price=24.5, cancelations=[CANCELED | {"quantity": None}]))),
        None,
    ),
    "a cancelation of some day": (
        written(order(line(quantity=1, price=24.5, cancelations=[CANCELED | {"created_date": "2026-08-13"}]))),
        None,
    ),
    "a cancelation that tells no units": (
        written(order(line(quantity=1, price=24.5, cancelations=[CANCELED | {"quantity": None, "amount": 20}]))),
        "order_lines[0].cancelations[0].quantity",
    ),
    "dates with an offset": (written(order(created_date="2026-08-13T10:30:00+0200", last_updated_date="2026-08-13T08:41:07-00:00")), None),
    "dates to the nanosecond": (written(order(created_date="2026-08-13T08:30:00.123456789Z")), None),
    "a date without a zone": (written(order(created_date="2026-08-13T08:30:00")), "created_date"),
    "a date without a time": (written(order(shipping_deadline="2026-08-13")), "shipping_deadline"),
    "a date in words": (written(order(created_date="13 Aug 2026, 08:30")), "created_date"),
    "a date as a number": (written(order(created_date=1786610000000)), "created_date"),
    "a 30th of February": (written(order(created_date="2026-02-30T08:30:00Z")), "created_date"),
    "a date before all time": (written(order(created_date="0001-01-01T00:00:00+14:00")), "created_date"),
    "no date": (written(without("created_date")), "created_date"),
    "new fields everywhere": (
        written(order(line(new_on_line={"a": [1]}), new_on_order=1, customer={"shipping_address": address(new_on_address=None)})),
        None,
    ),
    "an order that is a list": (b"[]", "order"),
    "an order that is null": (b"null", "order"),
    "an order that is a text": (b'"00012345-A"', "order"),
    "an order without anything": (b"{}", "order_id"),
}
