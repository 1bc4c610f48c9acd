"""Requests checked against the published contract: the path, the parameters, the body. Unknown parameters pass, as they do at Mirakl's."""

import email.policy
import functools
import json
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from email.parser import BytesParser
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from msgspec import Struct
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from ops.sandbox.mirakl.state import RefusedError
from ops.sandbox.wire import Request

HERE = "urn:mirakl"
FORMATS = FormatChecker(formats=())
TOLD = {  # where another operation's answer says that it is, the document has a placeholder
    "OR15": "/api/orders/async-export/files/{tracking_id}/{number}",
    "OF54": "/api/offers/export/async/files/{tracking_id}/{number}",
    "TL05": "/api/sellerpayment/transactions_logs/async/files/{tracking_id}",
}
LARGEST_WHOLE = 30  # digits: nobody means more, and some could not be held
NULL_TAKES_AWAY = ("OR04",)  # "to remove the value for a field, send it with the null value", says its prose alone
COMMA_LIMIT = 100  # values in a list that is one text


@FORMATS.checks("int32")
def _is_int32(value: object) -> bool:
    return not isinstance(value, int) or -(2**31) <= value < 2**31


@FORMATS.checks("int64")
def _is_int64(value: object) -> bool:
    return not isinstance(value, int) or -(2**63) <= value < 2**63


@FORMATS.checks("date-time", raises=ValueError)
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


class Operation(Struct, frozen=True):
    code: str
    path: re.Pattern[str]
    method: str
    spec: Mapping[str, Any]
    pointer: str  # where it stands in the contract


class File(Struct, frozen=True):
    """A part of a form that came as a file."""

    name: str
    content: bytes


class Asked(Struct, frozen=True):
    """A request that the contract accepts, its values with their types."""

    operation: Operation
    values: Mapping[str, Any]  # of parameters; lists for those that hold lists
    body: Any  # decoded JSON, or None
    parts: Mapping[str, Any]  # of a form: texts, and what is an object by the contract decoded
    files: Mapping[str, list[File]] = {}  # of a form, in their order


