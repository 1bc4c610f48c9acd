"""Any document at all: what the schema accepts is answered in the schema's own types; what it refuses is refused with 200 and `errors`.

hypothesis-graphql makes documents for every field of the two roots, and breaks them. CROSSDOCK_THOROUGH=20 makes twenty times as many;
CROSSDOCK_CONTRACTS=DIR judges by the whole published schema in that folder as well.
"""

import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLScalarType,
    IntValueNode,
    NameNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    TypeInfo,
    TypeInfoVisitor,
    ValueNode,
    VariableNode,
    Visitor,
    build_schema,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    is_specified_scalar_type,
    parse,
    print_ast,
    validate,
    visit,
)
from graphql.utilities import value_from_ast_untyped
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from hypothesis_graphql import Mode, from_schema, nodes

from ops.sandbox.shopify.fields.nodes import KINDS
from ops.trim_contracts import CONTRACTS
from tests.contract.shopify.judge import Judge
from tests.contract.shopify.shopkeeping import Shopkeeping
from tests.thorough import THOROUGH

SCHEMA = build_schema((CONTRACTS / "shopify.graphql").read_text())
PUBLISHED = os.environ.get("CROSSDOCK_CONTRACTS", "")
assert SCHEMA.query_type and SCHEMA.mutation_type
ROOTS = {**SCHEMA.query_type.fields, **SCHEMA.mutation_type.fields}
BY_STATE = {"THROTTLED", "MAX_COST_EXCEEDED", "BAD_REQUEST"}  # refused for another reason than the document's shape

NODE: Any = SCHEMA.type_map["Node"]
IDEMPOTENT = DirectiveNode(
    name=NameNode(value="idempotent"), arguments=(ArgumentNode(name=NameNode(value="key"), value=StringValueNode(value="k")),)
)

judges = [Judge(SCHEMA)]
if PUBLISHED:
    judges.append(Judge(build_schema(Path(PUBLISHED, "shopify-admin-2026-10.graphql").read_text())))


@pytest.fixture(scope="module")
def shop() -> Shopkeeping:
    return Shopkeeping()


