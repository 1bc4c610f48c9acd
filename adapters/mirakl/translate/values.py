"""One value of a payload into one of ours, exactly; or the field that cannot be read, and why."""

import contextlib
import hashlib
import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

from msgspec import Raw

from adapters.mirakl import wire
from schemas.values import Instant, Money, minor_digits, minor_units, money

LARGEST = 2**53  # minor units; beyond it, other programs begin to round
# Deadlines are reckoned from what we hear, and must not leave the calendar: that would stop everybody's orders, not this one.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
LOST = "\ufffd"  # stands where a character could not be read


class UnreadableError(Exception):
    """What a payload must have and has not, or not in a form that can be read."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field} {why}")
        self.field, self.why = field, why


def name(value: wire.Text, field: str) -> str:
    """An opaque name that will stand in streams and queries: printable, of bearable length, and there."""
    if value is None or value == "":
        raise UnreadableError(field, "is missing")
    said = str(value)
    if len(said) > 200 or not said.isprintable() or LOST in said or not said.strip():
        raise UnreadableError(field, "is no usable name")
    return said


def text(value: wire.Text) -> str:
    """As given, without NUL: Postgres cannot hold it."""
    return "" if value is None else str(value).replace("\0", "")


def currency(code: str | None) -> str:
    if not code:
        raise UnreadableError("currency_iso_code", "is missing")
    try:
        minor_digits(code)
    except ValueError:
        raise UnreadableError("currency_iso_code", "is no currency code") from None
    return code


def is_absent(raw: Raw) -> bool:
    return bytes(raw) in (b"", b"null")


def amount(raw: Raw, field: str, code: str, *, missing: int | None = None) -> Money:
    """Never below zero. `missing`, in minor units, stands for what is not there."""
    if is_absent(raw):
        if missing is None:
            raise UnreadableError(field, "is missing")
        return Money(missing, code)
    try:
        read = money(bytes(raw), code)
    except ValueError:
        raise UnreadableError(field, f"is no amount in {code}") from None
    _within_reason(read.minor, field)
    return read


def fine(raw: Raw, field: str, code: str, *, missing: int | None = None) -> Decimal:
    """As `amount`, in minor units, for what may be finer than the currency: the price of one unit."""
    if is_absent(raw):
        return Decimal(amount(raw, field, code, missing=missing).minor)
    try:
        read = minor_units(bytes(raw), code)
    except ValueError:
        raise UnreadableError(field, f"is no amount in {code}") from None
    _within_reason(read, field)
    return read


def rounded(minor: Decimal, code: str) -> Money:
    return Money(int(minor.to_integral_value(ROUND_HALF_UP)), code)


def _within_reason(minor: int | Decimal, field: str) -> None:
    if minor < 0:
        raise UnreadableError(field, "is below zero")
    if minor > LARGEST:
        raise UnreadableError(field, "is more than any order")


def units(raw: Raw, field: str, *, missing: int | None = None) -> int:
    if is_absent(raw) and missing is not None:
        return missing
    match = re.fullmatch(rb"([0-9]{1,9})(?:\.0{1,12})?", bytes(raw))
    if match is None:
        raise UnreadableError(field, "is missing" if is_absent(raw) else "is no number of units")
    return int(match[1])


def rate(raw: Raw) -> str | None:
    """Per cent, without the zeros that come and go."""
    match = re.fullmatch(rb'"?([0-9]{1,3})(?:\.([0-9]{1,12}))?"?', bytes(raw))
    if match is None:
        return None
    fraction = (match[2] or b"").rstrip(b"0").decode()
    return f"{int(match[1])}.{fraction}" if fraction else str(int(match[1]))


_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})", re.ASCII)


def instant(said: str | None, field: str, *, missing: Instant | None = None) -> Instant:
    """ISO 8601 with a zone, with or without milliseconds. A time without a zone is no time."""
    if said is None or said == "":
        if missing is None:
            raise UnreadableError(field, "is missing")
        return missing
    if _DATE.fullmatch(said):
        with contextlib.suppress(ValueError, OverflowError):
            read = datetime.fromisoformat(said).astimezone(UTC)
            if EARLIEST <= read < LATEST:
                return read
    raise UnreadableError(field, "is no time with a zone")


def maybe_instant(said: str | None, field: str) -> Instant | None:
    return instant(said, field) if said else None


def optional_instant(said: str | None, field: str, odd: list[str]) -> Instant | None:
    """Where nothing is lost without it: None as well where it cannot be read, and then its field joins `odd`."""
    try:
        return maybe_instant(said, field)
    except UnreadableError as error:
        odd.append(error.field)
        return None


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
