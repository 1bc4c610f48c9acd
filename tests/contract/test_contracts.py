"""The trimmed contracts are what the script makes of the published documents: names and types, nothing else."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import build_schema, concat_ast, parse, validate

from ops import trim_contracts
from ops.trim_contracts import CONTRACTS, DOCUMENTS, trim_mirakl, trim_shopify

PUBLISHED = os.environ.get("CROSSDOCK_CONTRACTS", "")  # a folder with the full documents, which are not part of the project

SDL = '''
"""Prose""" schema { query: QueryRoot mutation: Mutation }
directive @idempotent(key: String!) on FIELD
interface Node { id: ID! }
union Thing = Order | Shop
enum Colour { "warm" RED BLUE }
input Paint { colour: Colour = RED, tin: Tin! }
input Tin @oneOf { litres: Int, name: String }
type Shop { name: String! secret(paint: Paint): String shopOrders: [Order!]! }
type Order implements Node { id: ID! "prose" name: String shop: Shop! unused: Unused old: Int @deprecated(reason: "prose") }
type Unused { id: ID! }
type QueryRoot { node(id: ID!): Node order(id: ID!): Order thing: Thing other: Unused }
type Mutation { paint(paint: Paint!): Order spill: Order }
'''


def test_of_the_schema_only_what_the_documents_reach_is_left():
    trimmed = trim_shopify(SDL, ["query Q { order(id: 1) { ...F } node(id: 2) { id } }", "fragment F on Order { shop { name } }"])
    schema: Any = build_schema(trimmed)
    assert set(schema.type_map["Order"].fields) == {"id", "name", "old", "shop"}
    assert set(schema.type_map["Shop"].fields) == {"name", "secret"}, "plain fields come along, with what their arguments need"
    assert schema.type_map["Tin"].is_one_of and "RED" in schema.type_map["Colour"].values
    assert "Unused" not in schema.type_map and set(schema.query_type.fields) == {"node", "order"}
    assert schema.type_map["Paint"].fields["colour"].ast_node.default_value.value == "RED"
    assert [interface.name for interface in schema.type_map["Order"].interfaces] == ["Node"]
    assert "prose" not in trimmed.lower()


def test_members_of_a_union_are_those_that_a_document_reaches():
    schema: Any = build_schema(
        trim_shopify(SDL, ["{ thing { ... on Shop { name } } }", "mutation { paint(paint: {tin: {litres: 1}}) { id } }"])
    )
    assert [member.name for member in schema.type_map["Thing"].types] == ["Order", "Shop"], "an Order is painted, hence it is known here"
    assert set(schema.mutation_type.fields) == {"paint"}


def test_a_field_that_was_never_published_is_named():
    with pytest.raises(SystemExit, match=r"Order\.nonsense"):
        trim_shopify(SDL, ["{ order(id: 1) { nonsense } }"])


def test_of_the_openapi_names_and_types_are_left_and_paging_is_added():
    published = {
        "openapi": "3.1.0",
        "paths": {
            "/api/orders": {
                "get": {
                    "operationId": "OR11",
                    "summary": "prose",
                    "parameters": [
                        {
                            "name": "order_ids",
                            "in": "query",
                            "description": "A comma-separated list",
                            "schema": {"type": "string", "example": "prose"},
                        }
                    ],
                    "responses": {
                        "200": {"description": "prose", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}
                    },
                }
            },
            "/api/nothing": {"get": {"operationId": "ZZ99", "responses": {}}},
        },
        "components": {
            "schemas": {
                "A": {
                    "description": "prose",
                    "type": "object",
                    "properties": {"description": {"$ref": "#/components/schemas/B", "title": "prose"}},
                },
                "B": {"type": "string", "maxLength": 3},
                "C": {"type": "string"},
            }
        },
    }
    trimmed = json.loads(trim_mirakl(published))
    assert list(trimmed["paths"]) == ["/api/orders"] and set(trimmed["components"]["schemas"]) == {"A", "B"}
    assert trimmed["components"]["schemas"]["A"]["properties"]["description"] == {"$ref": "#/components/schemas/B"}
    parameters = {parameter["name"]: parameter for parameter in trimmed["paths"]["/api/orders"]["get"]["parameters"]}
    assert parameters["order_ids"]["x-crossdock-comma-list"] and parameters["max"]["x-crossdock-added"]
    assert "prose" not in trim_mirakl(published)


def _words(node: Any) -> Iterator[str]:
    """Every key that says something about a shape; names of properties are not among them."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield key
            yield from (word for inner in value.values() for word in _words(inner)) if key == "properties" else _words(value)
    elif isinstance(node, list):
        for value in node:
            yield from _words(value)


def test_what_is_kept_is_names_and_types():
    contract = json.loads((CONTRACTS / "mirakl.openapi.json").read_text())
    shapes = [contract["components"]["schemas"][name] for name in contract["components"]["schemas"]]
    assert set(_words(shapes)) <= set(trim_contracts.SCHEMA_WORDS.split())
    sdl = (CONTRACTS / "shopify.graphql").read_text()
    assert '"' not in re.sub(r'= "[^"]*"', "", sdl), "only defaults are quoted"
    assert len(sdl) < 150_000 and (CONTRACTS / "mirakl.openapi.json").stat().st_size < 400_000


def test_every_document_we_send_fits_the_trimmed_schema():
    schema = build_schema((CONTRACTS / "shopify.graphql").read_text())
    documents = [parse(file.read_text()) for file in sorted(DOCUMENTS.rglob("*.graphql"))]
    assert validate(schema, concat_ast(documents)) == []


if PUBLISHED:

    def test_the_files_are_what_the_script_makes_of_the_published_documents():
        assert (
            trim_mirakl(json.loads(Path(PUBLISHED, "mirakl-seller.openapi.json").read_text()))
            == (CONTRACTS / "mirakl.openapi.json").read_text()
        )
        published: Any = build_schema(Path(PUBLISHED, "shopify-admin-2026-10.graphql").read_text()).type_map
        for name, ours in build_schema((CONTRACTS / "shopify.graphql").read_text()).type_map.items():
            if not name.startswith("__"):
                assert type(ours) is type(published[name])
                for field, is_ in getattr(ours, "fields", {}).items():
                    theirs = published[name].fields[field]
                    assert str(is_.type) == str(theirs.type), f"{name}.{field}"
                    assert {n: str(a.type) for n, a in getattr(is_, "args", {}).items()} == {
                        n: str(a.type) for n, a in getattr(theirs, "args", {}).items()
                    }
