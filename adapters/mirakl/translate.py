"""Mirakl's payloads into our facts, our commands into Mirakl's payloads. Pure."""

import contextlib
import csv
import hashlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Raw, Struct

from adapters.mirakl import wire
from adapters.mirakl.countries import ALPHA_2, CODES
from engine.adapter import Heard
from schemas.envelope import Fact, event_id
from schemas.events import Event, Personal, tag_of
from schemas.events.exceptions import ExceptionOpened, RawPayload
from schemas.events.orders import (
    DeliveryAddress,
    DeliveryAddressGiven,
    LineStateChanged,
    OrderPlaced,
    OrderStateChanged,
    OrderTermsChanged,
)
from schemas.streams import order_stream
from schemas.values import ChannelId, Instant, LineId, Money, OrderId, OrderLine, Sku, Tax, TenantId, minor_digits, money

SEPARATOR = "\x1f"  # between the parts of an external id; never in one: ids are printable
LARGEST = 2**53  # minor units; beyond it, other programs begin to round
LOST = "\ufffd"  # stands where a character could not be read


class UnreadableError(Exception):
    """What an order must have and has not, or not in a form that can be read."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field} {why}")
        self.field, self.why = field, why


class Place(Struct, frozen=True):
    """Whose orders these are, and how they were asked for."""

    tenant: TenantId
    channel: ChannelId
    tax_mode: str = ""  # TAX_INCLUDED, TAX_EXCLUDED; "": the platform's own

    @property
    def source(self) -> str:
        return f"mirakl:{self.channel}"


# ---------------------------------------------------------------- an order into facts


def hear(raw: bytes | Raw, place: Place, seen_at: Instant) -> list[Heard]:
    """What an order of OR11 says. One that cannot be read is an exception, with the payload sealed beside it."""
    try:
        return _facts(wire.read(raw, wire.Order), place)
    except msgspec.DecodeError as error:
        return [_unreadable(raw, place, seen_at, wire.where(error) or "order", "is of an unexpected type")]
    except UnreadableError as error:
        return [_unreadable(raw, place, seen_at, error.field, error.why)]


class _Story:
    """The facts of one order, each with an id of its own and all with one correlation."""

    def __init__(self, place: Place, order_id: str) -> None:
        self.place, self.order_id = place, order_id
        self.stream = order_stream(place.channel, OrderId(order_id))

    def fact(self, event: Event, occurred_at: Instant, *parts: str, personal: Personal | None = None) -> Fact:
        """`parts` tell this fact from others of its kind in the order."""
        return Fact(
            event=event,
            event_id=self._id(tag_of(event), *parts),
            occurred_at=occurred_at,
            personal=personal,
            subject=self.stream if personal is not None else "",
            correlation_id=self._id(tag_of(OrderPlaced)),
            actor=self.place.source,
        )

    def heard(self, event: Event, occurred_at: Instant, *parts: str, **otherwise: Any) -> Heard:
        return Heard(self.stream, self.fact(event, occurred_at, *parts), **otherwise)

    def _id(self, kind: str, *parts: str) -> Any:
        return event_id(self.place.tenant, self.place.source, SEPARATOR.join((self.order_id, *parts)), kind)


def _facts(order: wire.Order, place: Place) -> list[Heard]:
    order_id = _id(order.order_id, "order_id")
    story = _Story(place, order_id)
    placed = _placed(order, place, OrderId(order_id))
    updated_at = _instant(order.last_updated_date, "last_updated_date", missing=placed.placed_at)
    terms = OrderTermsChanged(channel=place.channel, order_id=placed.order_id, terms=placed)
    heard = [story.heard(placed, placed.placed_at, otherwise=story.fact(terms, updated_at, _digest(msgspec.json.encode(placed))))]

    state, reason = _id(order.order_state, "order_state"), _text(order.order_state_reason_code)
    for number, (line, ours) in enumerate(zip(order.order_lines or (), placed.lines, strict=True)):
        heard.append(_line_state(line, ours, story, f"order_lines[{number}]", updated_at))
    heard += _address(order, story, updated_at)
    moved = OrderStateChanged(channel=place.channel, order_id=placed.order_id, state=state, reason=reason or None)
    # The order's own state comes last: what a policy does because of it, it does knowing lines and address.
    heard.append(story.heard(moved, updated_at, state, otherwise=story.fact(moved, updated_at, state, reason)))
    return heard


def _line_state(line: wire.OrderLine, ours: OrderLine, story: _Story, at: str, updated_at: Instant) -> Heard:
    state, reason = _id(line.order_line_state, f"{at}.order_line_state"), _text(line.order_line_state_reason_code)
    theirs = {"SHIPPED": ("shipped_date", line.shipped_date), "RECEIVED": ("received_date", line.received_date)}
    name, said = theirs.get(state, ("last_updated_date", line.last_updated_date))
    when = _instant(said, f"{at}.{name}", missing=updated_at)
    moved = LineStateChanged(
        channel=story.place.channel,
        order_id=OrderId(story.order_id),
        line_id=ours.line_id,
        sku=ours.sku,
        state=state,
        reason=reason or None,
    )
    return story.heard(moved, when, ours.line_id, state, otherwise=story.fact(moved, when, ours.line_id, state, reason, ours.sku))


def _placed(order: wire.Order, place: Place, order_id: OrderId) -> OrderPlaced:
    currency = _currency(order.currency_iso_code)
    lines = tuple(_line(line, f"order_lines[{number}]", currency) for number, line in enumerate(order.order_lines or ()))
    if not lines:
        raise UnreadableError("order_lines", "is empty")
    ids = [line.line_id for line in lines]
    for number, line_id in enumerate(ids):
        if line_id in ids[:number]:
            raise UnreadableError(f"order_lines[{number}].order_line_id", "is there twice")
    taxes = [tax.amount.minor for line in lines for tax in (*line.taxes, *line.shipping_taxes)]
    included = _taxes_included(order.order_tax_mode or place.tax_mode, taxed=any(taxes))
    total = sum(line.price.minor + line.shipping_price.minor for line in lines) + (0 if included else sum(taxes))
    if total > LARGEST:
        raise UnreadableError("order_lines", "add up to more than any order")
    return OrderPlaced(
        channel=place.channel,
        order_id=order_id,
        commercial_id=_id(order.commercial_id, "commercial_id"),
        placed_at=_instant(order.created_date, "created_date"),
        currency=currency,
        taxes_included=included,
        lines=lines,
        total=Money(total, currency),
        shipping_method=_text(order.shipping_type_code),
        shipping_label=_text(order.shipping_type_label),
        ship_by=None if order.shipping_deadline is None else _instant(order.shipping_deadline, "shipping_deadline"),
    )


def _taxes_included(mode: str, *, taxed: bool) -> bool:
    """Without taxes both modes say the same; with them, the mode must be known."""
    if mode in ("TAX_INCLUDED", "TAX_EXCLUDED"):
        return mode == "TAX_INCLUDED"
    if mode or taxed:
        raise UnreadableError("order_tax_mode", "is of an unknown kind" if mode else "is missing")
    return True


# ---------------------------------------------------------------- a line, as first sold


def _line(line: wire.OrderLine, at: str, currency: str) -> OrderLine:
    """What is shown, plus what was canceled since."""
    gone = line.cancelations or []
    for fee in [*(line.fees or ()), *(fee for each in gone for fee in each.fees or ())]:
        if _amount(fee.amount, f"{at}.fees", currency, missing=0):
            raise UnreadableError(f"{at}.fees", "holds a fee, which has no place in an order of ours")
    unit_price = _amount(line.price_unit, f"{at}.price_unit", currency)
    price = _restored(line.price, f"{at}.price", currency, [each.amount for each in gone])
    shipping = _restored(line.shipping_price, f"{at}.shipping_price", currency, [each.shipping_amount for each in gone])
    taxes = [*(line.taxes or ()), *(tax for each in gone for tax in each.taxes or ())]
    shipping_taxes = [*(line.shipping_taxes or ()), *(tax for each in gone for tax in each.shipping_taxes or ())]
    return OrderLine(
        line_id=LineId(_id(line.order_line_id, f"{at}.order_line_id")),
        sku=Sku(_id(line.offer_sku, f"{at}.offer_sku")),
        quantity=_quantity(line, at, currency, price, unit_price),
        unit_price=Money(unit_price, currency),
        price=Money(price, currency),
        shipping_price=Money(shipping, currency),
        taxes=_taxes(taxes, f"{at}.taxes", currency),
        shipping_taxes=_taxes(shipping_taxes, f"{at}.shipping_taxes", currency),
        title=_text(line.product_title),
    )


def _quantity(line: wire.OrderLine, at: str, currency: str, price: int, unit_price: int) -> int:
    """Units first sold. The quantity of a cancelation is informative only: where it is missing, the amounts must tell."""
    quantity = _units(line.quantity, f"{at}.quantity")
    for number, each in enumerate(line.cancelations or ()):
        where = f"{at}.cancelations[{number}]"
        units = _units(each.quantity, f"{where}.quantity", missing=0)
        if units == 0 and _amount(each.amount, f"{where}.amount", currency, missing=0):
            if unit_price == 0 or price % unit_price:
                raise UnreadableError(f"{where}.quantity", "is missing")
            quantity = price // unit_price
            break
        quantity += units
    if quantity < 1:
        raise UnreadableError(f"{at}.quantity", "is not at least one")
    return quantity


def _restored(shown: Raw, field: str, currency: str, gone: Iterable[Raw]) -> int:
    return _amount(shown, field, currency) + sum(_amount(each, field, currency, missing=0) for each in gone)


def _taxes(taxes: Iterable[wire.Tax], field: str, currency: str) -> tuple[Tax, ...]:
    """One for each code and payer, in the order met; what was canceled comes last and is added to its own."""
    found: dict[tuple[str, bool], Tax] = {}
    for tax in taxes:
        code = _id(tax.code, f"{field}.code")
        parts = (tax.amount_breakdown.parts if tax.amount_breakdown else None) or []
        remitted = bool(parts) and all(part.payable_to_shop is False for part in parts)
        amount = Money(_amount(tax.amount, f"{field}.amount", currency), currency)
        one = found.get((code, remitted)) or Tax(code=code, amount=Money(0, currency), rate=_rate(tax.rate), remitted_by_operator=remitted)
        found[code, remitted] = msgspec.structs.replace(one, amount=one.amount + amount)
    return tuple(found.values())


def _rate(raw: Raw) -> str | None:
    """Per cent, without the zeros that come and go."""
    match = re.fullmatch(rb'"?([0-9]{1,3})(?:\.([0-9]{1,12}))?"?', bytes(raw))
    if match is None:
        return None
    fraction = (match[2] or b"").rstrip(b"0").decode()
    return f"{int(match[1])}.{fraction}" if fraction else str(int(match[1]))


# ---------------------------------------------------------------- an address


def _address(order: wire.Order, story: _Story, updated_at: Instant) -> list[Heard]:
    """Where it goes, once that is disclosed. Characters lost on the way are somebody's business, but hold nothing up."""
    customer = order.customer
    if customer is None or customer.shipping_address is None:
        return []
    theirs = customer.shipping_address
    named = bool(_text(theirs.firstname) or _text(theirs.lastname))
    country_code = _country(theirs)
    address = DeliveryAddress(
        first_name=_text(theirs.firstname if named else customer.firstname),
        last_name=_text(theirs.lastname if named else customer.lastname),
        company=" ".join(part for part in (_text(theirs.company), _text(theirs.company_2)) if part),
        street_1=_text(theirs.street_1),
        street_2=_text(theirs.street_2),
        city=_text(theirs.city),
        zip_code=_text(theirs.zip_code),
        state=_text(theirs.state),
        country=_text(theirs.country),
        country_code=country_code,
        phone=_text(theirs.phone) or _text(theirs.phone_secondary),
        email=_text(order.customer_notification_email),
        notes=_text(theirs.additional_info),
    )
    if not (address.street_1 or address.street_2 or address.city or address.zip_code):
        return []
    given = DeliveryAddressGiven(channel=story.place.channel, order_id=OrderId(story.order_id), country_code=country_code)
    changed = story.fact(given, updated_at, updated_at.isoformat(), personal=address)
    heard = [Heard(story.stream, story.fact(given, updated_at, personal=address), otherwise=changed)]
    if lost := next((name for name, value in msgspec.structs.asdict(address).items() if LOST in value), None):
        field = f"customer.shipping_address.{lost}"
        heard.append(
            story.heard(
                ExceptionOpened(
                    key=f"X22:{story.stream}:{field}",
                    code="X22",
                    subject=story.stream,
                    summary=f"{field} of order {story.order_id} lost a character on its way here",
                    field=field,
                    owner="CX",
                    severity=1,
                ),
                updated_at,
                field,
            )
        )
    return heard


