"""Who called, when, and what came of it: what a referee needs to name the call that broke something.

Calls that changed or tried to change something are kept long, mere reads briefly; both are counted for ever.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from msgspec import Struct

KEEP = 60_000  # calls with changes: six for each of 10,000 orders
KEEP_READS = 500
NAMES = (
    "order_id",
    "orderId",
    "order_line_id",
    "id",
    "order",
    "orders",
    "fulfillment",
    "shipment_id",
    "fulfillmentOrderId",
    "ownerId",
    "import_id",
    "return_id",
    "sku",
)


class Change(Struct, frozen=True):
    op: str
    about: list[str]  # ids of what was changed, as far as they can be told: orders first
    refused: str | None = None  # why nothing came of it


class Call(Struct, kw_only=True):
    """One request to a system. `operation` is a Mirakl code or the GraphQL fields asked for."""

    number: int
    system: str
    operation: str
    at: datetime
    request_id: str | None = None
    status: int | None = None  # None: it was never answered for
    fault: str | None = None
    changes: list[Change] = []

    @property
    def effects(self) -> Iterator[Change]:
        return (change for change in self.changes if change.refused is None)


class Ledger(Struct):
    last: int = 0
    calls: list[Call] = []  # oldest first
    reads: list[Call] = []
    counted: dict[str, int] = {}  # system and operation -> calls ever
    faults: dict[str, int] = {}  # fault class -> how often one was met
    open: Call | None = None

    def begin(self, system: str, operation: str, at: datetime) -> int:
        if self.open is not None:
            self._keep(self.open)  # a process died while it was being answered
        self.last += 1
        self.open = Call(number=self.last, system=system, operation=operation, at=at)
        name = f"{system} {operation}"
        self.counted[name] = self.counted.get(name, 0) + 1
        return self.last

    def note(self, op: str, arguments: dict[str, Any], result: Any = None, refused: str | None = None) -> None:
        """Something was changed, or was to be, for the call that is being answered; without one it is nobody's call."""
        if self.open is None or op == "mirakl.called":
            return
        about = list(dict.fromkeys(_named(arguments)))
        results = result if isinstance(result, list | tuple) else [result]
        about += [str(one) for one in results if isinstance(one, str | int) and not isinstance(one, bool)]
        self.open.changes.append(Change(op, about, refused))

    def end(self, status: int, request_id: str | None = None, fault: str | None = None) -> None:
        if fault is not None:
            self.met(fault)
        if self.open is not None:
            self.open.status, self.open.request_id, self.open.fault = status, request_id, fault
            self._keep(self.open)
            self.open = None

    def met(self, fault: str) -> None:
        self.faults[fault] = self.faults.get(fault, 0) + 1

    def _keep(self, call: Call) -> None:
        kept, most = (self.calls, KEEP) if call.changes else (self.reads, KEEP_READS)
        kept.append(call)
        if len(kept) >= most + most // 4:  # now and then, not each time: a list is slow at its front
            del kept[: len(kept) - most]


def _named(node: Any) -> Iterator[str]:
    """The ids in an operation's arguments, those of orders before others."""
    found: dict[str, list[str]] = {name: [] for name in NAMES}
    waiting = [node]
    while waiting:
        match waiting.pop():
            case dict() as mapping:
                for name, value in mapping.items():
                    if name in found and isinstance(value, str | int):
                        found[name].append(str(value))
                    elif isinstance(value, dict | list):
                        waiting.append(value)
            case list() as several:
                waiting.extend(reversed(several))
    for name in NAMES:
        yield from found[name][:50]
