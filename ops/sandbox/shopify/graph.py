"""Documents checked against the schema, priced, executed: what Shopify's one GraphQL address answers.

Whatever is wrong with a document is answered with HTTP 200 and `errors`, as Shopify does it. A document is parsed and checked once and
remembered by its text.
"""

import functools
import json
import re
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    parse,
    validate,
    visit,
)
from graphql.execution import get_variable_values
from msgspec import Struct

from ops.sandbox.shopify import access, doors
from ops.sandbox.shopify.cost import LARGEST, MUTATION, Bucket, Price
from ops.sandbox.shopify.execution import execute, without_key
from ops.sandbox.shopify.fields import Call
from ops.sandbox.shopify.schema import read_schema
from ops.sandbox.shopify.state import VERSION, NotSimulatedError, Shop
from ops.sandbox.wire import Reply, Request

PATH = re.compile(r"/admin/api/(?P<version>[^/]+)/graphql\.json")
NAMESPACE = uuid.UUID("0b5c8a43-7c0e-5b0f-8f0a-8c9d0f5a1e62")
DOCUMENTS_KEPT = 500

KEYS_WANTED_SINCE = "2026-04"
CODES = (("Cannot query field", "undefinedField"), ("Unknown argument", "argumentNotAccepted"), ("is required", "missingRequiredArguments"))

Change = Callable[[str, dict[str, Any]], Any]


class Prepared(Struct):
    """A document that fits the schema."""

    document: DocumentNode
    operations: dict[str, OperationDefinitionNode]
    deprecated: list[str]  # names of what it uses that is to go
    prices: dict[Any, int] = {}  # by operation and whole numbers among the variables: page sizes make what it costs


class Question(Struct):
    """A document asked of a shop at a moment, and the one way to change anything."""

    shop: Shop
    query: str
    variables: dict[str, Any]
    name: str | None
    at: datetime
    change: Change
    version: str = VERSION
    token: str = "static"  # noqa: S105 - which kind of token asks
    base: str = ""
    debug: bool = False  # whether the cost of each field is told


