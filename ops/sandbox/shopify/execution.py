"""One document carried out against the shop: how a field finds its answer, what a missing scope or a switch does to it."""

from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    execute_sync,
    get_named_type,
)
from graphql.execution import get_directive_values
from graphql.type import GraphQLEnumType, GraphQLResolveInfo

from ops.sandbox.shopify import access
from ops.sandbox.shopify.fields import FIELDS, Call
from ops.sandbox.shopify.fields.nodes import kind_of
from ops.sandbox.shopify.schema import Unheard
from ops.sandbox.shopify.state import NotSimulatedError, Problem

UNHEARD_OF = "NEVER_HEARD_OF"
ROOTS = ("QueryRoot", "Mutation")

# Since 2026-04 these want @idempotent. Shopify Admin API 2026-10, descriptions of the mutations.
IDEMPOTENT = (
    "refundCreate inventorySetQuantities inventoryAdjustQuantities inventorySetOnHandQuantities inventoryMoveQuantities "
    "inventoryActivate inventoryShipmentCreate inventoryShipmentCreateInTransit inventoryShipmentAddItems inventoryShipmentReceive "
    "inventoryTransferCreate inventoryTransferCreateAsReadyToShip inventoryTransferDuplicate inventoryTransferSetItems "
    "locationActivate locationDeactivate"
)


def execute(
    schema: GraphQLSchema, document: DocumentNode, call: Call, variables: dict[str, Any], name: str | None = None
) -> ExecutionResult:
    return execute_sync(
        schema,
        document,
        context_value=call,
        variable_values=variables,
        operation_name=name,
        field_resolver=_resolve,
        type_resolver=_type_of,
    )


def _resolve(source: Any, info: GraphQLResolveInfo[Any], **asked: Any) -> Any:
    call: Call = info.context
    parent, name = info.parent_type.name, info.field_name
    if parent in ROOTS:
        _admit(call, name)
        if parent == "Mutation":
            asked["idempotent"] = _key(info)
    if call.odd and f"{parent}.{name}" in call.odd:
        return _oddly(info)
    if call.slices is not None and get_named_type(info.return_type).name.endswith("Connection"):
        found = _sliced(source, info, call, asked)
    else:
        found = _found(source, parent, name, call, asked)
    if isinstance(found, list):
        call.objects += len(found)
    elif found is not None and not isinstance(found, str | int | float):
        call.objects += 1
    return found


def _found(source: Any, parent: str, name: str, call: Call, asked: dict[str, Any]) -> Any:
    if (resolver := FIELDS.get((parent, name))) is not None:
        return resolver(source, call, asked)
    if isinstance(source, dict) and name in source:
        return source[name]
    if isinstance(source, Problem):
        return getattr(source, name, None)  # an elementIndex is not told
    raise NotSimulatedError(f"{parent}.{name} is not simulated")


def _type_of(value: Any, info: GraphQLResolveInfo[Any], abstract: Any) -> str:
    return kind_of(value)


def _key(info: GraphQLResolveInfo[Any]) -> str | None:
    directive = info.schema.get_directive("idempotent")
    assert directive is not None
    given = get_directive_values(directive, info.field_nodes[0], info.variable_values)
    return str(given["key"]) if given else None


def without_key(operation: OperationDefinitionNode) -> str | None:
    """The mutation that wants @idempotent and has none."""
    if operation.operation != OperationType.MUTATION:
        return None
    for node in operation.selection_set.selections:
        field = getattr(node, "name", None)
        given = {one.name.value for one in node.directives or ()}
        if field and field.value in IDEMPOTENT.split() and "idempotent" not in given:
            return str(field.value)
    return None


# ------------------------------------------------------------------------------------------------------------------ doors


def _admit(call: Call, field: str) -> None:
    """A root field that nobody granted is answered with an error in its place."""
    if field in call.denied:
        raise denied(field, f"the {field} field with this kind of token")
    if wanted := access.missing(call.shop, field):
        raise denied(field, " or ".join(f"`{scope}`" for scope in wanted) + " access scope")


def denied(field: str, wanted: str) -> GraphQLError:
    return GraphQLError(
        f"Access denied for {field} field. Required access: {wanted}.",
        extensions={"code": "ACCESS_DENIED", "documentation": "https://shopify.dev/api/usage/access-scopes", "requiredAccess": wanted},
    )


def _oddly(info: GraphQLResolveInfo[Any]) -> Unheard | None:
    """What a switch makes of a field: an enum's value that the schema does not know, or null."""
    return Unheard(UNHEARD_OF) if isinstance(get_named_type(info.return_type), GraphQLEnumType) else None


# --------------------------------------------------------------------------------------------------- bulk: a slice at once


def _sliced(source: Any, info: GraphQLResolveInfo[Any], call: Call, asked: dict[str, Any]) -> Any:
    """In a bulk operation a root connection gives its next slice, and every other one all that it has."""
    assert call.slices is not None
    parent, key = info.parent_type.name, str(info.path.key)
    if parent not in ROOTS:
        return _found(source, parent, info.field_name, call, asked | {"first": None, "last": None, "whole": True})
    return call.slices.next(key, lambda after: _found(source, parent, info.field_name, call, asked | {"after": after, "part": True}))
