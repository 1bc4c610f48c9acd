"""Any request at all: the sandbox refuses what the contract refuses and nothing else, and its answers are what the contract declares.

Schemathesis makes requests of every operation in the contract, and breaks them. CROSSDOCK_THOROUGH=20 makes twenty times as many;
CROSSDOCK_CONTRACTS=DIR judges the answers by the whole published document in that folder as well.
"""

import copy
import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from schemathesis.generation import GenerationMode
from yarl import URL

from ops.sandbox.mirakl.contract import TOLD
from ops.sandbox.mirakl.state import RefusedError
from ops.sandbox.systems import API_KEY
from ops.sandbox.wire import Request
from ops.trim_contracts import CONTRACTS
from tests.contract.mirakl.judge import Judge
from tests.contract.mirakl.trading import Trading
from tests.thorough import THOROUGH

CONTRACT = json.loads((CONTRACTS / "mirakl.openapi.json").read_text())
PUBLISHED = os.environ.get("CROSSDOCK_CONTRACTS", "")
CODES = sorted(operation["operationId"] for methods in CONTRACT["paths"].values() for operation in methods.values())
ALSO = {"id": "order_line_id", "order_ids": "order_id", "line": "order_line_id", "offer": "offer_id", "code": "carrier_code"}

judges = [Judge(CONTRACT)]
if PUBLISHED:
    judges.append(Judge(json.loads(Path(PUBLISHED, "mirakl-seller.openapi.json").read_text())))


@pytest.fixture(scope="module")
def trading() -> Trading:
    return Trading()


@pytest.fixture(scope="module")
def operations(trading: Trading) -> dict[str, Any]:
    """What requests can be made of, by code."""
    schema = schemathesis.openapi.from_dict(_to_draw_from(trading.known()))
    every: list[Any] = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]
    return {operation.definition.raw["operationId"]: operation for operation in every}


def _to_draw_from(known: Mapping[str, list[Any]]) -> dict[str, Any]:
    """The contract, but that fields may also hold what is there to be found: else no request would ever meet an order."""
    document: dict[str, Any] = copy.deepcopy(CONTRACT)
    del document["security"]  # the key is given below

    def seeded(name: str, schema: dict[str, Any]) -> dict[str, Any]:
        values = [*known.get(name, ()), *known.get(ALSO.get(name, ""), ())]
        if schema.get("type") not in ("string", "integer"):
            return schema
        fitting = [value for value in values if jsonschema_rs.is_valid(schema, value, validate_formats=True)]
        return {"anyOf": [{"enum": fitting}, schema]} if fitting else schema

    def walk(node: Any) -> None:
        if isinstance(node, list):
            for value in node:
                walk(value)
        elif isinstance(node, dict):
            for value in node.values():
                walk(value)
            if isinstance(properties := node.get("properties"), dict) and node.get("type") == "object":
                node["properties"] = {name: seeded(name, schema) for name, schema in properties.items()}
                node["additionalProperties"] = False  # foreign names come as what breaks it
            if "in" in node and "schema" in node:
                node["schema"] = seeded(node["name"], node["schema"])

    walk(document)
    return document


def _on_the_wire(case: Any) -> Request:
    """What a server would read: the case as `requests` sends it, its address as aiohttp takes it apart."""
    sent: Any = requests.Request(**case.as_transport_kwargs(base_url="http://sandbox.test")).prepare()
    url, body = URL(sent.url, encoded=True), sent.body or b""
    told = TOLD.get(case.operation.definition.raw["operationId"])  # of a file's address the contract says only who tells it
    headers = {name.lower(): str(value) for name, value in sent.headers.items()} | {"authorization": API_KEY}
    return Request(
        sent.method,
        re.sub(r"{\w+}", "1", told) if told else url.path,
        tuple(url.query.items()),
        headers,
        body if isinstance(body, bytes) else body.encode(),
    )


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(("mode", "examples"), [(GenerationMode.POSITIVE, 10), (GenerationMode.NEGATIVE, 14)], ids=["whole", "broken"])
def test_the_sandbox_refuses_what_the_contract_refuses(
    code: str, mode: GenerationMode, examples: int, trading: Trading, operations: dict[str, Any]
):
    contract, met = trading.systems.api.contract, Counter[str]()

    @settings(
        max_examples=examples * THOROUGH,
        database=None,
        derandomize=THOROUGH == 1,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operations[code].as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        request = _on_the_wire(case)
        try:
            operation, path = contract.find(request.method, request.path)
        except RefusedError:  # a slash in a name, no name at all: another address
            assume(False)
        assume(operation.code == code)
        objection, refusal = judges[0].objection(code, path, request), None
        try:
            contract.check(operation, path, request)
        except RefusedError as error:
            refusal = error
        assert (objection is None) == (refusal is None), f"the contract says {objection!r}, the sandbox {refusal!r}"
        reply = trading.ask("mirakl", request)
        met["refused" if refusal else "accepted"] += 1
        if refusal is not None:
            assert reply.status == refusal.status and reply.status in (400, 415)
        elif reply.status < 300:
            assert [fault for judge in judges for fault in judge.faults(code, reply)] == []
        else:
            assert 400 <= reply.status < 500 and reply.status != 415, f"{reply.status} {reply.body!r}"  # by its state, not by the contract

    one()
    assert met["refused" if mode is GenerationMode.NEGATIVE else "accepted"] > examples // 10, met


@pytest.mark.parametrize("code", [code for code in CODES if "requestBody" in judges[0].operations[code][0]])
def test_a_body_of_another_kind_is_415(code: str, trading: Trading):
    method, path = next(
        (method, path)
        for path, methods in CONTRACT["paths"].items()
        for method, operation in methods.items()
        if operation["operationId"] == code
    )
    for kind in ("text/plain", "application/xml", "application/x-www-form-urlencoded", ""):
        request = Request(method.upper(), re.sub(r"{\w+}", "1", path), (), {"authorization": API_KEY, "content-type": kind}, b"{}")
        assert trading.ask("mirakl", request).status == 415