def trying(examples: int) -> settings:
    return settings(
        max_examples=examples * THOROUGH,
        database=None,
        derandomize=THOROUGH == 1,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def scalars(shop: Shopkeeping, root: str) -> dict[str, Any]:
    """Values as Shopify's own scalars are written; ids are mostly those of the things that this root is about."""
    ids = shop.ids()
    about = [id_ for id_ in ids if re.match(f"{id_.split('/')[3]}([A-Z]|$)", root[0].upper() + root[1:])] or ids
    texts: dict[str, st.SearchStrategy[str]] = {
        "DateTime": st.datetimes(timezones=st.timezones()).map(lambda at: at.replace(microsecond=0).isoformat()),
        "Decimal": st.decimals("-10", "1000", places=2).map(str),
        "ID": st.sampled_from(about) | st.sampled_from([*ids, "gid://shopify/Order/1", "gid://shopify/Unknown/1", ""]),
        "Money": st.decimals("0", "1000", places=2).map(str),
        "URL": st.sampled_from(["https://example.com/hook", "http://127.0.0.1:1/"]),
        "UnsignedInt64": st.integers(0, 2**64 - 1).map(str),
    }
    own = [name for name, is_ in SCHEMA.type_map.items() if isinstance(is_, GraphQLScalarType) and not is_specified_scalar_type(is_)]
    return {name: texts.get(name, st.text(max_size=20)).map(nodes.String) for name in {*own, "ID"}}


def refused(answer: Any) -> bool:
    """Whether the document itself was refused: nothing was carried out, and not for want of points or of a key."""
    codes = {error.get("extensions", {}).get("code") for error in answer.get("errors", ())}
    return "data" not in answer and not codes & BY_STATE


def looked_at(document: DocumentNode, answer: Any, met: Counter[str]) -> None:
    """An answer to a document that the schema accepts."""
    assert not refused(answer), answer["errors"]
    assert [str(error) for judge in judges for error in validate(judge.schema, document)] == []
    if answer.get("data"):
        met["answered"] += "errors" not in answer
        assert [fault for judge in judges for fault in judge.faults(document, answer["data"])] == []
    for error in answer.get("errors", ()):
        met[str(error.get("extensions", {}).get("code"))] += 1


@pytest.mark.parametrize("root", sorted(ROOTS))
def test_what_the_schema_accepts_is_answered(root: str, shop: Shopkeeping):
    met: Counter[str] = Counter()

    @trying(7)
    @given(from_schema(SCHEMA, fields=[root], custom_scalars=scalars(shop, root)))
    def literally(query: str) -> None:
        document = parse(query)
        assume(not validate(SCHEMA, document))  # hypothesis-graphql knows no @oneOf
        looked_at(document, shop.answer(query), met)
        usual = as_people_ask(document)
        looked_at(usual, shop.answer(print_ast(usual)), met)
        hoisted, variables = with_variables(usual)
        looked_at(hoisted, shop.answer(print_ast(hoisted), variables), met)

    literally()
    assert met["answered"] or met["NOT_SIMULATED"], met


class _Usual(Visitor):
    """Pages are small and read forwards, things say what they are, and what changes anything has a key."""

    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self._types = types

    def enter_field(self, node: FieldNode, *_: Any) -> FieldNode | None:
        field, told = self._types.get_field_def(), {given.name.value: given.value for given in node.arguments or ()}
        if field is None:
            return None
        if "first" in field.args:
            told = {name: value for name, value in told.items() if name not in ("last", "before", "after", "query")}
            told["first"] = IntValueNode(value="2")
        return _field(node, told, directives=(IDEMPOTENT,) if self._types.get_parent_type() is SCHEMA.mutation_type else ())

    def enter_selection_set(self, node: SelectionSetNode, *_: Any) -> SelectionSetNode | None:
        if isinstance(self._types.get_type() and get_named_type(self._types.get_type()), GraphQLObjectType):
            return None
        return SelectionSetNode(selections=(FieldNode(name=NameNode(value="__typename")), *node.selections))


def as_people_ask(document: DocumentNode) -> DocumentNode:
    types = TypeInfo(SCHEMA)
    usual: DocumentNode = visit(document, TypeInfoVisitor(types, _Usual(types)))
    return usual


def with_variables(document: DocumentNode) -> tuple[DocumentNode, dict[str, Any]]:
    """The same question, with what its first field is told moved into variables."""
    [operation] = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    field, *others = operation.selection_set.selections
    assert isinstance(field, FieldNode)
    told = {given.name.value: given.value for given in field.arguments or ()}
    declared = ", ".join(f"${name}: {ROOTS[field.name.value].args[name].type}" for name in told)
    asked = _field(field, {name: VariableNode(name=NameNode(value=name)) for name in told})
    inside = " ".join(print_ast(node) for node in (asked, *others))
    text = f"{operation.operation.value} {f'Q({declared})' if declared else 'Q'} {{ {inside} }}"
    return parse(text), {name: value_from_ast_untyped(value) for name, value in told.items()}


def _field(
    field: FieldNode, told: Mapping[str, ValueNode], *, name: str = "", directives: tuple[DirectiveNode, ...] | None = None
) -> FieldNode:
    """That field, told other things; or another field told the same."""
    return FieldNode(
        alias=field.alias,
        name=NameNode(value=name or field.name.value),
        arguments=tuple(ArgumentNode(name=NameNode(value=argument), value=value) for argument, value in told.items()),
        directives=field.directives if directives is None else directives,
        selection_set=field.selection_set,
    )


@pytest.mark.parametrize("root", sorted(ROOTS))
def test_what_the_schema_refuses_is_refused(root: str, shop: Shopkeeping):
    met: Counter[str] = Counter()
    arguments = ROOTS[root].args
    required = [name for name, argument in arguments.items() if is_required_argument(argument)]

    def refuse(why: str, query: str, variables: Any = None) -> None:
        met[why] += 1
        answer = shop.answer(query, variables)
        assert refused(answer), f"{why}: {query} {variables} {answer}"
        assert all(error["message"] for error in answer["errors"])

    @trying(3)
    @given(from_schema(SCHEMA, fields=[root], custom_scalars=scalars(shop, root)))
    def by_us(query: str) -> None:
        document = parse(query)
        assume(not validate(SCHEMA, document))
        hoisted, variables = with_variables(document)
        [operation] = hoisted.definitions
        assert isinstance(operation, OperationDefinitionNode)
        asked = operation.selection_set.selections[0]
        assert isinstance(asked, FieldNode)
        text = print_ast(hoisted)

        def instead(node: FieldNode) -> str:
            selections = SelectionSetNode(selections=(node, *operation.selection_set.selections[1:]))
            changed = OperationDefinitionNode(
                operation=operation.operation,
                name=operation.name,
                variable_definitions=operation.variable_definitions,
                selection_set=selections,
            )
            return print_ast(changed)

        told = {given.name.value: given.value for given in asked.arguments or ()}
        refuse("a field that there is not", instead(_field(asked, told, name="nonsense")), variables)
        refuse("an argument that there is not", instead(_field(asked, told | {"nonsense": IntValueNode(value="1")})), variables)
        refuse("a variable that is not declared", instead(_field(asked, told | {"x": VariableNode(name=NameNode(value="x"))})), variables)
        refuse("half a document", text[:-2], variables)
        for name in variables:
            wrong: Any = {"nonsense": 1} if isinstance(get_named_type(arguments[name].type), GraphQLScalarType) else "nonsense"
            refuse("a variable of another type", text, variables | {name: wrong})
        for name in required:
            refuse("a required variable missing", text, {other: value for other, value in variables.items() if other != name})
            refuse("a required argument missing", instead(_field(asked, {other: value for other, value in told.items() if other != name})))

    by_us()
    if not arguments:
        return
    try:
        broken = from_schema(SCHEMA, fields=[root], custom_scalars=scalars(shop, root), mode=Mode.NEGATIVE)
        broken.validate()
    except InvalidArgument:  # nothing there that it knows how to break
        return

    @trying(6)
    @given(broken)
    def by_hypothesis(query: str) -> None:
        assume(validate(SCHEMA, parse(query)))
        refuse("as hypothesis-graphql breaks it", query)

    by_hypothesis()


@pytest.mark.parametrize("kind", sorted(KINDS.keys() & {is_.name for is_ in SCHEMA.get_possible_types(NODE)}))
def test_every_field_of_what_is_there_is_of_its_type(kind: str, shop: Shopkeeping):
    """One document a field, since all of them in one would cost too much; what hangs on it comes along, three steps deep."""
    ids = [id_ for id_ in shop.ids() if id_.split("/")[3] == kind]
    is_ = SCHEMA.type_map[kind]
    assert isinstance(is_, GraphQLObjectType)
    met: Counter[str] = Counter()
    for name, field in is_.fields.items():
        if chosen := _chosen(name, field, 3):
            document = parse(f"query Q($ids: [ID!]!) {{ nodes(ids: $ids) {{ __typename ... on {kind} {{ {chosen} }} }} }}")
            looked_at(document, shop.answer(print_ast(document), {"ids": ids}), met)
    assert met["answered"] and not met["MAX_COST_EXCEEDED"], met


def _chosen(name: str, field: GraphQLField, depth: int) -> str:
    """A field and all in it that asks for nothing; empty where it cannot be asked so."""
    if any(is_required_argument(argument) for argument in field.args.values()):
        return ""
    target = get_named_type(field.type)
    told = "(first: 2)" if "first" in field.args else ""
    if is_leaf_type(target):
        return name + told
    if not isinstance(target, GraphQLObjectType) or depth == 0:
        return ""
    inside = " ".join(_chosen(inner, is_, depth - 1) for inner, is_ in target.fields.items())
    return f"{name}{told} {{ {inside} }}" if inside.strip() else ""
