"""What every event, sealed part and command keeps to: it survives the log, its JSON Schema is true, and no old one is forgotten."""

import json
from datetime import UTC
from pathlib import Path
from typing import Any, get_args

import msgspec
import msgspec.inspect as shape
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from engine import codec
from ops.export_schemas import DIRECTORY, documents
from schemas.commands import AnyCommand
from schemas.events import EVENTS, PERSONAL, Event, UnknownEvent, tag_of

COMMANDS = {tag_of(kind): kind for kind in get_args(AnyCommand)}
KINDS: dict[str, type[Any]] = {**EVENTS, **PERSONAL, **COMMANDS}
RECORDED = [
    json.loads(line) for line in (Path(__file__).parents[1] / "recorded" / "events.jsonl").read_text("utf-8").splitlines()
]  # one of each kind and schema version that was ever released, as it was stored; only ever added to

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


def some(kind: shape.Type) -> st.SearchStrategy[Any]:
    """Any value that fits this type."""
    match kind:
        case shape.StrType():
            return TEXT
        case shape.BoolType():
            return st.booleans()
        case shape.IntType():
            return st.integers(-(2**63), 2**63 - 1)
        case shape.DateTimeType():
            return st.datetimes(timezones=st.just(UTC))
        case shape.UUIDType():
            return st.uuids()
        case shape.NoneType():
            return st.none()
        case shape.LiteralType(values=values):
            return st.sampled_from(values)
        case shape.VarTupleType(item_type=item):
            return st.lists(some(item), max_size=2).map(tuple)
        case shape.DictType(key_type=key, value_type=value):
            return st.dictionaries(some(key), some(value), max_size=2)
        case shape.UnionType(types=types):
            return st.one_of(*map(some, types))
        case shape.StructType(cls=cls, fields=fields):
            return st.builds(cls, **{field.name: some(field.type) for field in fields})
    raise AssertionError(f"teach this test about {kind}")


ANY_KIND = st.sampled_from(sorted(KINDS)).flatmap(lambda tag: some(shape.type_info(KINDS[tag])))
SCHEMAS = {path.stem: Draft202012Validator(json.loads(text)) for path, text in documents().items()}


@given(value=ANY_KIND)
@settings(suppress_health_check=list(HealthCheck))
def test_what_is_stored_is_read_as_the_same_and_its_json_schema_is_true(value: Any) -> None:
    text = codec.to_json(value)
    assert msgspec.json.decode(text, type=type(value)) == value
    SCHEMAS[tag_of(value)].validate(json.loads(text))
    if isinstance(value, Event):
        assert codec.decode(*codec.encode(value)) == value


def test_the_json_schemas_in_the_repository_are_todays() -> None:
    stored = {path: path.read_text("utf-8") for path in DIRECTORY.rglob("*.json")}
    differing = sorted(path.name for path in stored.keys() | documents().keys() if stored.get(path) != documents().get(path))
    assert not differing, f"{', '.join(differing)} in schemas/json/ are not what schemas/ says: run `python -m ops.export_schemas`"


@pytest.mark.parametrize("line", RECORDED, ids=lambda line: str(line["type"]))
def test_whatever_was_ever_stored_is_read(line: dict[str, Any]) -> None:
    event = codec.decode(line["type"], line["schema_version"], line["data"])
    assert not isinstance(event, UnknownEvent)
    if line["schema_version"] == event.schema_version:
        assert codec.encode(event) == (line["type"], line["schema_version"], line["data"]), (
            "the same fact is the same text, or it conflicts"
        )


def test_one_of_each_kind_and_version_is_kept() -> None:
    """A new event, command or schema version brings a line for tests/recorded/events.jsonl."""
    kept = {(line["type"], line["schema_version"]) for line in RECORDED}
    assert {(tag, version) for tag, kind in EVENTS.items() for version in range(1, kind.schema_version + 1)} <= kept
    commands = {json.loads(line["data"])["command"]["type"] for line in RECORDED if line["type"] == "command_issued"}
    assert commands >= COMMANDS.keys()


@pytest.mark.parametrize("tag", sorted(KINDS))
def test_every_kind_says_what_it_is_under_a_name_of_its_own(tag: str) -> None:
    kind = KINDS[tag]
    assert kind.__doc__ and kind.__doc__ != kind.__base__.__doc__
    assert tag == tag.lower() and tag.isidentifier()
    assert sum(tag in kinds for kinds in (EVENTS, PERSONAL, COMMANDS)) == 1
