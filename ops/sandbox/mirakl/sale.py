"""An order and what belongs to it. Amounts are minor units, tax included; times are UTC.

A line shows what is left of it: a cancelation lowers its quantity and amounts, a refund does not.
"""

from datetime import datetime
from typing import Literal

from msgspec import Struct, field

from ops.sandbox.people import Person

Origin = Literal["seller", "operator", "customer"]
PromotionKind = Literal["AMOUNT_OFF", "PERCENTAGE_OFF", "FREE_ITEMS", "REDUCED_UNIT_PRICE"]


class Tax(Struct):
    code: str
    amount: int
    rate: str  # percent
    rule: str = "NONE"  # tax_calculation_rule: who computes it when a part is given back


class Fee(Struct):
    code: str
    amount: int


class Promotion(Struct, frozen=True):
    """What was taken off a line before it was sold; its price is the one after that."""

    id: str
    deduced: int
    kind: PromotionKind
    value: str  # of that kind, as its number is written
    funded_by: Literal["SELLER", "OPERATOR"]  # in no answer; a campaign of the operator's is told by its identifier
    campaign: str | None = None
    code: str | None = None  # that the buyer typed in
    apportioned: bool = False


class Part(Struct, kw_only=True):
    """A part of a line that is given back."""

    id: str
    origin: Origin
    created_at: datetime
    reason: str
    amount: int
    shipping_amount: int
    quantity: int
    taxes: list[Tax]
    shipping_taxes: list[Tax]
    fees: list[Fee]
    commission: int
    commission_tax: int

    @property
    def total(self) -> int:
        return self.amount + self.shipping_amount + sum(fee.amount for fee in self.fees)


class Cancelation(Part):
    """A part that will neither be shipped nor paid."""


class Refund(Part):
    """A part that is paid back."""

    group: str  # order_refund_id: made at the same time on the same order
    state: str
    excluded: bool = False  # its units are not shipped any more
    return_id: str | None = None
    paid_at: datetime | None = None
    transaction: str | None = None


class Incident(Struct):
    reason: str
    opened_by: Origin
    opened_at: datetime
    closed_at: datetime | None = None
    closed_by: Origin | None = None
    resolution: str | None = None


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
    origin_unit_price: int  # before promotions
    unit_tax: int  # within the unit price
    price: int  # of all units, without shipping
    shipping_price: int
    taxes: list[Tax]
    shipping_taxes: list[Tax]
    fees: list[Fee] = []
    promotions: list[Promotion] = []
    commission: int
    commission_tax: int
    commission_rate: str  # of the tax on it, percent
    commission_share: str  # of the price
    commission_on_shipping: bool  # and of the shipping
    state: str  # as if there were no incident
    reason: str | None = None
    created_at: datetime
    updated_at: datetime
    debited_at: datetime | None = None
    shipped_at: datetime | None = None
    received_at: datetime | None = None
    shipped: int = 0  # units that have left
    prepared: int = 0  # units in shipments that have not left yet
    excluded: int = 0  # units refunded that will not be shipped
    lowered: int = 0  # units by which this line lowered its offer
    refunds: list[Refund] = []
    cancelations: list[Cancelation] = []
    incidents: list[Incident] = []
    fields: dict[str, tuple[str, object]] = {}  # the operator's own fields: code -> type, value

    @property
    def total(self) -> int:
        return self.price + self.shipping_price + sum(fee.amount for fee in self.fees)

    @property
    def to_ship(self) -> int:
        """Units that no shipment holds yet."""
        return self.quantity - self.shipped - self.prepared - self.excluded

    @property
    def alive(self) -> bool:
        return self.state not in ("REFUSED", "CANCELED")

    @property
    def incident(self) -> Incident | None:
        return self.incidents[-1] if self.incidents and self.incidents[-1].closed_at is None else None


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
    revision: int = 0  # counts its changes
    accepted_at: datetime | None = None  # a decision by the seller; None where it was automatic
    shipping_at: datetime | None = None  # came to SHIPPING
    debited_at: datetime | None = None
    paid: int = 0  # by the customer
    transaction: str | None = None
    shipping_deadline: datetime
    currency: str
    workflow: str
    buyer: Person
    lines: list[Line]
    shipping_type: str
    channel: str | None = None
    centre: str = "DEFAULT"  # who fulfils it; any other code is not the shop
    seller_reference: str | None = None
    customer_reference: str | None = None
    tracking: Tracking = field(default_factory=Tracking)
    shipments: list[str] = []
    returns: list[str] = []
    threads: list[str] = []
    documents: list[int] = []
    fields: dict[str, tuple[str, object]] = {}
    customer_wrote: bool = False
    hidden: bool = False  # gone from every answer, and may be back
    refusals: int = 0  # of its debit

    @property
    def alive(self) -> list[Line]:
        return [line for line in self.lines if line.alive]

    @property
    def ours(self) -> bool:
        return self.centre == "DEFAULT"


class Shipment(Struct, kw_only=True):
    id: str
    order_id: str
    number: int
    created_at: datetime
    updated_at: datetime
    state: str
    debit: str
    debited_at: datetime | None = None
    units: dict[str, int]  # by order line
    packages: dict[str, str] = {}  # package reference, by order line
    tracking: Tracking
    invoice_reference: str | None = None
    warehouse: str | None = None
    shipped_at: datetime | None = None
    information: dict[str, tuple[str, object]] = {}  # code -> type, value


class ReturnLine(Struct):
    order_line_id: str
    quantity: int
    reason: str
    compliant: bool | None = None  # nobody has looked yet
    problem: str | None = None
    problem_text: str | None = None


class Return(Struct, kw_only=True):
    id: str
    order_id: str
    number: int
    requested_by: Origin
    created_at: datetime
    updated_at: datetime
    state: str
    method: str
    reason: str | None = None
    lines: list[ReturnLine]
    rma: str | None = None
    description: str | None = None
    label_url: str | None = None
    rejection: str | None = None
    tracking: Tracking = field(default_factory=Tracking)
    address: dict[str, str] = {}


class Attachment(Struct, frozen=True):
    id: str
    name: str
    content: str  # base64

    @property
    def size(self) -> int:
        return len(self.content) // 4 * 3 - self.content[-2:].count("=")


class Message(Struct, kw_only=True):
    id: str
    number: int
    at: datetime
    by: Origin
    to: list[Origin]
    body: str
    attachments: list[Attachment] = []


class Thread(Struct, kw_only=True):
    id: str
    number: int
    order_id: str | None  # None: between shop and operator
    topic_type: str
    topic: str
    created_at: datetime
    updated_at: datetime
    messages: list[Message]


class Document(Struct, kw_only=True):
    id: int
    order_id: str
    name: str
    type: str
    uploaded_at: datetime
    content: str  # base64
    by: Origin
