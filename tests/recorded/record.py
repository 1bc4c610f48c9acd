"""What was recorded, and what it folds to, for ever. Run it to add what is new; it never changes what is there.

    python -m tests.recorded.record                             digests of what has none yet
    python -m tests.recorded.record --log DIR NAME              the log of a `crossdock demo --data DIR`, as history-NAME.jsonl
    python -m tests.recorded.record --supersede P "why"         a projection folds otherwise from now on, and this is why

    events.jsonl         one of each event and schema version that was ever released, as it was stored; only ever added to
    history-NAME.jsonl   whole logs, as they were stored; never altered
    digests.json         what each projection makes of them

A projection that folds recorded events otherwise than before is a new projection: it takes a new name, and the old digests stay beside its
own. Where the old rows were plainly wrong, `--supersede` keeps what they were and why; the changelog then tells everybody to run
`crossdock replay --verify --swap` after the upgrade, for live rows are not folded again by themselves.
"""

import asyncio
import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from engine import codec
from engine.log import Page
from engine.projection import Projection
from engine.runner import Rows
from ops.database import open_log
from ops.service import PROJECTIONS
from ops.settings import read_settings
from schemas.envelope import Envelope
from schemas.events import Event, tag_of

HERE = Path(__file__).parent
DIGESTS = HERE / "digests.json"
# What the order, the SKU and the trouble of events.jsonl had seen before, whichever line is folded.
BEFORE = (
    "rules_applied",
    "platform_seen",
    "variant_seen",
    "stock_counted",
    "order_placed",
    "order_state_changed",
    "order_accepted",
    "shop_order_created",
    "fulfilment_seen",
    "refund_seen",
    "return_seen",
    "exception_opened",
)


class Line(msgspec.Struct, frozen=True):
    """An event as it was stored."""

    type: str
    schema_version: int
    data: str

    @property
    def event(self) -> Event:
        return codec.decode(self.type, self.schema_version, self.data)

    @property
    def name(self) -> str:
        return f"{self.type} {self.schema_version} {hashlib.sha256(self.data.encode()).hexdigest()[:12]}"


class Superseded(msgspec.Struct, frozen=True):
    """A digest that no longer holds."""

    projection: str
    what: str
    was: str
    because: str


class History(msgspec.Struct):
    sha256: str  # of the file
    digests: dict[str, str]  # projection -> digest


