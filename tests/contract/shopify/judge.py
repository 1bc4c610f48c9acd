"""What a schema says of an answer: every field that was asked for is there, and is of its type.

What a fragment asks of an interface or a union can be told only where `__typename` was asked for too.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

# As Shopify writes its scalars; those not named here are texts. Admin GraphQL reference, read 2026-08-13.
WRITTEN = {
    "Boolean": lambda value: isinstance(value, bool),
    "DateTime": lambda value: isinstance(value, str) and value.endswith("Z") and datetime.fromisoformat(value).tzinfo is not None,
    "Decimal": lambda value: isinstance(value, str) and re.fullmatch(r"-?\d+\.\d+", value),
    "Float": lambda value: isinstance(value, float | int) and not isinstance(value, bool),
    "ID": lambda value: isinstance(value, str) and value.startswith("gid://shopify/"),
    "Int": lambda value: isinstance(value, int) and not isinstance(value, bool) and -(2**31) <= value < 2**31,
    "JSON": lambda value: True,
    "Money": lambda value: isinstance(value, str) and re.fullmatch(r"-?\d+\.\d+", value),
    "URL": lambda value: isinstance(value, str) and re.match(r"[a-z]+:", value),
    "UnsignedInt64": lambda value: isinstance(value, str) and re.fullmatch(r"\d+", value),
}


class Judge:
    def __init__(self, schema: GraphQLSchema) -> None:
        self.schema = schema

    def faults(self, document: DocumentNode, data: Any) -> list[str]:
        """What is wrong with an answer to a document of one operation."""
        [operation] = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        self._fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
        root = self.schema.get_root_type(operation.operation)
        return list(self._object(operation.selection_set, root, data, ""))

    def _object(self, selections: SelectionSetNode, is_: Any, data: dict[str, Any], at: str) -> Iterator[str]:
        for node in selections.selections:
            if isinstance(node, FieldNode):
                key = node.alias.value if node.alias else node.name.value
                if key not in data:
                    yield f"{at}.{key} is missing"
                elif not node.name.value.startswith("__"):
                    yield from self._value(node, is_.fields[node.name.value].type, data[key], f"{at}.{key}")
                continue
            fragment = node if isinstance(node, InlineFragmentNode) else self._fragments[node.name.value]  # type: ignore[attr-defined]
            inner: Any = self.schema.type_map[fragment.type_condition.name.value] if fragment.type_condition else is_
            actual = is_ if isinstance(is_, GraphQLObjectType) else self.schema.type_map.get(str(data.get("__typename")))
            if actual is not None and (
                inner is actual or (not isinstance(inner, GraphQLObjectType) and self.schema.is_sub_type(inner, actual))
            ):
                yield from self._object(fragment.selection_set, actual, data, at)

    def _value(self, node: FieldNode, is_: Any, value: Any, at: str) -> Iterator[str]:
        if isinstance(is_, GraphQLNonNull):
            if value is None:
                yield f"{at} is null"
                return
            is_ = is_.of_type
        if value is None:
            return
        match is_:
            case GraphQLList():
                for n, item in enumerate(value):
                    yield from self._value(node, is_.of_type, item, f"{at}[{n}]")
            case GraphQLEnumType():
                if value not in is_.values:
                    yield f"{at}: {is_.name} has no {value!r}"
            case GraphQLScalarType():
                if not WRITTEN.get(is_.name, lambda value: isinstance(value, str))(value):
                    yield f"{at}: {value!r} is no {is_.name}"
            case _:
                assert node.selection_set is not None
                yield from self._object(node.selection_set, is_, value, at)
