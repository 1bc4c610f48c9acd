"""A scenario file into a Plan: decoded strictly, refused with name and line. Some come along, in scenarios/."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.errors import StartupError
from ops.declared import Steps, read_declared
from ops.sandbox.faults import KINDS
from ops.sandbox.plan import Plan

ENDS = ".toml"


def library() -> Iterator[tuple[str, Path]]:
    """Those that come along, by name."""
    yield from ((path.stem, path) for path in sorted((Path(__file__).parent / "scenarios").glob(f"*{ENDS}")))


def read_scenario(name: str) -> Plan:
    """One of the library by its name, or a file by its path. StartupError names the line, the key and the mend."""
    path = dict(library()).get(name)
    if path is None:
        path = Path(name)
        if path.suffix != ENDS:
            known = ", ".join(name for name, _ in library())
            raise StartupError(f"no scenario is called {name!r}: there are {known}; or give a file that ends with {ENDS}")
    unknown = "not a part of a scenario: ops/sandbox/scenarios/README.md lists them"
    plan, _ = read_declared(path, Plan, lambda _steps, _sentence: None, unknown=unknown, look=_faults)
    return plan


def _faults(tree: dict[str, Any]) -> tuple[Steps, str] | None:
    """Names of faults and their shares, which are data and no fields."""
    faults = tree.get("faults", {})
    for name, share in faults.items() if isinstance(faults, dict) else ():
        if name not in KINDS:
            return ["faults", name], "no fault is called that: `crossdock sandbox --faults` lists them"
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            return ["faults", name], "a share of calls, from 0 to 1"
    return None