def _country(address: wire.Address) -> str:
    """ISO 3166 alpha-2, from a code in either field. A name is not a code: localised, it could be anything."""
    for said in (_text(address.country_iso_code).strip().upper(), _text(address.country).strip().upper()):
        if said in ALPHA_2 or said in CODES:
            return ALPHA_2.get(said, said)
    return ""


# ---------------------------------------------------------------- one value


def _id(value: wire.Text, field: str) -> str:
    """An opaque name that will stand in streams and queries: printable, of bearable length, and there."""
    if value is None or value == "":
        raise UnreadableError(field, "is missing")
    name = str(value)
    if len(name) > 200 or not name.isprintable() or LOST in name or not name.strip():
        raise UnreadableError(field, "is no usable name")
    return name


def _text(value: wire.Text) -> str:
    """As given, without NUL: Postgres cannot hold it."""
    return "" if value is None else str(value).replace("\0", "")


def _currency(code: str | None) -> str:
    if not code:
        raise UnreadableError("currency_iso_code", "is missing")
    try:
        minor_digits(code)
    except ValueError:
        raise UnreadableError("currency_iso_code", "is no currency code") from None
    return code


def _absent(raw: Raw) -> bool:
    return bytes(raw) in (b"", b"null")


def _amount(raw: Raw, field: str, currency: str, *, missing: int | None = None) -> int:
    """Minor units, never negative."""
    if _absent(raw):
        if missing is None:
            raise UnreadableError(field, "is missing")
        return missing
    try:
        minor = money(bytes(raw), currency).minor
    except ValueError:
        raise UnreadableError(field, f"is no amount in {currency}") from None
    if minor < 0:
        raise UnreadableError(field, "is below zero")
    if minor > LARGEST:
        raise UnreadableError(field, "is more than any order")
    return minor


