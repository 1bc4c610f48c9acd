"""What refunds and cancelations have in common: how an amount is written, what the reason is, and whether one that is there is ours."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Raw, Struct

from adapters.http import scrub
from adapters.mirakl import wire
from adapters.mirakl.client import Client
from adapters.mirakl.translate.values import UnreadableError, amount
from engine.adapter import Refused
from engine.errors import UnavailableError
from schemas.commands import CancelUnits, LineRefund, RefundLines
from schemas.values import LineId, Money, Tax

MoneyBack = RefundLines | CancelUnits
CANCELATION = "cancelation"  # whose mapping is the reason of every cancelation of units, whatever ours is


class Given(Struct, frozen=True):
    """A refund or a cancelation of one line, as they show it."""

    identity: str
    amount: Money
    shipping_amount: Money


async def reason_of(client: Client, command: MoneyBack) -> str | Refused:
    """Their code for our reason. Cancelations have codes of another kind than refunds: theirs is mapped under a name of its own."""
    mapped = await client.maps.find(command.channel, "reason", CANCELATION) if isinstance(command, CancelUnits) else None
    mapped = mapped or await client.maps.find(command.channel, "reason", command.reason)
    if not mapped:
        return Refused(f"the reason {scrub(command.reason)!r} is mapped to none of {command.channel}", field="reason", word=command.reason)
    return mapped


def item(line: LineRefund, reason: str) -> dict[str, Any]:
    """One line of OR28 or OR30. Its taxes are named where the line has some: what is not named is not given back."""
    told = {
        "order_line_id": line.line_id,
        "amount": decimal(line.amount),
        "shipping_amount": decimal(line.shipping_amount),
        "currency_iso_code": line.amount.currency,
        "quantity": line.quantity,
        "reason_code": reason,
    }
    taxes = {"taxes": _taxes(line.taxes), "shipping_taxes": _taxes(line.shipping_taxes)}
    return told | {field: listed for field, listed in taxes.items() if listed}


def _taxes(taxes: Sequence[Tax]) -> list[dict[str, Any]]:
    """One for each code, whoever pays it to the state."""
    found: dict[str, Money] = {}
    for tax in taxes:
        found[tax.code] = found[tax.code] + tax.amount if tax.code in found else tax.amount
    return [{"code": code, "amount": decimal(amount)} for code, amount in found.items()]


def decimal(money: Money) -> Raw:
    """A JSON number, exactly."""
    return Raw(str(money).encode())


def tax_mode(command: MoneyBack) -> str:
    return "TAX_INCLUDED" if command.taxes_included else "TAX_EXCLUDED"


# ---------------------------------------------------------------- ours or foreign


def lines_of(client: Client, order: wire.Order | None, command: MoneyBack) -> dict[LineId, wire.OrderLine] | Refused:
    """The lines that it is about. Raises UnavailableError where the order is not shown: then nothing may be concluded."""
    if order is None:
        raise UnavailableError("the order is not listed", target=client.http.target, endpoint=client.list_orders.code)
    lines = {LineId(str(line.order_line_id)): line for line in order.order_lines or ()}
    if missing := [line.line_id for line in command.lines if line.line_id not in lines]:
        return Refused(f"the order has no line {', '.join(missing)}", field="lines")
    return {line.line_id: lines[line.line_id] for line in command.lines}


def given(client: Client, theirs: Sequence[wire.Refund] | Sequence[wire.Cancelation] | None, currency: str) -> list[Given]:
    """Raises UnavailableError where they cannot be read: an unread refund is not one that is not there."""
    try:
        return [
            Given(
                str(each.id or ""),
                amount(each.amount, "amount", currency, missing=0),
                amount(each.shipping_amount, "shipping_amount", currency, missing=0),
            )
            for each in theirs or ()
        ]
    except UnreadableError as error:
        raise UnavailableError(
            f"shows something that cannot be read: {error}", target=client.http.target, endpoint=client.list_orders.code, field=error.field
        ) from None


def judged(command: MoneyBack, shown: Mapping[LineId, Sequence[Given]], *, called: bool) -> tuple[str, ...] | Refused | None:
    """The ids that are this command's, in the order of its lines; None: there is nothing new, so it may be asked for.

    Whatever was not there when this was decided is ours or foreign. Before the first call it is foreign. After a call whose answer was
    lost, what has exactly our amounts is ours; all lines must be there, or a person must say.
    """
    known = frozenset(command.known)
    fresh = {line: [each for each in listed if each.identity not in known] for line, listed in shown.items()}
    names = ", ".join(each.identity for listed in fresh.values() for each in listed)
    if not names:
        return None
    if not called:
        return Refused(f"somebody else was there first: {names}", field="known")
    ours: list[str] = []
    for line in command.lines:
        match = [each for each in fresh[line.line_id] if (each.amount, each.shipping_amount) == (line.amount, line.shipping_amount)]
        if not match:
            return Refused(f"what was found is not what was asked for: {names}", field="refund")
        ours.append(match[0].identity)
        fresh[line.line_id].remove(match[0])  # the line may be there in two parts
    return tuple(ours)


def takes_the_rest(command: MoneyBack, lines: Mapping[LineId, wire.OrderLine], shown: Mapping[LineId, Sequence[Given]]) -> bool:
    """Whether each line gives back all that is left of it: then it cannot be done twice, whoever else tries, for more is refused."""
    try:
        for line in command.lines:
            there, currency = lines[line.line_id], line.amount.currency
            left = amount(there.price, "price", currency).minor - sum(each.amount.minor for each in shown[line.line_id])
            asked = sum(part.amount.minor for part in command.lines if part.line_id == line.line_id)
            if asked == 0 or asked != left:
                return False
    except UnreadableError:
        return False
    return True
