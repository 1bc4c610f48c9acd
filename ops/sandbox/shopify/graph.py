"""Documents checked against the schema, priced, executed: what Shopify's one GraphQL address answers.

Whatever is wrong with a document is answered with HTTP 200 and `errors`, as Shopify does it. A document is parsed and checked once and
remembered by its text.
"""

import functools
import json
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    build_schema,
    execute_sync,
    parse,
    validate,
)
from graphql.execution import get_directive_values, get_variable_values
from graphql.type import GraphQLResolveInfo
from msgspec import Struct

from ops.sandbox.shopify.cost import LARGEST, MUTATION, Bucket, Price
from ops.sandbox.shopify.fields import FIELDS, Call
from ops.sandbox.shopify.fields.nodes import kind_of
from ops.sandbox.shopify.state import SUPPORTED_VERSIONS, NotSimulatedError, Problem, Shop
from ops.sandbox.wire import Reply, Request

PATH = re.compile(r"/admin/api/(?P<version>[^/]+)/graphql\.json")
NAMESPACE = uuid.UUID("0b5c8a43-7c0e-5b0f-8f0a-8c9d0f5a1e62")
DOCUMENTS_KEPT = 500

# Since 2026-04 these want @idempotent. Shopify Admin API 2026-10, descriptions of the mutations.
IDEMPOTENT = (
    "refundCreate inventorySetQuantities inventoryAdjustQuantities inventorySetOnHandQuantities inventoryMoveQuantities inventoryActivate "
    "inventoryShipmentCreate inventoryShipmentCreateInTransit inventoryShipmentAddItems inventoryShipmentReceive inventoryTransferCreate "
    "inventoryTransferCreateAsReadyToShip inventoryTransferDuplicate inventoryTransferSetItems locationActivate locationDeactivate"
)
CODES = (("Cannot query field", "undefinedField"), ("Unknown argument", "argumentNotAccepted"), ("is required", "missingRequiredArguments"))

Change = Callable[[str, dict[str, Any]], Any]


class Prepared(Struct):
    """A document that fits the schema."""

    document: DocumentNode
    operations: dict[str, OperationDefinitionNode]


class Question(Struct):
    """A document asked of a shop at a moment, and the one way to change anything."""

    shop: Shop
    query: str
    variables: dict[str, Any]
    name: str | None
    at: datetime
    change: Change


class Graph:
    """One shop's GraphQL address."""

    def __init__(self, sdl: str, token: str) -> None:
        self.schema = _schema(sdl)
        self._token = token
        self._prepared: dict[str, Prepared | list[GraphQLError]] = {}
        self._bucket = Bucket()
        self._requests = 0

    def names(self, request: Request) -> set[str]:
        """What the request may be called by whoever wants it to fail: the fields it asks for, and its own name."""
        try:
            asked = json.loads(request.body)
            prepared = self._prepare(asked["query"])
        except (ValueError, KeyError, TypeError):
            return set()
        if not isinstance(prepared, Prepared):
            return set()
        chosen = _chosen(prepared, asked.get("operationName"))
        if chosen is None:
            return set()
        roots = {node.name.value for node in chosen.selection_set.selections if isinstance(node, FieldNode)}
        return roots | ({chosen.name.value} if chosen.name else set())

    def answer(self, shop: Shop, request: Request, at: datetime, change: Change) -> Reply:
        self._requests += 1
        match = PATH.fullmatch(request.path)
        if match is None:
            return _reply(404, {"errors": "Not Found"}, {})
        version = match["version"] if match["version"] in SUPPORTED_VERSIONS else SUPPORTED_VERSIONS[0]
        headers = {"X-Request-Id": str(uuid.uuid5(NAMESPACE, f"{shop.seed}:{self._requests}")), "X-Shopify-API-Version": version}
        if request.method != "POST":
            return _reply(405, {"errors": "Method Not Allowed"}, headers)
        if request.header("x-shopify-access-token") != self._token:
            message = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            return _reply(401, {"errors": message}, headers)
        try:
            asked = json.loads(request.body)
            question = Question(shop, str(asked["query"]), asked.get("variables") or {}, asked.get("operationName"), at, change)
        except (ValueError, KeyError, TypeError, AttributeError):
            return _reply(400, {"errors": {"query": "Required parameter missing or invalid"}}, headers)
        return _reply(200, self._answered(question), headers)

    def _prepare(self, query: str) -> Prepared | list[GraphQLError]:
        if (known := self._prepared.get(query)) is not None:
            return known
        prepared: Prepared | list[GraphQLError]
        try:
            document = parse(query)
            prepared = validate(self.schema, document)
        except GraphQLError as error:
            prepared = [error]
        else:
            if not prepared:
                found = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
                prepared = Prepared(document, {node.name.value if node.name else "": node for node in found})
        if len(self._prepared) >= DOCUMENTS_KEPT:
            self._prepared.clear()
        self._prepared[query] = prepared
        return prepared

    def _answered(self, question: Question) -> dict[str, Any]:
        prepared = self._prepare(question.query)
        if not isinstance(prepared, Prepared):
            return {"errors": [_invalid(error) for error in prepared]}
        operation = _chosen(prepared, question.name)
        if operation is None:
            return {"errors": [{"message": f"No operation named {json.dumps(question.name)}"}]}
        given = get_variable_values(self.schema, operation.variable_definitions or (), question.variables)
        if isinstance(given, list):
            return {"errors": [_refused_variables(given, operation, question.variables)]}
        if missing := self._without_key(operation):
            message = f"The @idempotent directive is required for this mutation: {missing}"
            return {"errors": [{"message": message, "extensions": {"code": "BAD_REQUEST"}}]}
        requested = Price(self.schema, prepared.document, given.coerced).of(operation)
        if requested > LARGEST:
            message = f"Query cost is {requested}, which exceeds the single query max cost limit {LARGEST}"
            over = {"code": "MAX_COST_EXCEEDED", "cost": requested, "maxCost": LARGEST}
            return {"errors": [{"message": message, "extensions": over}]}
        return self._paid(question, prepared.document, operation, requested)

    def _without_key(self, operation: OperationDefinitionNode) -> str | None:
        if operation.operation != OperationType.MUTATION:
            return None
        for node in operation.selection_set.selections:
            field = getattr(node, "name", None)
            given = {one.name.value for one in node.directives or ()}
            if field and field.value in IDEMPOTENT.split() and "idempotent" not in given:
                return str(field.value)
        return None

    def _paid(self, question: Question, document: DocumentNode, operation: OperationDefinitionNode, requested: int) -> dict[str, Any]:
        size, rate = question.shop.switches.bucket, question.shop.switches.restore_rate
        left = self._bucket.available(size, rate, question.at)
        if requested > left:
            throttled = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
            return {"errors": [throttled], "extensions": {"cost": _cost(requested, None, size, left, rate)}}
        call = Call(question.shop, question.at, question.change)
        result = execute_sync(
            self.schema,
            document,
            context_value=call,
            variable_values=question.variables,
            operation_name=question.name,
            field_resolver=_resolve,
            type_resolver=_type_of,
        )
        mutates = operation.operation == OperationType.MUTATION
        actual = MUTATION * len(operation.selection_set.selections) if mutates else min(requested, call.objects)
        self._bucket.take(actual)
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            answer["errors"] = [_failed(error) for error in result.errors]
        answer["extensions"] = {"cost": _cost(requested, actual, size, left - actual, rate)}
        if call.searches:
            answer["extensions"]["search"] = call.searches
        return answer


