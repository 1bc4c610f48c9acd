"""The frame of every answer, and the values in it."""

from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from msgspec import Meta, Raw, Struct

T = TypeVar("T")

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
Zoned = Annotated[datetime, Meta(tz=True)]


def utc(at: datetime) -> datetime:
    """In UTC, and within some thousand years of us: deadlines are reckoned from it, and must not leave the calendar."""
    return min(max(at, EARLIEST), LATEST).astimezone(UTC)


def _name(field: str) -> str:
    """`total_price_set` for totalPriceSet; a final underscore keeps a field from being a word of Python's."""
    head, *tail = field.rstrip("_").split("_")
    return head + "".join(part.capitalize() for part in tail)


class Wire(Struct, frozen=True, rename=_name):
    """Fields we do not know are passed over."""


class ThrottleStatus(Wire, frozen=True):
    maximum_available: float  # points; whole or broken numbers at random
    currently_available: float
    restore_rate: float  # points a second


class Cost(Wire, frozen=True):
    requested_query_cost: float | None = None
    actual_query_cost: float | None = None
    throttle_status: ThrottleStatus | None = None


class SearchWarning(Wire, frozen=True):
    field: str | None = None
    message: str | None = None


class Search(Wire, frozen=True):
    warnings: list[SearchWarning] | None = None


class Extensions(Wire, frozen=True):
    cost: Cost | None = None
    search: list[Search] | None = None


class Problem(Wire, frozen=True):
    """Why a variable was not taken. Its words quote the value: never to be passed on."""

    path: list[str | int] = []


class ErrorExtensions(Wire, frozen=True):
    code: str | None = None
    request_id: str | None = None
    problems: list[Problem] | None = None
    required_access: str | None = None


class Error(Wire, frozen=True):
    path: list[str | int] | None = None
    locations: list[Raw] | None = None
    extensions: ErrorExtensions | None = None


class Answer(Wire, frozen=True):
    data: Raw = Raw()  # empty: no data at all, nothing was executed; "null": execution came to nothing
    errors: list[Error] | str | None = None
    extensions: Extensions | None = None


class UserError(Wire, frozen=True):
    """A mutation understood and refused. Decide on the code; the message is for people, and may quote what we sent."""

    field: list[str] | None = None
    code: str | None = None


class Refusals(Wire, frozen=True):
    user_errors: list[UserError]


class PageInfo(Wire, frozen=True):
    has_next_page: bool
    end_cursor: str | None = None


class Page(Wire, Generic[T], frozen=True):
    nodes: list[T]
    page_info: PageInfo


class MoneyV2(Wire, frozen=True):
    amount: str
    currency_code: str


class MoneyBag(Wire, frozen=True):
    shop_money: MoneyV2


class Attribute(Wire, frozen=True):
    key: str
    value: str | None = None


class Ref(Wire, frozen=True):
    id: str


class Count(Wire, frozen=True):
    count: int


class MetafieldValue(Wire, frozen=True):
    value: str


class Nodes(Wire, Generic[T], frozen=True):
    nodes: list[T | None]  # null: there is no such thing any more
