"""What goes wrong on demand: for an operation by name, before or after it took effect, as often as asked."""

from typing import Literal

from msgspec import Struct


class Fault(Struct, frozen=True, forbid_unknown_fields=True):
    """`operation` is a Mirakl code (OR24), a GraphQL field (orderCreate) or the name of a document; `*` is every call.

    drop    the connection is cut without a reply
    cut     the reply breaks off in its middle
    reply   another reply is given: status, headers, body
    delay   the reply comes `seconds` late, in simulated time
    """

    operation: str
    action: Literal["drop", "cut", "reply", "delay"]
    takes_effect: bool = False  # whether the operation is carried out all the same; a cut or late reply always is
    count: int | None = 1  # how many calls it hits; None: all
    skip: int = 0  # calls that go well before
    status: int = 500
    body: str = ""
    headers: dict[str, str] = {}
    seconds: float = 0.0


class Faults:
    """Those asked for, in the order in which they were. A call meets at most one."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Fault, list[int]]] = []  # with the calls left to skip and to hit
        self.met: dict[str, int] = {}  # operation -> how many faults it has met

    def add(self, fault: Fault) -> None:
        self._waiting.append((fault, [fault.skip, -1 if fault.count is None else fault.count]))

    def clear(self) -> None:
        self._waiting.clear()

    def meet(self, names: set[str]) -> Fault | None:
        for fault, left in self._waiting:
            if (fault.operation in names or fault.operation == "*") and left[1]:
                if left[0]:
                    left[0] -= 1
                    continue
                left[1] -= 1
                self.met[fault.operation] = self.met.get(fault.operation, 0) + 1
                return fault
        return None
