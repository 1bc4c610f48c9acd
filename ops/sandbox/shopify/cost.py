"""What a document costs, before and after it has run, and the bucket it is paid from.

The published rule: a scalar costs 0, an object 1, a connection its page size times what it holds, an interface its dearest
member, a mutation 10.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_leaf_type,
    is_list_type,
)
from graphql.type import GraphQLInterfaceType, GraphQLObjectType, GraphQLUnionType, get_nullable_type

MUTATION = 10
LARGEST = 1000  # points that one request may cost, whatever the plan


class Price:
    """Walks one document; variables decide page sizes."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._schema, self._variables = schema, variables
        self._fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}

    def of(self, operation: OperationDefinitionNode) -> int:
        if operation.operation == OperationType.MUTATION:
            return MUTATION * len(operation.selection_set.selections)
        root = self._schema.query_type
        assert root is not None
        return self._selected(operation.selection_set, root)

    def by_field(self, operation: OperationDefinitionNode) -> list[dict[str, Any]]:
        """What each root field is charged for, as the debug header has it told."""
        root = self._schema.query_type if operation.operation != OperationType.MUTATION else None
        found: list[dict[str, Any]] = []
        for node in operation.selection_set.selections:
            if isinstance(node, FieldNode):
                total = MUTATION if root is None else self._field(node, root)
                path = [node.alias.value if node.alias else node.name.value]
                own = {"definedCost": MUTATION if root is None else 1, "requestedTotalCost": total}
                found.append({"path": path, **own, "requestedChildrenCost": max(0, total - own["definedCost"])})
        return found

    def _selected(self, selections: SelectionSetNode | None, parent: GraphQLNamedType) -> int:
        """Fields add up; of alternative types only the dearest counts, where there is more than one type to be."""
        total = dearest = 0
        for node in selections.selections if selections else ():
            if isinstance(node, FieldNode):
                total += self._field(node, parent)
                continue
            if isinstance(node, FragmentSpreadNode):
                fragment = self._fragments[node.name.value]
                condition, inner = fragment.type_condition.name.value, fragment.selection_set
            else:
                assert isinstance(node, InlineFragmentNode)
                condition = node.type_condition.name.value if node.type_condition else parent.name
                inner = node.selection_set
            cost = self._selected(inner, self._schema.type_map[condition])
            if isinstance(parent, GraphQLInterfaceType | GraphQLUnionType) and condition != parent.name:
                dearest = max(dearest, cost)
            else:
                total += cost
        return total + dearest

    def _field(self, node: FieldNode, parent: GraphQLNamedType) -> int:
        if node.name.value.startswith("__"):
            return 0
        assert isinstance(parent, GraphQLObjectType | GraphQLInterfaceType)
        field = parent.fields[node.name.value]
        target = get_named_type(field.type)
        if is_leaf_type(target) or target.name == "PageInfo":
            return 0
        inside = self._selected(node.selection_set, target)
        if target.name.endswith("Connection"):
            return self._size(node) * inside
        if target.name.endswith("Edge"):
            return inside
        many = self._size(node) if is_list_type(get_nullable_type(field.type)) and not parent.name.endswith("Connection") else 1
        return many * (1 + inside)

    def _size(self, node: FieldNode) -> int:
        for argument in node.arguments or ():
            if argument.name.value in ("first", "last"):
                if isinstance(argument.value, IntValueNode):
                    return int(argument.value.value)
                if isinstance(argument.value, VariableNode):
                    return int(self._variables.get(argument.value.name.value) or 1)
        return 1


class Bucket:
    """Points that leak back with time. Not part of the world's truth: it is full again soon enough."""

    def __init__(self) -> None:
        self._left: float | None = None
        self._at: datetime | None = None

    def available(self, size: float, rate: float, at: datetime) -> float:
        if self._left is None or self._at is None:
            self._left = size
        else:
            self._left = min(size, self._left + max(0.0, (at - self._at).total_seconds()) * rate)
        self._at = at
        return self._left

    def take(self, points: float) -> None:
        assert self._left is not None
        self._left -= points