def _units(raw: Raw, field: str, *, missing: int | None = None) -> int:
    if _absent(raw) and missing is not None:
        return missing
    match = re.fullmatch(rb"([0-9]{1,9})(?:\.0{1,12})?", bytes(raw))
    if match is None:
        raise UnreadableError(field, "is missing" if _absent(raw) else "is no number of units")
    return int(match[1])


_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})", re.ASCII)


def _instant(said: str | None, field: str, *, missing: Instant | None = None) -> Instant:
    """ISO 8601 with a zone, with or without milliseconds. A time without a zone is no time."""
    if said is None or said == "":
        if missing is None:
            raise UnreadableError(field, "is missing")
        return missing
    if _DATE.fullmatch(said):
        with contextlib.suppress(ValueError, OverflowError):
            return datetime.fromisoformat(said).astimezone(UTC)
    raise UnreadableError(field, "is no time with a zone")


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


# ---------------------------------------------------------------- what could not be read


def _unreadable(raw: bytes | Raw, place: Place, seen_at: Instant, field: str, why: str) -> Heard:
    """In the order's own stream, or in the channel's where not even the order is named.

    Its id covers the whole payload: the same one heard again is the same fact, another one is another.
    """
    body = bytes(raw)
    try:
        order_id = _id(wire.identity(body), "order_id")
        stream, what = order_stream(place.channel, OrderId(order_id)), f"order {order_id}"
    except UnreadableError:
        stream, what = f"channel-{place.channel}", "an order without a usable order_id"
    opened = ExceptionOpened(
        key=f"X79:{stream}",
        code="X79",
        subject=stream,
        summary=f"{what} of {place.channel} cannot be read: {field} {why}",
        field=field,
        owner="ENG",
    )
    fact = Fact(
        event=opened,
        event_id=event_id(place.tenant, place.source, f"unreadable{SEPARATOR}{field}{SEPARATOR}{_digest(body)}", tag_of(opened)),
        occurred_at=seen_at,
        personal=RawPayload(body=body.decode(errors="replace").replace("\0", "")),
        subject=stream,
        actor=place.source,
    )
    return Heard(stream, fact)


