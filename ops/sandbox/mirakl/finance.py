"""The marketplace's books on a seller: every line, every cycle, every document. Amounts are minor units; times are UTC."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

PaymentState = Literal["PENDING", "PAYABLE", "PAID", "RESERVE", "NOT_APPLICABLE"]


class Item(Struct, frozen=True):
    """What a one-off charge or credit is for."""

    description: str
    quantity: int
    unit_price: int
    on: datetime
    reference: str | None = None


class Entry(Struct, kw_only=True):
    """A line of the transaction log. What it says about payment, cycle and document is filled in later."""

    n: int  # its place, from 1
    id: str
    type: str
    amount: int  # credited to the shop less debited
    within: int = 0  # the part of it that is tax
    balance: int  # of all lines up to this one
    created_at: datetime
    updated_at: datetime
    change: int = 0  # its place in the list of changes
    state: PaymentState
    order: str | None = None
    line: str | None = None
    refund: str | None = None
    shipment: str | None = None
    tax: str | None = None  # of an order
    tax_rate: str | None = None  # percent
    shop_tax: str | None = None  # on what the operator charges
    fee: str | None = None  # that the buyer pays
    seller_fee: str | None = None  # that the shop pays
    item: Item | None = None
    manual: str | None = None  # the number of a manual document
    transaction: str | None = None  # the bank's
    transaction_at: datetime | None = None
    cycle: str | None = None
    document: str | None = None
    document_at: datetime | None = None
    lost: bool = False  # kept in the books and never shown


class Cycle(Struct, kw_only=True):
    """What one run paid out, or asked for."""

    id: str
    voucher: str
    started_at: datetime
    created_at: datetime
    entries: list[int] = []
    summary: dict[str, int] = {}
    to_seller: int = 0
    to_operator: int = 0
    state: Literal["TO_PAY", "PAID", "FAILED"] = "TO_PAY"
    failure: str | None = None
    reference: str | None = None
    paid_at: datetime | None = None


class Detail(Struct, frozen=True):
    description: str
    amount: int  # without tax; what the shop is charged is positive
    tax: int
    quantity: int = 1
    order: str | None = None
    on: datetime | None = None


class Document(Struct, kw_only=True):
    """An invoice to the shop, or a credit to it."""

    invoice_id: int
    id: str
    number: str
    type: Literal["AUTO_INVOICE", "MANUAL_INVOICE", "MANUAL_CREDIT"]
    created_at: datetime
    due_at: datetime
    details: list[Detail]
    total: int  # without tax
    tax: int
    cycle: str | None = None
    confirmed: bool = True  # False: the operator has still to say that it is paid


class Finance(Struct, kw_only=True):
    entries: list[Entry] = []
    changes: list[tuple[datetime, int]] = []  # when which entry was written or changed, in that order
    by_order: dict[str, list[int]] = {}  # order id -> places of its entries
    by_line: dict[str, list[int]] = {}  # and of order lines
    payable: list[int] = []  # places of what the next cycle takes
    sums: dict[str, int] = {}  # payment state -> sum; payments themselves are under PAYMENT
    balance: int = 0
    booked: dict[str, bool] = {}  # order line id -> its sale is in the books
    left: dict[str, bool] = {}  # order id -> it has left
    ripe: dict[str, bool] = {}  # and whether its money is due; False: it is going to be
    held: dict[str, bool] = {}  # and an open incident keeps it from that
    cycles: dict[str, Cycle] = {}
    documents: list[Document] = []
    reserved: list[tuple[int, int]] = []  # number of the cycle, what it held back and has not given back
    next_cycle: datetime | None = None
    cycle_start: datetime | None = None
    subscribed: str = ""  # the last month that was charged
    wrong_commission: int = 0  # minor units that the next order is charged too much
