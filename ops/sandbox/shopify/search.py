"""Shopify's search language, as far as connectors use it: terms that must all hold.

An unknown filter is no error there: it is left out, and a warning in the answer's extensions is all that tells.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from graphql import GraphQLError
from msgspec import Struct

from ops.sandbox.shopify.state import NotSimulatedError

TERM = re.compile(
    r"""\s*(?:(?P<field>[\w.$-]+):(?P<sign>>=|<=|>|<|)(?P<value>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^\s()"']+)|(?P<other>\S+))"""
)

T = TypeVar("T")
Filter = Callable[[Any, str, str], bool]  # thing, sign, value


class Term(Struct, frozen=True):
    field: str
    sign: str  # "" or a comparison
    value: str


def terms(query: str | None) -> list[Term]:
    found = []
    for match in TERM.finditer(query or ""):
        if match["other"] is None:
            value = match["value"]
            quoted = value[0] in "\"'"
            found.append(Term(match["field"], match["sign"], re.sub(r"\\(.)", r"\1", value[1:-1]) if quoted else value))
        elif match["other"] != "AND":
            raise NotSimulatedError(f"the search words {match['other']!r} are not simulated: only field:value terms that all must hold")
    return found


def chosen(query: str | None, filters: Mapping[str, Filter]) -> tuple[Callable[[Any], bool] | None, list[dict[str, str]]]:
    """A test for the query (None: everything passes), and a warning for each filter that nobody knows."""
    asked = terms(query)
    known = [(filters[term.field], term) for term in asked if term.field in filters]
    warnings = [{"field": term.field, "message": "Invalid search field for this query."} for term in asked if term.field not in filters]
    if not known:
        return None, warnings
    return lambda thing: all(holds(thing, term.sign, term.value) for holds, term in known), warnings


def text(read: Callable[[Any], str | None]) -> Filter:
    """Compared without case; a star at the end stands for anything."""

    def holds(thing: Any, sign: str, value: str) -> bool:
        is_, wanted = (read(thing) or "").lower(), value.lower()
        return is_.startswith(wanted[:-1]) if wanted.endswith("*") else is_ == wanted

    return holds


def texts(read: Callable[[Any], list[str]]) -> Filter:
    return lambda thing, sign, value: any(text(lambda one: one)(each, sign, value) for each in read(thing))


def time(read: Callable[[Any], datetime]) -> Filter:
    """In whole seconds: finer than that the index does not know."""

    def holds(thing: Any, sign: str, value: str) -> bool:
        wanted = _read(datetime.fromisoformat, value)
        return compared(read(thing).replace(microsecond=0), sign, wanted if wanted.tzinfo else wanted.replace(tzinfo=UTC))

    return holds


def number(read: Callable[[Any], int]) -> Filter:
    return lambda thing, sign, value: compared(read(thing), sign, _read(int, value.rpartition("/")[2]))


def compared_text(is_: Any, sign: str, value: str) -> bool:
    """A field of a webhook's body, whatever it is: by number or date where both are one, else as text, without case."""
    if isinstance(is_, list):
        return any(compared_text(one, sign, value) for one in is_)
    if isinstance(is_, int | float) and not isinstance(is_, bool):
        return compared(float(is_), sign, _read(float, value))
    if sign:
        return compared(str(is_ or ""), sign, value)
    text_ = "" if is_ is None else str(is_).lower()
    return text_.startswith(value[:-1].lower()) if value.endswith("*") else text_ == value.lower()


def _read(reader: Callable[[str], T], value: str) -> T:
    try:
        return reader(value)
    except ValueError:
        raise GraphQLError(f"Invalid search value: {value}") from None


def compared(left: Any, sign: str, right: Any) -> bool:
    return bool({"": left == right, ">=": left >= right, "<=": left <= right, ">": left > right, "<": left < right}[sign])