def _chosen(prepared: Prepared, name: str | None) -> OperationDefinitionNode | None:
    if name:
        return prepared.operations.get(name)
    return next(iter(prepared.operations.values())) if len(prepared.operations) == 1 else None


def _resolve(source: Any, info: GraphQLResolveInfo[Any], **asked: Any) -> Any:
    call: Call = info.context
    if info.parent_type.name == "Mutation":
        directive = info.schema.get_directive("idempotent")
        assert directive is not None
        if key := get_directive_values(directive, info.field_nodes[0], info.variable_values):
            asked["idempotent"] = key["key"]
    if (resolver := FIELDS.get((info.parent_type.name, info.field_name))) is not None:
        found = resolver(source, call, asked)
    elif isinstance(source, dict) and info.field_name in source:
        found = source[info.field_name]
    elif isinstance(source, Problem):
        found = getattr(source, info.field_name, None)  # an elementIndex is not told
    else:
        raise NotSimulatedError(f"{info.parent_type.name}.{info.field_name} is not simulated")
    if isinstance(found, list):
        call.objects += len(found)
    elif found is not None and not isinstance(found, str | int | float):
        call.objects += 1
    return found


def _type_of(value: Any, info: GraphQLResolveInfo[Any], abstract: Any) -> str:
    return kind_of(value)


def _cost(requested: int, actual: int | None, size: float, left: float, rate: float) -> dict[str, Any]:
    """Numbers come as ints or floats at random: here the one that changes is whole, the others are not."""
    return {
        "requestedQueryCost": requested,
        "actualQueryCost": actual,
        "throttleStatus": {"maximumAvailable": size, "currentlyAvailable": int(left), "restoreRate": rate},
    }


def _invalid(error: GraphQLError) -> dict[str, Any]:
    code = next((code for words, code in CODES if words in error.message), None)
    places = [{"line": at.line, "column": at.column} for at in error.locations or ()]
    return {"message": error.message, "locations": places} | ({"extensions": {"code": code}} if code else {})


def _failed(error: GraphQLError) -> dict[str, Any]:
    shown: dict[str, Any] = {"message": error.message, "path": error.path, "extensions": dict(error.extensions or {})}
    if isinstance(error.original_error, NotSimulatedError):
        shown["extensions"]["code"] = "NOT_SIMULATED"
    elif error.original_error is not None and not isinstance(error.original_error, GraphQLError):
        raise error.original_error  # a fault of the sandbox, not of the caller
    return shown


def _refused_variables(errors: list[GraphQLError], operation: OperationDefinitionNode, variables: dict[str, Any]) -> dict[str, Any]:
    names = ", ".join(f"${node.variable.name.value}" for node in operation.variable_definitions or ())
    problems = [{"path": [], "explanation": error.message} for error in errors]
    return {
        "message": f"Variables {names} were provided invalid values: {'; '.join(error.message for error in errors)}",
        "extensions": {"value": variables, "problems": problems},
    }


def _reply(status: int, answer: Mapping[str, Any], headers: Mapping[str, str]) -> Reply:
    return Reply(status, json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode(), headers)


# ---------------------------------------------------------------------------------------------------------------- scalars


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


@functools.cache
def _schema(sdl: str) -> GraphQLSchema:
    """The SDL names scalars and says nothing of what they take: that is added here."""
    schema = build_schema(sdl)
    guards: dict[str, Callable[[Any], Any]] = {"DateTime": _moment, "Date": _text, "Decimal": _decimal, "Money": _decimal, "URL": _address}
    for name, guard in guards.items():
        scalar = schema.type_map.get(name)
        if isinstance(scalar, GraphQLScalarType):
            scalar.coerce_input_value = guard
            setattr(scalar, "parse_value", guard)  # noqa: B010 - a method there, for literals in a document
    return schema