class Graph:
    """One shop's GraphQL address, and the addresses beside it: tokens, results of bulk operations, uploads for them."""

    def __init__(self, sdl: str, token: str, secret: str = "hush-sandbox") -> None:  # noqa: S107 - what the sandbox asks for
        self.schema = read_schema(sdl)
        self._token, self._secret = token, secret
        self._bucket = Bucket()
        self._requests = 0

    def names(self, request: Request) -> set[str]:
        """What the request may be called by whoever wants it to fail: the fields it asks for, and its own name."""
        try:
            asked = json.loads(request.body)
            prepared = prepare(self.schema, asked["query"])
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
            beside = doors.answer(shop, request, at, change, self._secret)
            return beside or doors.reply(404, {"errors": "Not Found"}, {})
        version = access.served(match["version"], at)
        headers = {"X-Request-Id": str(uuid.uuid5(NAMESPACE, f"{shop.seed}:{self._requests}")), "X-Shopify-API-Version": version}
        if request.method != "POST":
            return doors.reply(405, {"errors": "Method Not Allowed"}, headers)
        kind = access.kind_of_token(shop, request.header("x-shopify-access-token"), self._token, at)
        if kind is None:
            message = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            return doors.reply(401, {"errors": message}, headers)
        if shop.switches.frozen:
            return doors.reply(402, {"errors": "Unavailable Shop"}, headers)
        try:
            asked = json.loads(request.body)
            question = Question(shop, str(asked["query"]), asked.get("variables") or {}, asked.get("operationName"), at, change)
        except (ValueError, KeyError, TypeError, AttributeError):
            return doors.reply(400, {"errors": {"query": "Required parameter missing or invalid"}}, headers)
        question.version, question.token, question.base = version, kind, doors.base_of(shop, request)
        question.debug = request.header("shopify-graphql-cost-debug") == "1"
        prepared = prepare(self.schema, question.query)
        if isinstance(prepared, Prepared) and prepared.deprecated:
            headers["X-Shopify-API-Deprecated-Reason"] = f"https://shopify.dev/changelog: {', '.join(prepared.deprecated)}"
        return doors.reply(200, self._answered(question, prepared), headers)

    def points(self, shop: Shop, at: datetime) -> float:
        """What is left in the bucket."""
        return self._bucket.available(shop.switches.bucket, shop.switches.restore_rate, at)

    def _answered(self, question: Question, prepared: Prepared | list[GraphQLError]) -> dict[str, Any]:
        if not isinstance(prepared, Prepared):
            return {"errors": [_invalid(error) for error in prepared]}
        operation = _chosen(prepared, question.name)
        if operation is None:
            return {"errors": [{"message": f"No operation named {json.dumps(question.name)}"}]}
        given = get_variable_values(self.schema, operation.variable_definitions or (), question.variables)
        if isinstance(given, list):
            return {"errors": [_refused_variables(given, operation, question.variables)]}
        if question.version >= KEYS_WANTED_SINCE and (missing := without_key(operation)):
            message = f"The @idempotent directive is required for this mutation: {missing}"
            return {"errors": [{"message": message, "extensions": {"code": "BAD_REQUEST"}}]}
        price = Price(self.schema, prepared.document, given.coerced)
        asked = (question.name, tuple((name, value) for name, value in given.coerced.items() if isinstance(value, int)))
        if (requested := prepared.prices.get(asked)) is None:
            requested = prepared.prices[asked] = price.of(operation)
        if requested > LARGEST:
            message = f"Query cost is {requested}, which exceeds the single query max cost limit {LARGEST}"
            over = {"code": "MAX_COST_EXCEEDED", "cost": requested, "maxCost": LARGEST}
            return {"errors": [{"message": message, "extensions": over}]}
        answer = self._paid(question, prepared.document, operation, requested)
        if question.debug:
            answer["extensions"]["cost"]["fields"] = price.by_field(operation)
        return answer

    def _paid(self, question: Question, document: DocumentNode, operation: OperationDefinitionNode, requested: int) -> dict[str, Any]:
        size, rate = question.shop.switches.bucket, question.shop.switches.restore_rate
        left = self._bucket.available(size, rate, question.at)
        if requested > left:
            throttled = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
            return {"errors": [throttled], "extensions": {"cost": _cost(requested, None, size, left, rate)}}
        denied = question.shop.switches.grant_denied if question.token == "client_credentials" else ()  # noqa: S105
        call = Call(question.shop, question.at, question.change, base=question.base, denied=denied)
        result = execute(self.schema, document, call, question.variables, question.name)
        mutates = operation.operation == OperationType.MUTATION
        actual = MUTATION * len(operation.selection_set.selections) if mutates else min(requested, call.objects)
        self._bucket.take(actual)
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            answer["errors"] = [failed(error) for error in result.errors]
        answer["extensions"] = {"cost": _cost(requested, actual, size, left - actual, rate)}
        if call.searches:
            answer["extensions"]["search"] = call.searches
        return answer


@functools.lru_cache(maxsize=DOCUMENTS_KEPT)
def prepare(schema: GraphQLSchema, query: str) -> Prepared | list[GraphQLError]:
    """Or what is wrong with it."""
    try:
        document = parse(query)
        wrong = validate(schema, document)
    except GraphQLError as error:
        return [error]
    if wrong:
        return wrong
    found = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    by_name = {node.name.value if node.name else "": node for node in found}
    return Prepared(document, by_name, deprecated_in(schema, document))


def deprecated_in(schema: GraphQLSchema, document: DocumentNode) -> list[str]:
    """What a document uses that the schema marks as deprecated, as Type.field."""
    found: list[str] = []
    info = TypeInfo(schema)

    class Collector(Visitor):
        def enter_field(self, node: FieldNode, *_: Any) -> None:
            field, parent = info.get_field_def(), info.get_parent_type()
            if field is not None and parent is not None and field.deprecation_reason is not None:
                found.append(f"{parent.name}.{node.name.value}")

    visit(document, TypeInfoVisitor(info, Collector()))
    return list(dict.fromkeys(found))


def _chosen(prepared: Prepared, name: str | None) -> OperationDefinitionNode | None:
    if name:
        return prepared.operations.get(name)
    return next(iter(prepared.operations.values())) if len(prepared.operations) == 1 else None


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


def failed(error: GraphQLError) -> dict[str, Any]:
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
