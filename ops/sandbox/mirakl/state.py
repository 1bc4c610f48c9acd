"""What a seller account on a Mirakl marketplace holds. Amounts are minor units, tax included; times are UTC."""

import uuid
from datetime import datetime
from typing import Any

from msgspec import Struct, field

from ops.sandbox.agenda import Agenda
from ops.sandbox.mirakl.book import Book
from ops.sandbox.mirakl.finance import Finance
from ops.sandbox.mirakl.goods import Extract, Import, Offer, Shelf
from ops.sandbox.mirakl.sale import Attachment, Document, Order, Return, Shipment, Thread
from ops.sandbox.mirakl.switches import OrderSwitches
from ops.sandbox.wire import RefusalError

NAMESPACE = uuid.UUID("5d2f8b1e-0a6d-5c43-9f3c-2f6f5a1b7c90")


def identifier(seed: int, *what: object) -> str:
    """A UUID that depends on the seed and on what it is for."""
    return str(uuid.uuid5(NAMESPACE, ":".join(map(str, (seed, *what)))))


class Export(Struct, kw_only=True):
    """Orders on their way into files: OR13."""

    id: str
    created_at: datetime
    updated_at: datetime
    asked: dict[str, Any]
    status: str = "PENDING"
    files: list[str] = []  # as they were when it was complete


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


class Account(Struct, kw_only=True):
    """Everything there is. `seed` decides what chance decides."""

    seed: int
    shop_id: int = 2024
    shop_name: str = "Harbour & Thread"
    created_at: datetime
    switches: Switches = field(default_factory=Switches)
    offers: dict[str, Offer] = {}
    orders: dict[str, Order] = {}  # in the order of their creation
    book: Book = field(default_factory=Book)
    shipments: dict[str, Shipment] = {}
    returns: dict[str, Return] = {}
    threads: dict[str, Thread] = {}
    attachments: dict[str, Attachment] = {}
    documents: dict[int, Document] = {}
    exports: dict[str, Export] = {}
    gone: dict[str, Offer] = {}  # offers deleted
    shelf: Shelf = field(default_factory=Shelf)
    shop_state: str = "OPEN"  # CLOSE, SUSPENDED or TERMINATED by the operator's hand
    closed_from: datetime | None = None  # the seller's holidays
    closed_until: datetime | None = None
    imports: dict[str, Import] = {}
    extracts: dict[str, Extract] = {}  # of offers and of the ledger
    finance: Finance = field(default_factory=Finance)
    carriers: list[Carrier] = []
    agenda: Agenda = field(default_factory=Agenda)
    calls: dict[str, list[datetime]] = {}  # operation -> its calls in the longest window
    called: dict[str, int] = {}  # operation -> calls ever
    violations: list[Violation] = []
    moved: list[tuple[str, str]] = []  # offers whose quantity has moved since somebody last looked, and why
    last_order: int = 0
    last_import: int = 0
    last_refund: int = 0
    last_shipment: int = 0
    last_return: int = 0
    last_cancelation: int = 0
    last_document: int = 0
    last_message: int = 0
    last_export: int = 0

    @property
    def currency(self) -> str:
        return self.switches.currency


class RefusedError(RefusalError):
    """Answered with this status and a text that is not a contract."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
