"""Cuts the published contracts of Shopify and Mirakl down to what Crossdock speaks: names and types only.

    python -m ops.trim_contracts --shopify SDL --mirakl OPENAPI [--operations GRAPHQL ...]

The full documents are not part of the project. What is left of them, `schemas/contracts/`, is what the tests validate our requests
against and what the sandbox executes and refuses by. Pure functions from text to text; only `main` touches files.
"""

import argparse
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    get_named_type,
    is_input_object_type,
    is_leaf_type,
    is_specified_scalar_type,
    parse,
    visit,
)
from graphql.type import GraphQLEnumType, GraphQLField, GraphQLInputObjectType, GraphQLScalarType

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "schemas" / "contracts"
DOCUMENTS = ROOT / "adapters" / "shopify"

# ---------------------------------------------------------------------------------------------------------------- Mirakl

# What Crossdock uses or will need, by operation code; a final * stands for the whole family.
KEPT_OPERATIONS = (
    "A01 A21 CH11 CUR01 V01 PC01 RE* OR04 OR11 OR13 OR14 OR15 OR21 OR23 OR24 OR28 OR29 OR30 OR31 OR64 OR72 OR73 OR74 OR75 OR76 "
    "ST0* ST1* ST2* ST3* STO* RT* OF21 OF26 OF52 OF53 OF54 PRI* SH* TL* SBC11 IV01 IV02 M*"
)

INTEGER, TEXT, TOKEN = {"type": "integer", "format": "int64", "minimum": 0}, {"type": "string"}, {"type": "string", "minLength": 1}
OFFSET_PAGES = {
    "max": {"type": "integer", "minimum": 1, "maximum": 100},
    "offset": INTEGER,
    "sort": TEXT,
    "order": {"enum": ["asc", "desc"]},
}
SEEK_PAGES = {"limit": {"type": "integer", "minimum": 1, "maximum": 100}, "page_token": TOKEN, "sort": TEXT}

# The published document keeps paging and locale in its prose: no operation declares them. General Notes, read 2026-08-13.
UNDECLARED: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("OR11", "OF21", "IV01", "M01"), OFFSET_PAGES),
    **dict.fromkeys(("RT11", "RT12", "ST11", "ST12", "PRI02", "M11"), SEEK_PAGES),
    "TL02": SEEK_PAGES | {"limit": {"type": "integer", "minimum": 1, "maximum": 2000}},
    "SBC11": SEEK_PAGES | {"limit": {"type": "integer", "minimum": 1, "maximum": 1000}},
}
LOCALISED = "OR11 RE01 RE02 RE11 RE12 RE14 SH11 SH12 SH21 SH31 CH11 CUR01 PC01 OF21 RT11 RT12 M10 M11 OR75"

# Facts about a shape. Everything else (description, summary, example, title, x-…) is prose.
SCHEMA_WORDS = (
    "type format enum const required items properties additionalProperties allOf anyOf oneOf $ref nullable deprecated "
    "minimum maximum exclusiveMinimum exclusiveMaximum minLength maxLength minItems maxItems uniqueItems pattern"
)
REF = "#/components/schemas/"


def trim_mirakl(published: dict[str, Any]) -> str:
    """The kept operations with the schemas they reach: JSON, one operation and one schema a line so that changes read well."""
    paths: dict[str, dict[str, Any]] = {}
    for path, item in published["paths"].items():
        for method, operation in item.items():
            if isinstance(operation, dict) and _is_kept(str(operation.get("operationId", ""))):
                paths.setdefault(path, {})[method] = _operation(operation)
    schemas = {name: _schema(published["components"]["schemas"][name]) for name in _reached(paths, published["components"]["schemas"])}
    lines = ["{", f'"openapi": {_json(published["openapi"])},', '"info": {"title": "Mirakl seller API, names and types", "version": ""},']
    lines += ['"security": [{"key": []}],', '"paths": {', *_members(paths), "},", '"components": {']
    lines += ['"securitySchemes": {"key": {"in": "header", "name": "Authorization", "type": "apiKey"}},']
    lines += ['"schemas": {', *_members(schemas), "}}}"]
    return "\n".join(lines) + "\n"


def _is_kept(code: str) -> bool:
    return any(
        code == kept or (kept.endswith("*") and re.fullmatch(re.escape(kept[:-1]) + r"\d+", code)) for kept in KEPT_OPERATIONS.split()
    )


