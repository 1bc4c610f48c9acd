"""What a Shopify refund means for the marketplace's lines, to the penny; or why a person must say. Pure arithmetic in minor units."""

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from projections.aftercare import Aftercare, Gone
from schemas.commands import LineRefund
from schemas.events.aftercare import ShopRefundSeen
from schemas.values import LineId, Money, OrderLine, Tax

SHIPPING = LineId("")  # what is no line's


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


def too_much(row: Aftercare, refund: ShopRefundSeen) -> dict[LineId, int]:
    """By how much a Shopify refund gives back more for each line than is left of it, and for shipping, where it does. Minor units."""
    over = {line_id: asked.amount.minor - left(row.sold[line_id], row.taken).amount.minor for line_id, asked in _asked(row, refund).items()}
    over[SHIPPING] = refund.shipping.minor - _postage_left(row)
    return {line_id: more for line_id, more in over.items() if more > 0}


def _beyond(row: Aftercare, refund: ShopRefundSeen, over: Mapping[LineId, int]) -> int:
    """What that comes to in all, with the taxes on top. Minor units."""
    minor = sum(over.values())
    if row.taxes_on_top:
        minor += sum(unit.tax.minor for unit in refund.lines if unit.line_id in over)
        minor += refund.shipping_tax.minor if SHIPPING in over else 0
        for rest in (left(line, row.taken) for line in _living(row).values()):
            taxes = (*(rest.taxes if rest.line_id in over else ()), *(rest.shipping_taxes if SHIPPING in over else ()))
            minor -= sum(tax.amount.minor for tax in taxes)
    return minor


def _postage_left(row: Aftercare) -> int:
    return sum(left(line, row.taken).shipping_amount.minor for line in _living(row).values())


def comes_to(row: Aftercare, refund: ShopRefundSeen) -> Money:
    """What a Shopify refund gives the buyer in all."""
    total = refund.shipping + refund.other
    for unit in refund.lines:
        total += unit.amount
    for tax in (refund.shipping_tax, *(unit.tax for unit in refund.lines)) if row.taxes_on_top else ():
        total += tax
    return total


def with_taxes(row: Aftercare, amount: Money, taxes: Iterable[Tax]) -> Money:
    """What the buyer pays for, or gets back of, an amount in the order's own tax mode."""
    for tax in taxes if row.taxes_on_top else ():
        amount += tax.amount
    return amount


def by_line(gone: Iterable[Gone]) -> dict[LineId, int]:
    """What was given back for each line, and for shipping, where it was. Minor units."""
    sums: dict[LineId, int] = {}
    for each in gone:
        for line, given in ((each.line, each.amount.minor), (SHIPPING, each.shipping.minor)):
            if given:
                sums[line] = sums.get(line, 0) + given
    return sums


def share(row: Aftercare, refund: ShopRefundSeen, within: Collection[str] = ()) -> Share:
    """The marketplace's lines of a Shopify refund; none where goods went back and no money did.

    `within`: refunds of the marketplace's own that are a part of it. Lines of these, and of such as Shopify has a record of, give back what
    is left of them. So they do where Shopify paid less than it gave back goods for, as these had been refunded in part; what it paid beyond
    is shipping.
    """
    if comes_to(row, refund).minor == 0:
        return Share()
    lines, other = _living(row), refund.other
    if dead := [unit.line_id for unit in refund.lines if unit.line_id not in lines]:
        return Share(code="X50", why=f"line {dead[0]} is not alive on the marketplace any more")
    over = too_much(row, refund)
    postage = refund.shipping.minor - over.get(SHIPPING, 0)
    room = 0 if row.taxes_on_top else _postage_left(row) - postage  # with taxes on top it would have to be parted: for a person
    if over and other.minor < 0 and 0 <= (more := other.minor + _beyond(row, refund, over)) <= room:
        other, postage = other * 0, postage + more
    else:
        theirs = ((name, gone) for name, gone in (*row.cancelations.items(), *row.refunds.items()) if not gone.ours)
        before = by_line(gone for name, gone in theirs if name in within or gone.recorded)
        if unexplained := [line for line, more in over.items() if more > before.get(line, 0)]:
            return Share(code="X50", why=_why(row, refund, unexplained[0]))
    parts: dict[LineId, LineRefund] = {}
    for line_id, asked in _asked(row, refund).items():
        rest = left(lines[line_id], row.taken)
        if asked.quantity > rest.quantity and line_id not in over:
            return Share(code="X50", why=_why(row, refund, line_id))
        minor = min(asked.amount.minor, rest.amount.minor)
        if minor or line_id not in over:
            parts[line_id] = _part(rest, min(asked.quantity, rest.quantity), Money(minor, rest.amount.currency))
    if other.minor:
        one = _for_one_line(row, lines, refund, parts)
        if one is None:
            what = f"{other} of it are on no line" if other.minor > 0 else f"it pays {other * -1} less than its lines come to"
            return Share(code="X51", why=what)
        parts[one.line_id] = one
    shipping = _shipping(row, lines, postage, parts)
    return Share(lines=tuple(part for part in shipping.values() if part.amount.minor or part.shipping_amount.minor or part.quantity))


