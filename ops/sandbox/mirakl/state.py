"""What a seller account on a Mirakl marketplace holds. Amounts are minor units, tax included; times are UTC."""

from datetime import datetime
from typing import Literal

from msgspec import Struct, field

from ops.sandbox.agenda import Agenda
from ops.sandbox.mirakl.sale import Order
from ops.sandbox.mirakl.switches import OrderSwitches
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


class Switches(OrderSwitches, forbid_unknown_fields=True):
    """What an operator configures, and what nobody documents."""

    import_wait: float = 5.0  # seconds until a stock import starts
    import_run: float = 5.0  # and until it is complete
    imports_stuck: bool = False  # they wait for ever


class Account(Struct, kw_only=True):
    """Everything there is. `seed` decides what chance decides."""

    seed: int
    shop_id: int = 2024
    shop_name: str = "Harbour & Thread"
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

    @property
    def currency(self) -> str:
        return self.switches.currency


class RefusedError(RefusalError):
    """Answered with this status and a text that is not a contract."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