# ---------------------------------------------------------------- our commands into payloads


def decisions(accepted: Sequence[LineId], refused: Sequence[LineId]) -> dict[str, Any]:
    """OR21: every line that waits must be named."""
    return {"order_lines": [{"id": line, "accepted": line in accepted} for line in (*accepted, *refused)]}


def references(names: Mapping[OrderId, str]) -> dict[str, Any]:
    """OR04."""
    return {"orders": [{"order_id": order, "references": {"order_reference_for_seller": name}} for order, name in names.items()]}


def tracking(carrier_code: str, number: str) -> dict[str, Any]:
    """OR23, for a registered carrier: Mirakl makes the address of the tracking page itself."""
    return {"carrier_code": carrier_code} | ({"tracking_number": number} if number else {})


def unwritable(quantities: Mapping[Sku, int]) -> dict[Sku, str]:
    """What cannot stand in a stock file, and why: everything else is for the marketplace to judge."""
    why = {sku: "is no SKU that a file can hold" for sku in quantities if not sku.strip() or not sku.isprintable() or LOST in sku}
    return why | {sku: "has a negative quantity" for sku, units in quantities.items() if units < 0}


def stock_file(quantities: Mapping[Sku, int]) -> bytes:
    """STO01: a line an offer, the global quantity; `;` between, all quoted, as in RFC 4180."""
    out = io.StringIO(newline="")
    write = csv.writer(out, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow
    write(("offer-sku", "quantity", "warehouse-code", "update-delete"))
    left_out = unwritable(quantities)
    for sku, units in quantities.items():
        if sku not in left_out:
            write((sku, units, "", "update"))
    return out.getvalue().encode()


def error_report(body: bytes) -> dict[Sku, str]:
    """STO03, by position: line number, reason, then our own columns. Whatever does not begin with a number is a header.

    Raises UnreadableError: a report of which nothing can be read is not one of no errors.
    """
    marked = body[:2] in (b"\xff\xfe", b"\xfe\xff")
    text = next(
        text for encoding in ("utf-16" if marked else "utf-8-sig", "cp1252", "latin-1") if (text := _decoded(body, encoding)) is not None
    )
    first = text.split("\n", 1)[0]
    delimiter = ";" if first.count(";") >= first.count(",") else ","
    try:
        rows = list(csv.reader(io.StringIO(text.replace("\0", ""), newline=""), delimiter=delimiter))
    except csv.Error:
        rows = []
    refused = {Sku(cells[2]): cells[1] for cells in rows if len(cells) > 2 and cells[0].strip().isdigit() and cells[2]}
    if not refused:
        raise UnreadableError("error report", "names no line")
    return refused


def _decoded(body: bytes, encoding: str) -> str | None:
    try:
        return body.decode(encoding)
    except UnicodeDecodeError:
        return None