def _operation(operation: dict[str, Any]) -> dict[str, Any]:
    code = operation["operationId"]
    parameters = [_parameter(parameter) for parameter in operation.get("parameters", [])]
    added = UNDECLARED.get(code, {}) | ({"locale": TEXT} if code in LOCALISED.split() else {})
    parameters += [{"name": name, "in": "query", "schema": schema, "x-crossdock-added": True} for name, schema in added.items()]
    kept: dict[str, Any] = {"operationId": code, "parameters": parameters}
    if body := operation.get("requestBody"):
        kept["requestBody"] = ({"required": True} if body.get("required") else {}) | {"content": _content(body)}
    kept["responses"] = {
        status: {"description": ""} | ({"content": _content(response)} if response.get("content") else {})
        for status, response in operation["responses"].items()
    }
    return kept


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    kept = {"name": parameter["name"], "in": parameter["in"], "schema": _schema(parameter["schema"])}
    if parameter.get("required"):
        kept["required"] = True
    if "comma-separated" in parameter.get("description", "").lower():  # only the prose says that the text is a list
        kept["x-crossdock-comma-list"] = True
    return kept


def _content(holder: dict[str, Any]) -> dict[str, Any]:
    return {kind: {"schema": _schema(media.get("schema", {}))} for kind, media in holder["content"].items()}


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for word, value in schema.items():
        if word not in SCHEMA_WORDS.split():
            continue
        if word == "properties":
            kept[word] = {name: _schema(inner) for name, inner in value.items()}
        elif word in ("allOf", "anyOf", "oneOf"):
            kept[word] = [_schema(inner) for inner in value]
        elif isinstance(value, dict):
            kept[word] = _schema(value)
        else:
            kept[word] = value
    return kept


