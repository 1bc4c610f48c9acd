"""What a Shopify refund means for the marketplace's lines, to the penny; or why a person must say. Pure arithmetic in minor units."""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from projections.aftercare import Aftercare, Gone
from schemas.commands import LineRefund
from schemas.events.aftercare import ShopRefundSeen
from schemas.values import LineId, Money, OrderLine, Tax


class Share(Struct, frozen=True):
    """The lines of a refund; or, where there is none, the kind of exception and why."""

    lines: tuple[LineRefund, ...] = ()
    code: str = ""
    why: str = ""


def left(line: OrderLine, taken: Iterable[Gone]) -> LineRefund:
    """What may still go back for a line: as sold, less all that went back or off before."""
    rest = LineRefund(
        line_id=line.line_id,
        amount=line.price,
        shipping_amount=line.shipping_price,
        quantity=line.quantity,
        taxes=line.taxes,
        shipping_taxes=line.shipping_taxes,
    )
    for gone in taken:
        if gone.line == line.line_id:
            rest = replace(
                rest,
                amount=rest.amount - gone.amount,
                shipping_amount=rest.shipping_amount - gone.shipping,
                quantity=rest.quantity - gone.quantity,
                taxes=_less(rest.taxes, gone.taxes),
                shipping_taxes=_less(rest.shipping_taxes, gone.shipping_taxes),
            )
    return rest


def everything(row: Aftercare) -> tuple[LineRefund, ...]:
    """All that is left of the lines that live."""
    rests = [left(line, row.taken) for line in _living(row).values()]
    return tuple(rest for rest in rests if rest.amount.minor > 0 or rest.shipping_amount.minor > 0)


def share(row: Aftercare, refund: ShopRefundSeen) -> Share:
    """The marketplace's lines of a Shopify refund; none where goods went back and no money did."""
    if sum(unit.amount.minor for unit in refund.lines) + refund.shipping.minor + refund.other.minor == 0:
        return Share()
    lines = _living(row)
    parts: dict[LineId, LineRefund] = {}
    for unit in refund.lines:
        line = lines.get(unit.line_id)
        if line is None:
            return Share(code="X50", why=f"line {unit.line_id} is not alive on the marketplace any more")
        rest = left(line, row.taken)
        if unit.quantity > rest.quantity or unit.amount.minor > rest.amount.minor:
            return Share(
                code="X50", why=f"{unit.quantity} for {unit.amount} of line {line.line_id}, and {rest.quantity} for {rest.amount} are left"
            )
        before = parts.get(line.line_id, _nothing(line))
        part = _part(rest, unit.quantity, unit.amount)
        parts[line.line_id] = replace(
            part, amount=before.amount + part.amount, quantity=before.quantity + part.quantity, taxes=_more(before.taxes, part.taxes)
        )
    if refund.other.minor:
        one = _for_one_line(row, lines, refund, parts)
        if one is None:
            return Share(code="X51", why=f"{refund.other} of it are on no line")
        parts[one.line_id] = one
    shipping = _shipping(row, lines, refund, parts)
    if shipping is None:
        return Share(code="X50", why=f"{refund.shipping} for shipping, and less is left")
    return Share(lines=tuple(part for part in shipping.values() if part.amount.minor or part.shipping_amount.minor or part.quantity))


def parted(part: LineRefund, unpacked: int) -> tuple[LineRefund, ...]:
    """A refund of units of which so many have not been packed: these will not follow, the others have left."""
    stay = min(part.quantity, max(0, unpacked))
    if stay in (0, part.quantity):
        return (replace(part, not_to_ship=stay > 0),)
    minor = part.amount.minor * stay // part.quantity
    staying = replace(
        part,
        quantity=stay,
        amount=Money(minor, part.amount.currency),
        shipping_amount=part.shipping_amount * 0,
        taxes=_of(part.taxes, minor, part.amount.minor),
        shipping_taxes=(),
        not_to_ship=True,
    )
    rest = replace(
        part, quantity=part.quantity - stay, amount=part.amount - staying.amount, taxes=_less(part.taxes, staying.taxes), not_to_ship=False
    )
    return staying, rest


def _living(row: Aftercare) -> dict[LineId, OrderLine]:
    return {line_id: line for line_id, line in row.sold.items() if row.lines.get(line_id) not in ("REFUSED", "CANCELED")}


def _nothing(line: OrderLine) -> LineRefund:
    return LineRefund(line_id=line.line_id, amount=line.price * 0, shipping_amount=line.price * 0)


def _part(rest: LineRefund, quantity: int, amount: Money) -> LineRefund:
    """So much of what is left, with its taxes in proportion; the last part takes what is left of them."""
    return LineRefund(
        line_id=rest.line_id,
        amount=amount,
        shipping_amount=amount * 0,
        quantity=quantity,
        taxes=_of(rest.taxes, amount.minor, rest.amount.minor),
    )


def _for_one_line(
    row: Aftercare, lines: Mapping[LineId, OrderLine], refund: ShopRefundSeen, parts: Mapping[LineId, LineRefund]
) -> LineRefund | None:
    """Money without a line, where only one can be meant: the one that the refund names, or the only one there is."""
    named = [line for line in lines.values() if line.line_id in parts] or list(lines.values())
    if len(named) != 1 or refund.other.minor < 0:
        return None
    [line] = named
    rest, before = left(line, row.taken), parts.get(line.line_id, _nothing(line))
    if before.amount.minor + refund.other.minor > rest.amount.minor:
        return None
    amount = before.amount + refund.other
    return replace(_part(rest, before.quantity, amount), shipping_amount=before.shipping_amount, shipping_taxes=before.shipping_taxes)


def _shipping(
    row: Aftercare, lines: Mapping[LineId, OrderLine], refund: ShopRefundSeen, parts: Mapping[LineId, LineRefund]
) -> dict[LineId, LineRefund] | None:
    """Shipping money laid on the lines that paid for it, those of the refund first; None: there is not so much."""
    shared, open_ = dict(parts), refund.shipping.minor
    for line in sorted(lines.values(), key=lambda line: line.line_id not in parts):
        if not open_:
            break
        rest = left(line, row.taken)
        some = min(open_, rest.shipping_amount.minor)
        if some > 0:
            before = shared.get(line.line_id, _nothing(line))
            amount = Money(some, refund.shipping.currency)
            taxes = _of(rest.shipping_taxes, some, rest.shipping_amount.minor)
            shared[line.line_id] = replace(before, shipping_amount=amount, shipping_taxes=taxes)
            open_ -= some
    return None if open_ else shared


# ---------------------------------------------------------------- taxes


def _of(taxes: tuple[Tax, ...], part: int, whole: int) -> tuple[Tax, ...]:
    """Each tax in proportion, rounded half up; the whole of it with the whole."""
    if part == whole or not whole:
        return taxes if part else ()
    return tuple(replace(tax, amount=Money((2 * tax.amount.minor * part + whole) // (2 * whole), tax.amount.currency)) for tax in taxes)


def _less(taxes: tuple[Tax, ...], gone: tuple[Tax, ...]) -> tuple[Tax, ...]:
    off = {tax.code: tax.amount for tax in gone}
    return tuple(replace(tax, amount=tax.amount - off[tax.code]) if tax.code in off else tax for tax in taxes)


def _more(taxes: tuple[Tax, ...], more: tuple[Tax, ...]) -> tuple[Tax, ...]:
    added = {tax.code: tax for tax in taxes}
    for tax in more:
        added[tax.code] = replace(tax, amount=added[tax.code].amount + tax.amount) if tax.code in added else tax
    return tuple(added.values())
