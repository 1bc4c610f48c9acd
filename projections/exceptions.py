"""What waits for somebody: one row a trouble, open or closed. Opened by what was heard or refused; closed when its cause is gone."""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from engine.projection import Projection
from projections.orders import RANKS
from schemas.events import Event
from schemas.events.commands import CommandBuried, CommandConfirmed, CommandRefused
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened
from schemas.events.inventory import StockCounted, StockImportFinished
from schemas.events.orders import OrderPlaced, OrderStateChanged
from schemas.streams import order_stream, stock_stream
from schemas.values import Sku

# Which exception a refusal is, and who owns it: by command and, where it matters, by the field that was not liked.
_REFUSED = {
    "accept_order": ("X27", "ENG", 2),
    "create_shop_order": ("X28", "ENG", 1),
    "set_seller_reference": ("X39", "ENG", 3),
    "ship_order": ("X39", "ENG", 1),
    "publish_stock": ("X11", "ENG", 1),
    "settle_stock_import": ("X11", "ENG", 2),
}
_BURIED = ("X84", "ENG", 1)


class Trouble(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One exception. Key: its own."""

    key: str
    open: bool = False
    code: str = ""
    subject: str = ""
    summary: str = ""
    field: str = ""
    owner: str = "ENG"
    severity: int = 2
    closed_because: str = ""


def keys(event: Event) -> Iterable[str]:
    match event:
        case ExceptionOpened(key=key) | ExceptionClosed(key=key):
            return (key,)
        case (
            CommandConfirmed(command=command, subject=subject)
            | CommandRefused(command=command, subject=subject)
            | CommandBuried(command=command, subject=subject)
        ):
            return (f"{command}:{subject}",)
        case StockImportFinished(channel=channel, quantities=quantities):
            return [f"X10:{channel}:{sku}" for sku in quantities]
        case StockCounted(sku=sku):
            return (f"X02:{sku}",)
        case OrderPlaced(channel=channel, order_id=order_id):
            return (f"X79:{order_stream(channel, order_id)}",)
        case OrderStateChanged(channel=channel, order_id=order_id):
            return (f"X80:{order_stream(channel, order_id)}",)
    return ()


def evolve(trouble: Trouble, event: Event) -> Trouble:
    match event:
        case ExceptionOpened():
            if trouble.open:
                return trouble
            return Trouble(
                key=trouble.key,
                open=True,
                code=event.code,
                subject=event.subject,
                summary=event.summary,
                field=event.field,
                owner=event.owner,
                severity=event.severity,
            )
        case ExceptionClosed(reason=reason):
            return _close(trouble, reason)
        case CommandRefused(command=command, subject=subject, detail=detail, field=field):
            code, owner, severity = _refusal(command, field)
            return Trouble(
                key=trouble.key,
                open=True,
                code=code,
                subject=subject,
                summary=f"{command} was refused: {detail}",
                field=field,
                owner=owner,
                severity=severity,
            )
        case CommandBuried(command=command, subject=subject, attempt=attempt, detail=detail):
            code, owner, severity = _BURIED
            summary = f"{command} was given up after attempt {attempt}: {detail}"
            return Trouble(key=trouble.key, open=True, code=code, subject=subject, summary=summary, owner=owner, severity=severity)
        case CommandConfirmed():
            return _close(trouble, "confirmed since")
        case StockImportFinished(refused=refused):
            sku = Sku(trouble.key.removeprefix(f"X10:{event.channel}:"))
            if sku not in refused:
                return _close(trouble, "taken since")
            summary = f"the channel does not take the stock of {sku}: {refused[sku]}"
            return Trouble(key=trouble.key, open=True, code="X10", subject=stock_stream(sku), summary=summary, field=sku, owner="ECOM")
        case StockCounted():
            return _close(trouble, "counted since")
        case OrderPlaced():
            return _close(trouble, "read since")
        case OrderStateChanged(state=state) if state in RANKS:
            return _close(trouble, "in a known state since")
        case OrderStateChanged(channel=channel, order_id=order_id, state=state):
            summary = f"order {order_id} is in a state nobody has told us about, {state}: everything about it is held"
            subject = order_stream(channel, order_id)
            return Trouble(key=trouble.key, open=True, code="X80", subject=subject, summary=summary, field="order_state", severity=2)
    return trouble


def _refusal(command: str, field: str) -> tuple[str, str, int]:
    if command == "ship_order" and field == "carrier":
        return ("X36", "OPS", 1)
    if command == "create_shop_order" and field.endswith(".sku"):
        return ("X01", "ECOM", 1)
    return _REFUSED.get(command, ("X28", "ENG", 2))


def _close(trouble: Trouble, reason: str) -> Trouble:
    return replace(trouble, open=False, closed_because=reason) if trouble.open else trouble


exceptions = Projection(name="exceptions", state=Trouble, initial=lambda key: Trouble(key=key), keys=keys, evolve=evolve)