class Contract:
    def __init__(self, text: str) -> None:
        self.document = json.loads(text)
        self._registry: Registry[Any] = Registry().with_resource(HERE, DRAFT202012.create_resource(self.document))
        self._validators: dict[str, Draft202012Validator] = {}
        self.operations = [
            Operation(
                spec["operationId"],
                _pattern(TOLD.get(spec["operationId"], path)),
                method.upper(),
                spec,
                f"/paths/{escaped(path)}/{method}",
            )
            for path, methods in self.document["paths"].items()
            for method, spec in methods.items()
        ]
        self._spelt_out: dict[str, list[Operation]] = {}
        for operation in self.operations:
            if not operation.path.groups:
                self._spelt_out.setdefault(operation.path.pattern.replace("\\", ""), []).append(operation)
        self._filled_in = [operation for operation in self.operations if operation.path.groups]

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]]:
        for operation in self._spelt_out.get(path, ()):
            if operation.method == method:
                return operation, {}
        there = [(operation, match) for operation in self._filled_in if (match := operation.path.fullmatch(path))]
        for operation, match in there:
            if operation.method == method:
                return operation, match.groupdict()
        other = there or path in self._spelt_out
        raise RefusedError(405 if other else 404, "Method Not Allowed" if other else "Not Found")

    def check(self, operation: Operation, path: Mapping[str, str], request: Request) -> Asked:
        """Raises RefusedError with 400 or 415 and what is wrong."""
        values: dict[str, Any] = dict(path)
        for n, parameter in enumerate(operation.spec["parameters"]):
            name = parameter["name"]
            given = [path[name]] if parameter["in"] == "path" else [value for key, value in request.query if key == name]
            if given:
                values[name] = self._value(operation, n, parameter, given)
            elif parameter.get("required"):
                raise RefusedError(400, f"The parameter '{name}' is mandatory")
        kinds = operation.spec.get("requestBody", {}).get("content", {})
        if not kinds:
            return Asked(operation, values, None, {})
        kind = request.header("content-type").partition(";")[0].strip().lower()
        if kind not in kinds:
            raise RefusedError(415, f"Content type '{kind}' not supported")
        pointer = f"{operation.pointer}/requestBody/content/{escaped(kind)}/schema"
        if kind == "multipart/form-data":
            return self._form(operation, pointer, values, request)
        try:
            body = json.loads(request.body, parse_float=_number, parse_constant=_no_number)
        except ValueError:
            raise RefusedError(400, "The request body is not readable JSON") from None
        self._validate(pointer, without_nulls(body) if operation.code in NULL_TAKES_AWAY else body, "the body")
        return Asked(operation, values, body, {})

    def _form(self, operation: Operation, pointer: str, values: Mapping[str, Any], request: Request) -> Asked:
        """Lists are of files; what the contract calls an object is JSON; all else is text."""
        properties = self.resolved(operation.spec["requestBody"]["content"]["multipart/form-data"]["schema"])["properties"]
        parts: dict[str, Any] = {}
        files: dict[str, list[File]] = {}
        for name, file in form_parts(request):
            kind = self.resolved(properties.get(name, {})).get("type")
            if kind == "array":
                files.setdefault(name, []).append(file)
                continue
            try:
                # any bytes are a file
                parts[name] = json.loads(file.content, parse_float=_number) if kind == "object" else file.content.decode(errors="replace")
            except ValueError:
                raise RefusedError(400, f"The part '{name}' is not readable JSON") from None
        names = {name: [file.name for file in there] for name, there in files.items()}  # their bytes are nobody's business here
        self._validate(pointer, parts | names, "the form")
        return Asked(operation, values, None, parts, files)

    def _value(self, operation: Operation, n: int, parameter: Mapping[str, Any], given: list[str]) -> Any:
        schema, name = parameter["schema"], parameter["name"]
        pointer = f"{operation.pointer}/parameters/{n}/schema"
        if parameter.get("x-crossdock-comma-list"):
            values = [value for text in given for value in text.split(",")]
            if len(values) > COMMA_LIMIT:
                raise RefusedError(400, f"The parameter '{name}' holds more than {COMMA_LIMIT} values")
            if schema.get("type") == "array":  # several times or with commas, as the caller likes
                several = [_typed(schema["items"].get("type"), value) for value in values]
                self._validate(pointer, several, f"the parameter '{name}'")
                return several
            for value in values:
                self._validate(pointer, value, f"the parameter '{name}'")
            return values
        typed: Any
        if schema.get("type") == "array":
            typed = [_typed(schema["items"].get("type"), value) for value in given]
        else:
            typed = _typed(schema.get("type"), given[0])
        self._validate(pointer, typed, f"the parameter '{name}'")
        return typed

    def _validate(self, pointer: str, value: Any, where: str) -> None:
        error = next(iter(self.errors(pointer, value)), None)
        if error is not None:
            at = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
            raise RefusedError(400, f"Validation failed for {where}{at}: {error.message[:200]}")

    def errors(self, pointer: str, value: Any) -> list[ValidationError]:
        """What is wrong with a value by the schema at that place of the contract."""
        validator = self._validators.get(pointer)
        if validator is None:
            schema = {"$ref": f"{HERE}#{pointer}"}
            validator = Draft202012Validator(schema, registry=self._registry, format_checker=FORMATS)
            self._validators[pointer] = validator
        return list(validator.iter_errors(value))

    def blank(self, schema: Mapping[str, Any]) -> Any:
        """The least that a schema requires: false, zero, nothing; to be filled in with what is true."""
        if "$ref" in schema:
            return self.blank(self._at(schema["$ref"]))
        if "allOf" in schema:
            merged: dict[str, Any] = {}
            for part in schema["allOf"]:
                merged |= self.blank(part) or {}
            return merged
        match schema.get("type"):
            case "object":
                return {name: self.blank(schema.get("properties", {}).get(name, {})) for name in schema.get("required", ())}
            case "array":
                return []
            case "boolean":
                return False
            case "integer" | "number":
                return 0
            case "string":
                return ""
        return None

    def blank_answer(self, code: str, *inside: str) -> Any:
        """The least that an operation answers with; or an item of a list in it, named by its key."""
        operation = next(operation for operation in self.operations if operation.code == code)
        schema = next(answer["content"]["application/json"]["schema"] for answer in operation.spec["responses"].values())
        for name in inside:
            schema = self._at(schema["$ref"]) if "$ref" in schema else schema
            schema = schema["properties"][name]["items"]
        return self.blank(schema)

    def resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            schema = self._at(schema["$ref"])
        return schema

    def _at(self, ref: str) -> Mapping[str, Any]:
        node: Any = self.document
        for step in ref.removeprefix("#/").split("/"):
            node = node[step.replace("~1", "/").replace("~0", "~")]
        assert isinstance(node, dict)
        return node


@functools.cache
def published(text: str) -> Contract:
    """Read once, for it takes a while."""
    return Contract(text)


def _number(text: str) -> Decimal | int:
    """5.0 is a whole number, to JSON Schema as to Mirakl."""
    number = Decimal(text)
    return int(number) if number.adjusted() < LARGEST_WHOLE and number == number.to_integral_value() else number


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\w+\})", path)
    return re.compile("".join(f"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{") else re.escape(part) for part in parts))


def escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def _typed(kind: str | None, text: str) -> Any:
    """What the text says, where it says something of that type; else the text itself, for the schema to refuse."""
    if kind == "integer" and re.fullmatch(r"-?[0-9]{1,19}", text):
        return int(text)
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


def form_parts(request: Request) -> list[tuple[str, File]]:
    """The parts of a multipart form with their names, in their order."""
    head = b"Content-Type: " + request.header("content-type").encode() + b"\r\n\r\n"
    message = BytesParser(policy=email.policy.HTTP).parsebytes(head + request.body)
    parts: list[tuple[str, File]] = []
    for part in message.iter_parts() if message.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            parts.append((name, File(part.get_filename() or "", payload)))
    return parts
