"""What the top of a GraphQL answer means: nothing that may have been done is ever called a failure."""

from typing import Any

import msgspec
import pytest

from adapters.shopify import wire
from adapters.shopify.client import verdict
from adapters.shopify.endpoints import ORDER_CREATE, ORDER_GET
from engine.errors import AuthError, RejectedError, ThrottledError, UnavailableError, UnknownOutcomeError


def said(answer: dict[str, Any]) -> wire.frame.Answer:
    return msgspec.json.decode(msgspec.json.encode(answer), type=wire.frame.Answer)


def error(code: str | None = None, **more: Any) -> dict[str, Any]:
    return {"message": "quotes pii-canary@x.org", "extensions": {"code": code} if code else {}} | more


COST = {
    "requestedQueryCost": 752,
    "actualQueryCost": None,
    "throttleStatus": {"maximumAvailable": 2000.0, "currentlyAvailable": 52, "restoreRate": 100.0},
}
TABLE: list[tuple[str, dict[str, Any], type[Exception], type[Exception]]] = [
    ("throttled", {"errors": [error("THROTTLED")], "extensions": {"cost": COST}}, ThrottledError, ThrottledError),
    ("access", {"errors": [error("ACCESS_DENIED", path=["order", "email"])], "data": {"order": None}}, AuthError, AuthError),
    ("dear", {"errors": [error("MAX_COST_EXCEEDED")]}, RejectedError, RejectedError),
    ("field", {"errors": [error("undefinedField", path=["query", "x"], locations=[{"line": 1}])]}, RejectedError, RejectedError),
    ("parse", {"errors": [{"message": "syntax error", "locations": [{"line": 1, "column": 2}]}]}, RejectedError, RejectedError),
    (
        "variable",
        {"errors": [{"extensions": {"value": {"x": 1}, "problems": [{"path": ["order", "lineItems", 0, "sku"], "explanation": "?"}]}}]},
        RejectedError,
        RejectedError,
    ),
    ("internal", {"errors": [error("INTERNAL_SERVER_ERROR")]}, UnavailableError, UnknownOutcomeError),
    ("internal with null", {"errors": [error("INTERNAL_SERVER_ERROR")], "data": None}, UnavailableError, UnknownOutcomeError),
    ("a code of tomorrow", {"errors": [error("SHARD_ASLEEP")]}, UnavailableError, UnknownOutcomeError),
    ("no code", {"errors": [error(None, path=["orderCreate"])], "data": {"orderCreate": None}}, UnavailableError, UnknownOutcomeError),
    ("a text", {"errors": "Internal Server Error"}, UnavailableError, UnknownOutcomeError),
    ("nothing", {}, UnavailableError, UnknownOutcomeError),
    ("null", {"data": None}, UnavailableError, UnknownOutcomeError),
    (
        "part of it done",
        {"errors": [error("THROTTLED", path=["orderCreate", "order", "tags"])], "data": {"orderCreate": {"order": None}}},
        ThrottledError,
        UnknownOutcomeError,
    ),
    (
        "part of it hidden",
        {"errors": [error("ACCESS_DENIED", path=["orderCreate", "order"])], "data": {"orderCreate": {"order": None}}},
        AuthError,
        UnknownOutcomeError,
    ),
    (
        "a filter it does not know",
        {"data": {"orders": []}, "extensions": {"search": [{"path": ["orders"], "warnings": [{"field": "tagg", "message": "?"}]}]}},
        RejectedError,
        RejectedError,
    ),
]


@pytest.mark.parametrize(("answer", "of_query", "of_mutation"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_each_answer_is_one_error_and_repeats_no_words(answer, of_query, of_mutation):
    for operation, expected in ((ORDER_GET, of_query), (ORDER_CREATE, of_mutation)):
        found = verdict(operation, said(answer), "request-1")
        assert type(found) is expected
        assert found is not None and "canary" not in str(found) and found.request_id == "request-1"


def test_a_whole_answer_is_no_error():
    assert (
        verdict(ORDER_CREATE, said({"data": {"orderCreate": {"userErrors": []}}, "extensions": {"search": [{"path": ["x"]}]}}), "") is None
    )


@pytest.mark.parametrize(("available", "wait"), [(52, 7.0), (1900, 1.0), (-100_000, 60.0)])
def test_the_wait_is_until_the_points_are_back(available, wait):
    cost = COST | {"throttleStatus": {"maximumAvailable": 2000.0, "currentlyAvailable": available, "restoreRate": 100.0}}
    found = verdict(ORDER_GET, said({"errors": [error("THROTTLED")], "extensions": {"cost": cost}}), "")
    assert isinstance(found, ThrottledError) and found.retry_after == wait


def test_a_variable_that_was_not_taken_is_named_by_its_path():
    found = verdict(ORDER_CREATE, said(TABLE[5][1]), "")
    assert found is not None and found.field == "order.lineItems.0.sku"
