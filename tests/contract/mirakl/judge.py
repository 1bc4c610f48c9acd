"""The contract read a second time, by another validator and from the bytes on the wire: what it says of a request, and of an answer.

The sandbox has its own reading (`ops/sandbox/mirakl/contract.py`, jsonschema); where the two differ, one of them is wrong.
"""

import email
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import jsonschema_rs

from ops.sandbox.wire import Reply, Request

NULL_TAKES_AWAY = ("OR04",)  # the prose says so, the schema does not
INTEGERS = {"int32": 31, "int64": 63}  # bits, without the sign


class Judge:
    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = _bounded(document)
        self._registry = jsonschema_rs.Registry([("urn:mirakl", self._document)])
        self._validators: dict[str, jsonschema_rs.Draft202012Validator] = {}
        self.operations = {
            operation["operationId"]: (operation, f"/paths/{path.replace('~', '~0').replace('/', '~1')}/{method}")
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }

    # --------------------------------------------------------------------------------------------------------- a request

    def objection(self, code: str, path: Mapping[str, str], request: Request) -> str | None:
        """Why the contract refuses a request for this operation; None: it accepts it.

        Parameters that it does not know are accepted, as at Mirakl's. It calls no body required, but means it: none is an objection.
        """
        operation, pointer = self.operations[code]
        for n, parameter in enumerate(operation["parameters"]):
            name = parameter["name"]
            given = [path[name]] if parameter["in"] == "path" else [value for key, value in request.query if key == name]
            if not given:
                if parameter.get("required"):
                    return f"{name} is missing"
                continue
            if wrong := self._parameter(parameter, f"{pointer}/parameters/{n}/schema", given):
                return f"{name}: {wrong}"
        kinds = operation.get("requestBody", {}).get("content", {})
        return self._body(code, kinds, f"{pointer}/requestBody/content", request) if kinds else None

    def _parameter(self, parameter: Mapping[str, Any], pointer: str, given: list[str]) -> str | None:
        schema = parameter["schema"]
        many, commas = schema.get("type") == "array", parameter.get("x-crossdock-comma-list", False)
        if commas:
            given = ",".join(given).split(",")
            if len(given) > 100:
                return "too many"
        typed = [_typed(schema.get("items", {}) if many else schema, text) for text in given]
        values = [typed] if many else typed if commas else typed[:1]
        return next((wrong for value in values for wrong in self.differences(pointer, value)), None)

    def _body(self, code: str, kinds: Mapping[str, Any], pointer: str, request: Request) -> str | None:
        kind = request.header("content-type").partition(";")[0].strip().lower()
        if kind not in kinds:
            return f"content type {kind!r}"
        pointer = f"{pointer}/{kind.replace('/', '~1')}/schema"
        try:
            body = self._form(kinds[kind]["schema"], request) if kind == "multipart/form-data" else json.loads(request.body)
        except ValueError as error:
            return str(error)
        if code in NULL_TAKES_AWAY:
            body = _without_nulls(body)
        return next(iter(self.differences(pointer, body)), None)

    def _form(self, schema: Mapping[str, Any], request: Request) -> dict[str, Any]:
        """Objects are JSON, lists are of files, what is left is text or a file."""
        message = email.message_from_bytes(b"Content-Type: " + request.header("content-type").encode() + b"\n\n" + request.body)
        form: dict[str, Any] = {}
        for part in message.get_payload() if message.is_multipart() else ():
            assert not isinstance(part, str)
            name, content = str(part.get_param("name", header="content-disposition")), part.get_payload(decode=True)
            assert isinstance(content, bytes)
            inner = self._resolved(schema["properties"].get(name, {}))
            if inner.get("type") == "array":
                form.setdefault(name, []).append("a file")
            else:
                form[name] = json.loads(content) if inner.get("type") == "object" else content.decode(errors="replace")
        return form

    # --------------------------------------------------------------------------------------------------------- an answer

    def faults(self, code: str, reply: Reply) -> list[str]:
        """What the contract has against an answer of success. Null stands for absent, as it does in what Mirakl really sends."""
        operation, pointer = self.operations[code]
        declared = operation["responses"].get(str(reply.status))
        if declared is None:
            return [f"{reply.status} is not declared"]
        kinds = declared.get("content", {})
        if not kinds:
            return [] if not reply.body or code == "V01" else ["a body where none is declared"]  # V01 is declared without one
        kind = reply.kind.partition(";")[0]
        if kind not in kinds:
            return [f"{kind} is not declared"]
        if kind != "application/json":
            return []
        at = f"{pointer}/responses/{reply.status}/content/{kind.replace('/', '~1')}/schema"
        return list(self.differences(at, json.loads(reply.body), nulls=True))

    # --------------------------------------------------------------------------------------------------------------------

    def differences(self, pointer: str, value: Any, *, nulls: bool = False) -> Iterator[str]:
        if pointer not in self._validators:
            self._validators[pointer] = jsonschema_rs.Draft202012Validator(
                {"$ref": f"urn:mirakl#{quote(pointer)}"}, registry=self._registry, validate_formats=True
            )
        for error in self._validators[pointer].iter_errors(value):
            if not (nulls and error.instance is None):
                yield f"{'/'.join(map(str, error.instance_path))}: {error.message[:200]}"

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            schema = self._document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema


def _typed(schema: Mapping[str, Any], text: str) -> Any:
    """The value that a text in an address stands for; the text itself where it stands for none of its type."""
    if schema.get("type") == "boolean" and text in ("true", "false"):
        return text == "true"
    return int(text) if schema.get("type") == "integer" and re.fullmatch("-?[0-9]+", text) else text


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _bounded(node: Any) -> Any:
    """With the bounds that an integer's format stands for: JSON Schema leaves formats of numbers alone."""
    if isinstance(node, list):
        return [_bounded(value) for value in node]
    if not isinstance(node, dict):
        return node
    bits = INTEGERS.get(node["format"]) if isinstance(node.get("format"), str) else None
    return {name: _bounded(value) for name, value in node.items()} | (
        {"minimum": max(node.get("minimum", -(2**bits)), -(2**bits)), "maximum": min(node.get("maximum", 2**bits - 1), 2**bits - 1)}
        if bits
        else {}
    )