def _asked(row: Aftercare, refund: ShopRefundSeen) -> dict[LineId, LineRefund]:
    """Units and amount that a Shopify refund gives back for each line, whatever is left of it."""
    asked: dict[LineId, LineRefund] = {}
    for unit in refund.lines:
        if unit.line_id in row.sold:
            before = asked.get(unit.line_id, _nothing(row.sold[unit.line_id]))
            asked[unit.line_id] = replace(before, amount=before.amount + unit.amount, quantity=before.quantity + unit.quantity)
    return asked


def _why(row: Aftercare, refund: ShopRefundSeen, line: LineId) -> str:
    if line == SHIPPING:
        return f"{refund.shipping} for shipping, and less is left"
    asked, rest = _asked(row, refund)[line], left(row.sold[line], row.taken)
    return f"{asked.quantity} for {asked.amount} of line {line}, and {rest.quantity} for {rest.amount} are left"


def parted(part: LineRefund, taken_off: int) -> tuple[LineRefund, ...]:
    """A refund of units of which so many will not follow; the others have left, or will."""
    stay = min(part.quantity, max(0, taken_off))
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
    given = with_taxes(row, before.amount, before.taxes) + refund.other
    whole = with_taxes(row, rest.amount, rest.taxes)
    if given.minor > whole.minor:
        return None
    if not row.taxes_on_top:
        return _part(rest, before.quantity, given)
    amount = Money(_half_up(rest.amount.minor, given.minor, whole.minor), given.currency)
    return replace(_part(rest, before.quantity, amount), taxes=_spread(rest.taxes, (given - amount).minor))


def _shipping(
    row: Aftercare, lines: Mapping[LineId, OrderLine], minor: int, parts: Mapping[LineId, LineRefund]
) -> dict[LineId, LineRefund]:
    """Shipping money laid on the lines that paid for it, those of the refund first. There is so much."""
    shared = dict(parts)
    for line in sorted(lines.values(), key=lambda line: line.line_id not in parts):
        rest = left(line, row.taken)
        some = min(minor, rest.shipping_amount.minor)
        if some > 0:
            before = shared.get(line.line_id, _nothing(line))
            amount = Money(some, rest.shipping_amount.currency)
            taxes = _of(rest.shipping_taxes, some, rest.shipping_amount.minor)
            shared[line.line_id] = replace(before, shipping_amount=amount, shipping_taxes=taxes)
            minor -= some
    return shared


# ---------------------------------------------------------------- taxes


def _of(taxes: tuple[Tax, ...], part: int, whole: int) -> tuple[Tax, ...]:
    """Each tax in proportion, rounded half up; the whole of it with the whole."""
    if part == whole or not whole:
        return taxes if part else ()
    return tuple(replace(tax, amount=Money(_half_up(tax.amount.minor, part, whole), tax.amount.currency)) for tax in taxes)


def _half_up(minor: int, part: int, whole: int) -> int:
    return (2 * minor * part + whole) // (2 * whole)


def _spread(taxes: tuple[Tax, ...], minor: int) -> tuple[Tax, ...]:
    """So much of these taxes in all, to the penny, of each in proportion."""
    whole, passed, spread = sum(tax.amount.minor for tax in taxes), 0, []
    for tax in taxes if whole else ():
        until = passed + tax.amount.minor
        some = _half_up(minor, until, whole) - _half_up(minor, passed, whole)
        spread.append(replace(tax, amount=Money(some, tax.amount.currency)))
        passed = until
    return tuple(spread)


def _less(taxes: tuple[Tax, ...], gone: tuple[Tax, ...]) -> tuple[Tax, ...]:
    off = {tax.code: tax.amount for tax in gone}
    return tuple(replace(tax, amount=tax.amount - off[tax.code]) if tax.code in off else tax for tax in taxes)
