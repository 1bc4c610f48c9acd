"""Writes the JSON Schema of every event, sealed part and command to schemas/json/: for whoever reads the log without our code."""

import inspect
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import msgspec

from schemas.commands import AnyCommand
from schemas.events import EVENTS, PERSONAL, tag_of

DIRECTORY = Path(__file__).parents[1] / "schemas" / "json"


def documents() -> dict[Path, str]:
    """Every file there ought to be, and its text."""
    kinds: Iterable[tuple[str, type[Any]]] = (
        *(("events", kind) for kind in EVENTS.values()),
        *(("personal", kind) for kind in PERSONAL.values()),
        *(("commands", kind) for kind in get_args(AnyCommand)),
    )
    return {DIRECTORY / room / f"{tag_of(kind)}.json": _document(kind) for room, kind in kinds}


def _document(kind: type[Any]) -> str:
    version = {"$comment": f"schema_version {kind.schema_version}"} if hasattr(kind, "schema_version") else {}
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **version, **msgspec.json.schema(kind)}
    for described in schema["$defs"].values():
        if "description" in described:
            described["description"] = inspect.cleandoc(described["description"])  # newer Pythons have done so already
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> int:
    wanted = documents()
    for path in sorted(set(DIRECTORY.rglob("*.json")) - wanted.keys()):
        path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