class Digests(msgspec.Struct):
    events: dict[str, dict[str, str]] = {}  # line -> projection that it changes -> digest
    histories: dict[str, History] = {}
    superseded: list[Superseded] = []

    def of(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Everything that was recorded: what it is of, and the digests."""
        yield from self.events.items()
        yield from ((name, history.digests) for name, history in self.histories.items())


def lines_of(path: Path) -> list[Line]:
    return [msgspec.json.decode(line, type=Line) for line in path.read_bytes().splitlines()]


def single_lines() -> list[Line]:
    return lines_of(HERE / "events.jsonl")


def histories() -> dict[str, Path]:
    return {path.stem: path for path in sorted(HERE.glob("history-*.jsonl"))}


def before(lines: Sequence[Line]) -> list[Event]:
    firsts = {line.type: line for line in reversed(lines)}
    return [firsts[tag].event for tag in BEFORE]


# ---------------------------------------------------------------- the fold


def folded(projection: Projection[Any], events: Sequence[Event], sizes: Sequence[int] = (1_000,)) -> Rows[Any]:
    """A projection's rows after these events, folded in batches of these sizes by turns."""
    rows, after, turn = Rows(projection), 0, 0
    while after < len(events):
        to = min(after + sizes[turn % len(sizes)], len(events))
        rows.fold(page(events, after, to))
        after, turn = to, turn + 1
    return rows


def page(events: Sequence[Event], after: int, to: int) -> Page:
    return Page(after=after, last=to, events=events[after:to], recorded_at=None)


def digest_of(rows: Rows[Any]) -> str:
    """As engine.rebuild.digest makes it of a table: `key, tab, position, tab, document, newline`, as COPY writes them."""
    found = hashlib.sha256()
    for key in sorted(rows.changed, key=str.encode):
        cells = (key, str(rows.changed[key]), rows.json(key).decode())
        found.update("\t".join(map(_escaped, cells)).encode() + b"\n")
    return found.hexdigest()


def _escaped(text: str) -> str:
    for plain, written in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\b", "\\b"), ("\f", "\\f"), ("\v", "\\v")):
        text = text.replace(plain, written)
    return text


def digests_of_line(line: Line, earlier: Sequence[Event]) -> dict[str, str]:
    """Of the projections that it changes, after what had come before."""
    found = dict[str, str]()
    for projection in PROJECTIONS:
        without = digest_of(folded(projection, earlier))
        with_it = digest_of(folded(projection, [*earlier, line.event]))
        if with_it != without:
            found[projection.name] = with_it
    return found


def todays() -> Digests:
    """What today's code makes of everything that was recorded."""
    lines = single_lines()
    earlier = before(lines)
    found = Digests({line.name: digests_of_line(line, earlier) for line in lines})
    for name, path in histories().items():
        events = [line.event for line in lines_of(path)]
        digests = {projection.name: digest_of(folded(projection, events)) for projection in PROJECTIONS}
        found.histories[name] = History(hashlib.sha256(path.read_bytes()).hexdigest(), digests)
    return found


def recorded() -> Digests:
    return msgspec.json.decode(DIGESTS.read_bytes(), type=Digests)


# ---------------------------------------------------------------- compare, add


def what_differs(kept: Digests, now: Digests) -> list[str]:
    """Everything that is not as it was recorded, or was not recorded."""
    projections = {projection.name for projection in PROJECTIONS}
    differing = list[str]()
    before, after = dict(kept.of()), dict(now.of())
    for what in sorted(before.keys() | after.keys()):
        if what not in before:
            differing.append(f"{what} has no digest: run python -m tests.recorded.record")
        elif what not in after:
            differing.append(f"{what} was recorded and is gone")
        else:
            differing += _moved(what, before[what], after[what], projections)
    for name in sorted(kept.histories.keys() & now.histories.keys()):
        if kept.histories[name].sha256 != now.histories[name].sha256:
            differing.append(f"{name}.jsonl was altered")
    return differing


def _moved(what: str, before: Mapping[str, str], after: Mapping[str, str], projections: set[str]) -> Iterator[str]:
    """A projection that is gone keeps its digests; they bind nobody any more."""
    for name in sorted((before.keys() & projections) | after.keys()):
        if name not in before:
            yield f"{name} has no digest for {what}: run python -m tests.recorded.record"
        elif before[name] != after.get(name):
            yield f"{name} folds {what} otherwise than it was recorded"


def added(kept: Digests, now: Digests) -> int:
    """Add what is not there yet; how much that was."""
    count = 0
    for what, digests in now.events.items():
        count += _add(kept.events.setdefault(what, {}), digests)
    for name, history in now.histories.items():
        there = kept.histories.setdefault(name, History(history.sha256, {}))
        count += _add(there.digests, history.digests)
    return count


def _add(there: dict[str, str], digests: Mapping[str, str]) -> int:
    missing = {name: digest for name, digest in digests.items() if name not in there}
    there |= missing
    return len(missing)


def supersede(kept: Digests, now: Digests, projection: str, because: str) -> int:
    """Put a projection's digests of today in the place of those that moved; what they were is kept, with the reason."""
    count = 0
    after = dict(now.of())
    for what, digests in kept.of():
        was, is_now = digests.get(projection), after.get(what, {}).get(projection)
        if was is not None and was != is_now:
            kept.superseded.append(Superseded(projection, what, was, because))
            count += 1
            if is_now is None:
                del digests[projection]
            else:
                digests[projection] = is_now
    return count


def write(digests: Digests) -> None:
    digests.events = dict(sorted(digests.events.items()))
    DIGESTS.write_bytes(msgspec.json.format(msgspec.json.encode(digests), indent=1) + b"\n")


def history_file(name: str) -> Path:
    return HERE / f"history-{name}.jsonl"


def write_history(name: str, envelopes: Sequence[Envelope]) -> None:
    """The clear part of a log, as it is stored: what is said of people is sealed, and stays behind."""
    lines = [Line(tag_of(each.event), each.schema_version, each.data) for each in envelopes]
    history_file(name).write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))


async def copy_log(directory: Path, name: str) -> int:
    """Of a demo; how many events it has."""
    if history_file(name).exists():
        sys.exit(f"{history_file(name).name} is there already, and is never altered: take another name")
    async with open_log(read_settings(directory / "crossdock.toml"), {}, "", read_only=True) as opened:
        envelopes = await opened.log.read(0, await opened.log.head())
    write_history(name, envelopes)
    return len(envelopes)


def main(arguments: Sequence[str]) -> None:
    kept = recorded() if DIGESTS.exists() else Digests()
    match arguments:
        case ["--log", directory, name]:
            print(f"{asyncio.run(copy_log(Path(directory), name))} events")  # noqa: T201
        case ["--supersede", projection, because]:
            print(f"{supersede(kept, todays(), projection, because)} digests of {projection} superseded")  # noqa: T201
        case []:
            pass
        case _:
            sys.exit(__doc__)
    now = todays()
    print(f"{added(kept, now)} digests added")  # noqa: T201
    write(kept)
    if differing := what_differs(kept, now):
        sys.exit(
            "\n".join((*differing, "", "Nothing that was recorded is changed. A changed fold takes a new name: see above in this file."))
        )


if __name__ == "__main__":
    main(sys.argv[1:])
