"""An order and what belongs to it. Amounts are minor units, tax included; times are UTC."""

from datetime import datetime

from msgspec import Struct, field

from ops.sandbox.people import Person


class Tax(Struct):
    code: str
    amount: int
    rate: str  # percent


class Line(Struct, kw_only=True):
    id: str
    index: int
    offer_id: int
    offer_sku: str
    product_sku: str
    title: str
    category: str
    quantity: int
    unit_price: int
    price: int  # of all units, without shipping
    shipping_price: int
    taxes: list[Tax]
    shipping_taxes: list[Tax]
    commission: int
    commission_tax: int
    commission_rate: str  # of the tax on it, percent
    state: str
    reason: str | None = None
    created_at: datetime
    updated_at: datetime
    debited_at: datetime | None = None
    shipped_at: datetime | None = None
    received_at: datetime | None = None
    lowered: int = 0  # units by which this line lowered its offer


class Tracking(Struct):
    carrier_code: str | None = None
    carrier_name: str | None = None
    carrier_standard_code: str | None = None
    url: str | None = None
    number: str | None = None


class Order(Struct, kw_only=True):
    id: str
    commercial_id: str
    number: int  # counts the orders of this account
    state: str
    reason: str | None = None
    created_at: datetime
    updated_at: datetime
    accepted_at: datetime | None = None  # a decision by the seller; None where it was automatic
    debited_at: datetime | None = None
    shipping_deadline: datetime
    currency: str
    buyer: Person
    lines: list[Line]
    shipping_type: str
    seller_reference: str | None = None
    tracking: Tracking = field(default_factory=Tracking)