def _refs(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(ref := node.get("$ref"), str):
            yield ref.removeprefix(REF)
        for value in node.values():
            yield from _refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from _refs(value)


def _reached(paths: dict[str, Any], schemas: dict[str, Any]) -> list[str]:
    seen: set[str] = set()
    waiting = list(_refs(paths))
    while waiting:
        if (name := waiting.pop()) not in seen:
            seen.add(name)
            waiting += _refs(_schema(schemas[name]))
    return sorted(seen)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _members(members: dict[str, Any]) -> Iterator[str]:
    last = len(members) - 1
    for at, (name, value) in enumerate(members.items()):
        yield f"{_json(name)}:{_json(value)}" + ("" if at == last else ",")


# --------------------------------------------------------------------------------------------------------------- Shopify


def trim_shopify(published: str, documents: Iterable[str]) -> str:
    """The part of the schema that the documents reach, as SDL: their fields, each reached type's plain fields, inputs whole."""
    schema = build_schema(published)
    kept = _Kept(schema)
    for document in documents:
        kept.learn(parse(document))
    kept.settle()
    return "\n".join(_printed(schema, kept)) + "\n"


class _Kept:
    """Which fields of which output types, and which input types, are wanted; grows until nothing more is reached."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self.schema = schema
        self.fields: dict[str, set[str]] = {}  # output type -> names of its fields
        self.plain: set[str] = set()  # scalars, enums and input types, whole

    def learn(self, document: DocumentNode) -> None:
        """Fragments may be in another document than the operations that spread them, hence no validation of the whole."""
        info = TypeInfo(self.schema)
        kept = self

        class Collector(Visitor):
            def enter_field(self, node: FieldNode, *_: Any) -> None:
                parent, name = info.get_parent_type(), node.name.value
                if name.startswith("__"):
                    return
                if parent is None or info.get_field_def() is None:
                    raise SystemExit(f"the published schema has no field {parent}.{name}")
                kept.fields.setdefault(parent.name, set()).add(name)

            def enter_inline_fragment(self, *_: Any) -> None:
                if (on := get_named_type(info.get_type())) is not None:
                    kept.fields.setdefault(on.name, set())

            def enter_variable_definition(self, *_: Any) -> None:
                if (asked := get_named_type(info.get_input_type())) is not None:
                    kept.keep_input(asked)

        visit(document, TypeInfoVisitor(info, Collector()))

    def settle(self) -> None:
        roots = {root.name for root in (self.schema.query_type, self.schema.mutation_type) if root}
        while True:
            before = (sum(map(len, self.fields.values())), len(self.fields), len(self.plain))
            for name in sorted(self.fields):
                owner = self.schema.type_map[name]
                if isinstance(owner, GraphQLUnionType):
                    continue
                assert isinstance(owner, GraphQLObjectType | GraphQLInterfaceType)
                if name not in roots:
                    self.fields[name] |= {field for field, is_ in owner.fields.items() if is_leaf_type(get_named_type(is_.type))}
                for interface in owner.interfaces:  # an implementation owes all that is kept of its interface
                    self.fields[name] |= self.fields.get(interface.name, set())
                for field in sorted(self.fields[name]):
                    self._reach(owner.fields[field])
            if before == (sum(map(len, self.fields.values())), len(self.fields), len(self.plain)):
                return

    def _reach(self, field: GraphQLField) -> None:
        target = get_named_type(field.type)
        if is_leaf_type(target):
            self.plain.add(target.name)
        else:
            self.fields.setdefault(target.name, set())
        for argument in field.args.values():
            self.keep_input(get_named_type(argument.type))

    def keep_input(self, asked: GraphQLNamedType) -> None:
        if asked.name not in self.plain:
            self.plain.add(asked.name)
            if is_input_object_type(asked):
                assert isinstance(asked, GraphQLInputObjectType)
                for field in asked.fields.values():
                    self.keep_input(get_named_type(field.type))


def _printed(schema: GraphQLSchema, kept: _Kept) -> Iterator[str]:
    assert schema.query_type and schema.mutation_type
    yield "# Cut from the published Shopify Admin GraphQL schema by ops/trim_contracts.py: names and types of what Crossdock asks for."
    roots = {"query": schema.query_type.name, "mutation": schema.mutation_type.name}
    yield f"schema {{ {' '.join(f'{kind}: {name}' for kind, name in roots.items() if name in kept.fields)} }}"
    yield "directive @idempotent(key: String!) on FIELD"
    for name in sorted(kept.fields.keys() | kept.plain):
        is_ = schema.type_map[name]
        match is_:
            case GraphQLScalarType():
                if not is_specified_scalar_type(is_):
                    yield f"scalar {name}"
            case GraphQLEnumType():
                yield f"enum {name} {{ {' '.join(is_.values)} }}"
            case GraphQLInputObjectType():
                fields = [f"{field}: {_typed(argument)}" for field, argument in is_.fields.items()]
                yield f"input {name}{' @oneOf' if is_.is_one_of else ''} {{ {', '.join(fields)} }}"
            case GraphQLUnionType():
                members = [member.name for member in is_.types if member.name in kept.fields]
                yield f"union {name} = {' | '.join(members)}"
            case GraphQLObjectType() | GraphQLInterfaceType():
                kind = "type" if isinstance(is_, GraphQLObjectType) else "interface"
                owed = [interface.name for interface in is_.interfaces if interface.name in kept.fields]
                yield f"{kind} {name}{' implements ' + ' & '.join(owed) if owed else ''} {{"
                for field in sorted(kept.fields[name]):
                    arguments = ", ".join(f"{asked}: {_typed(argument)}" for asked, argument in is_.fields[field].args.items())
                    going = " @deprecated" if is_.fields[field].deprecation_reason is not None else ""
                    yield f"  {field}{'(' + arguments + ')' if arguments else ''}: {is_.fields[field].type}{going}"
                yield "}"


def _typed(argument: Any) -> str:
    """A type with its default, as written in the published text: an argument with a default may be left out."""
    node = argument.ast_node.default_value
    return str(argument.type) if node is None else f"{argument.type} = {node.loc.source.body[node.loc.start : node.loc.end]}"


# ------------------------------------------------------------------------------------------------------------------ main


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Cut the published contracts down to names and types of what Crossdock uses.")
    parser.add_argument("--shopify", type=Path, help="the published Admin GraphQL schema, as SDL")
    parser.add_argument("--mirakl", type=Path, help="the published seller OpenAPI, as JSON")
    parser.add_argument("--operations", type=Path, nargs="*", default=[], help="further GraphQL documents to keep the schema for")
    parser.add_argument("--into", type=Path, default=CONTRACTS, help="folder to write to")
    asked = parser.parse_args(arguments)
    asked.into.mkdir(parents=True, exist_ok=True)
    if asked.mirakl:
        trimmed = trim_mirakl(json.loads(asked.mirakl.read_text()))
        (asked.into / "mirakl.openapi.json").write_text(trimmed)
    if asked.shopify:
        documents = [file.read_text() for file in [*sorted(DOCUMENTS.rglob("*.graphql")), *asked.operations]]
        (asked.into / "shopify.graphql").write_text(trim_shopify(asked.shopify.read_text(), documents))


if __name__ == "__main__":
    main()
