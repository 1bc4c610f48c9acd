"""What has come about in a run of plays, and what has not: a check means little where what it is about never happens.

Things are counted as `kind name`: `fault cut`, `command D unknown`, `exception X44`, `state SHIPPED`, `judged I1`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from rich.table import Table

from engine.outbox import class_of
from ops.desk import CODES
from ops.sandbox.faults import KINDS as FAULTS
from ops.simulate.invariants.evidence import Evidence
from ops.simulate.invariants.table import CHECKED
from ops.simulate.options import DATABASE, RARE, WIRE
from schemas.events import EVENTS, tag_of
from schemas.events.commands import CommandBuried, CommandConfirmed, CommandIssued, CommandRefused, CommandUnknown
from schemas.events.exceptions import ExceptionOpened

Seen = Counter[str]

OUTCOMES = ("confirmed", "found", "refused", "unknown", "buried")  # found: confirmed by looking
LOOKED_FOR = ("C", "D")  # classes of which an effect can be found by looking
CLASSES = ("A", "B", "C", "D")
BY_THE_PLAYER = (
    *(f"wire_{name}" for name in WIRE),
    *(f"database_{name}" for name in DATABASE),
    *("database_restarted", "process_killed", "process_stopped"),
)
# What no play brings about, and why.
ELSEWHERE = {
    "exception X86": "a log that somebody altered: tests/integration and tests/unit/evidence alter it",
    "exception X96": "a log that was restored from an older backup: tests/integration/test_reread.py and tests/processes do so",
    "exception X97": "checkpoints that nobody signs any more: tests/integration takes their folder away",
    # A play costs as much for each of the world's hours as twenty orders: one in some hundred sees the next day. --extended meets them.
    "fault webhook_late": "what it does comes a day later",
    "fault webhook_redelivered": "what it does comes four hours later",
    # Of lines that a file of quantities was refused, of which a play has few: --extended meets them.
    "fault report_missing": "a refused file's report is asked for once a minute: tests/unit/sandbox and the fuzz of answers ask for it",
    "fault report_in_latin": "likewise",
}


def of(evidence: Evidence) -> Seen:
    """What one play has come to."""
    seen: Seen = Counter()
    letters: dict[object, str] = {}
    for told in evidence.log:
        event = told.event
        seen[f"event {tag_of(event)}"] += 1
        match event:
            case CommandIssued(command_id=key, command=command):
                letters[key] = class_of(type(command))
            case CommandConfirmed(command_id=key, found=found):
                seen[f"command {letters.get(key, '?')} {'found' if found else 'confirmed'}"] += 1
            case CommandRefused(command_id=key):
                seen[f"command {letters.get(key, '?')} refused"] += 1
            case CommandUnknown(command_id=key):
                seen[f"command {letters.get(key, '?')} unknown"] += 1
            case CommandBuried(command_id=key):
                seen[f"command {letters.get(key, '?')} buried"] += 1
            case ExceptionOpened(code=code):
                seen[f"exception {code}"] += 1
    for name, times in evidence.truth["faults"].items():
        seen[f"fault {name}"] += times
    for order in evidence.case.orders:
        seen[f"state {order['state']}"] += 1
    return seen


def expected() -> list[str]:
    """What must have come about in a whole run: every fault, every rarer legal way, every class of commands in every outcome, every
    exception there is, and every invariant held against something. What cannot is in ELSEWHERE.
    """
    found = [f"fault {name}" for name in (*FAULTS, *BY_THE_PLAYER)]
    found += [f"command {letter} {outcome}" for letter in CLASSES for outcome in OUTCOMES if outcome != "found" or letter in LOOKED_FOR]
    found += [f"rare {name}" for name in RARE]
    found += [f"exception {code}" for code in CODES]
    found += [f"judged {name}" for name in (*sorted(CHECKED), "X3")]
    return [name for name in found if name not in ELSEWHERE]


def missing(seen: Mapping[str, int], wanted: Iterable[str]) -> list[str]:
    return [name for name in wanted if not seen.get(name)]


def unheard(seen: Mapping[str, int]) -> list[str]:
    """Events of ours that never came about."""
    return [tag for tag in EVENTS if not seen.get(f"event {tag}")]


def table(seen: Mapping[str, int], wanted: Iterable[str]) -> Table:
    """Kind by kind: how often each thing was seen, what was not seen first."""
    shown = Table("kind", "seen", "never", box=None, pad_edge=False)
    for kind, names in _by_kind(seen, wanted):
        counted = ", ".join(f"{name} {seen[f'{kind} {name}']:,}" for name in names if seen.get(f"{kind} {name}"))
        never = ", ".join(name for name in names if not seen.get(f"{kind} {name}"))
        shown.add_row(kind, counted or "–", f"[red]{never}[/]" if never else "")
    return shown


def _by_kind(seen: Mapping[str, int], wanted: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    kinds: dict[str, dict[str, None]] = {}
    for name in (*wanted, *sorted(seen)):
        kind, _, rest = name.partition(" ")
        kinds.setdefault(kind, {})[rest] = None
    for kind, names in kinds.items():
        yield kind, list(names)
