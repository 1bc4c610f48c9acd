"""What a seller account on a Mirakl marketplace holds. Amounts are minor units, tax included; times are UTC."""

from datetime import datetime
from typing import Literal

from msgspec import Struct, field

from ops.sandbox.agenda import Agenda
from ops.sandbox.people import Person
from ops.sandbox.wire import RefusalError


class Offer(Struct):
    id: int
    sku: str  # shop_sku: the seller's own
    product_sku: str  # the operator's
    title: str
    category: str
    ean: str
    price: int
    quantity: int
    updated_at: datetime


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


class LineError(Struct, frozen=True):
    number: int  # of the line in the file, the header being the first
    message: str
    text: str  # the line itself


class Import(Struct):
    """A stock file on its way. Counts are known when it is complete."""

    id: str
    created_at: datetime
    text: str
    starts_at: datetime
    status: Literal["WAITING", "RUNNING", "COMPLETE", "FAILED"] = "WAITING"
    completed_at: datetime | None = None
    applied: int = 0
    errors: list[LineError] = []
    header: str = ""


class Carrier(Struct, frozen=True):
    code: str
    label: str
    tracking_url: str | None = None
    standard_code: str | None = None


class Violation(Struct, frozen=True):
    """A published call ceiling was broken."""

    operation: str
    at: datetime
    calls: int  # in the window, this one included
    per: float  # seconds


class Switches(Struct, forbid_unknown_fields=True):
    """What an operator configures, and what nobody documents."""

    acceptance: Literal["NOT_AUTOMATIC", "AUTOMATIC"] = "NOT_AUTOMATIC"
    partial_acceptance: bool = True
    acceptance_hours: float = 48.0  # then a waiting order is refused by itself
    addresses_before_acceptance: bool = False
    multi_shipment: bool = False
    alternative_carriers: bool = True
    mandatory_tracking: bool = False
    tax_mode: Literal["TAX_INCLUDED", "TAX_EXCLUDED"] = "TAX_INCLUDED"
    debit_delay: float = 20.0  # seconds from acceptance to the debit being asked for
    payment_delay: float = 40.0  # seconds from there to SHIPPING
    receive_hours: float = 72.0
    close_hours: float = 336.0
    ship_hours: float = 48.0  # the promise: shipping_deadline
    quantity_falls: Literal["creation", "acceptance", "never"] = "creation"
    quantity_returns: bool = True  # when a line is refused after all
    update_overlap: float = 300.0  # seconds that OR11 quietly takes off start_update_date
    import_wait: float = 5.0  # seconds until a stock import starts
    import_run: float = 5.0  # and until it is complete
    imports_stuck: bool = False  # they wait for ever
    enforce_ceilings: bool = False  # answer 429 as well as counting
    ceiling_slack: float = 1.0  # seconds by which a call may come early: the wire's jitter is not the caller's fault
    pages_count: bool = True  # whether every page of a list is a call of its own
    external_partner: bool = False  # then OR11 may be called every 15 minutes only


class Account(Struct, kw_only=True):
    """Everything there is. `seed` decides what chance decides."""

    seed: int
    shop_id: int = 2024
    shop_name: str = "Harbour & Thread"
    currency: str = "GBP"
    created_at: datetime
    switches: Switches = field(default_factory=Switches)
    offers: dict[str, Offer] = {}
    orders: dict[str, Order] = {}  # in the order of their creation
    imports: dict[str, Import] = {}
    carriers: list[Carrier] = []
    agenda: Agenda = field(default_factory=Agenda)
    calls: dict[str, list[datetime]] = {}  # operation -> its calls in the longest window
    called: dict[str, int] = {}  # operation -> calls ever
    violations: list[Violation] = []
    moved: list[tuple[str, str]] = []  # offers whose quantity has moved since somebody last looked, and why
    last_order: int = 0
    last_import: int = 0


class RefusedError(RefusalError):
    """Answered with this status and a text that is not a contract."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
