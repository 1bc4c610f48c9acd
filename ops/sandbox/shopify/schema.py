"""The contract that the shop is asked by: the trimmed schema, with what its scalars take, which SDL does not say."""

import functools
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from importlib import resources
from typing import Any

from graphql import GraphQLEnumType, GraphQLError, GraphQLScalarType, GraphQLSchema, build_schema


class Unheard(str):
    """An enum value that the schema does not know: stable versions may gain some."""

    __slots__ = ()


@functools.cache
def contract() -> GraphQLSchema:
    """The one that comes with the project."""
    return read_schema((resources.files("schemas") / "contracts" / "shopify.graphql").read_text())


@functools.cache
def read_schema(sdl: str) -> GraphQLSchema:
    schema = build_schema(sdl)
    guards: dict[str, Callable[[Any], Any]] = {"DateTime": _moment, "Date": _text, "Decimal": _decimal, "Money": _decimal, "URL": _address}
    for name, guard in guards.items():
        scalar = schema.type_map.get(name)
        if isinstance(scalar, GraphQLScalarType):
            scalar.coerce_input_value = guard
            setattr(scalar, "parse_value", guard)  # noqa: B010 - a method there, for literals in a document
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLEnumType) and not kind.name.startswith("__"):
            _let_through(kind)
    return schema


def _let_through(kind: GraphQLEnumType) -> None:
    known = kind.coerce_output_value

    def shown(value: Any) -> Any:
        return str(value) if isinstance(value, Unheard) else known(value)

    setattr(kind, "coerce_output_value", shown)  # noqa: B010 - likewise
    setattr(kind, "serialize", shown)  # noqa: B010


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise GraphQLError(f"Could not coerce value {value!r} to a text")
    return value


def _moment(value: Any) -> str:
    try:
        if datetime.fromisoformat(_text(value)).tzinfo is not None:
            return str(value)
    except ValueError:
        pass
    raise GraphQLError(f"Could not coerce value {value!r} to DateTime")


def _decimal(value: Any) -> str:
    try:
        if not isinstance(value, bool) and Decimal(str(value)).is_finite():
            return str(value)
    except InvalidOperation:
        pass
    raise GraphQLError(f"Could not coerce value {value!r} to Decimal")


def _address(value: Any) -> str:
    if not re.match(r"[a-z][a-z0-9+.-]*:", _text(value)):
        raise GraphQLError(f"Could not coerce value {value!r} to URL")
    return str(value)
