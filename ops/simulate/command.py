"""`crossdock simulate`: plays by the seed, on several processes if wanted; what was seen in them, and what does not hold, made small."""

import json
import selectors
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from engine.errors import StartupError
from ops.paper import paper
from ops.sandbox import faults
from ops.sandbox.scenario import read_scenario
from ops.sentences import so_many
from ops.simulate.invariants.watcher import Invariants
from ops.simulate.memory import MemoryStore
from ops.simulate.neighbour import in_company
from ops.simulate.options import DATABASE, RARE, WIRE, Options, Troubles, swarm
from ops.simulate.play import Course, Outcome, Play, play
from ops.simulate.seen import expected, table
from ops.simulate.server import own_server
from ops.simulate.store import Store
from ops.simulate.trouble import troubled

REGRESSIONS = Path(__file__).parent / "regressions.jsonl"
EXTENDED = 20  # times as many seeds
MOST_TRIES = 14  # plays to make a failure small


class Result(Struct, kw_only=True):
    """What came of one seed."""

    seed: int
    orders: int
    world_seconds: float
    digest: str
    broken: str = ""  # the first invariant, whose, and what
    subject: str = ""
    story: list[str] = []  # of the order that it is about
    options: dict[str, Any] = {}  # where it is broken: in full, as far as they are not what they always are
    again: str = ""  # the command that plays it again
    seen: dict[str, int] = {}

    @property
    def faults(self) -> int:
        return sum(times for what, times in self.seen.items() if what.startswith("fault"))


@dataclass
class Wanted:
    """What was asked for on the command line."""

    first: int
    last: int
    tier: int = 1
    scenario: str = ""
    jobs: int = 1
    without: tuple[str, ...] = ()  # classes of faults that are left out
    budget: int | None = None  # faults after which nothing goes wrong any more
    shrink: bool = True
    as_json: bool = False
    regressions: bool = True
    chosen: list[int] = field(default_factory=list)  # these seeds, instead of a range
    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    @property
    def seeds(self) -> list[int]:
        if self.chosen:
            return self.chosen
        kept = kept_seeds(self.tier) if self.regressions and not self.scenario else []
        return list(dict.fromkeys([*kept, *range(self.first, self.last + 1)]))

    def options(self, seed: int) -> Options:
        options = swarm(seed) if seed >= 0 else kept()[-seed - 1].options
        if self.scenario:
            options = replace(options, plan=read_scenario(self.scenario), heal_minutes=3000.0, chaos_minutes=2000.0)
        return narrowed(options, self.without, self.budget)


class Kept(Struct, frozen=True, forbid_unknown_fields=True):
    """A play that once showed something: with its options, for what a seed draws changes as there is more that can go wrong."""

    tier: int
    seed: int
    was: str  # what it showed
    options: Options


def kept() -> list[Kept]:
    """A line each."""
    return [msgspec.json.decode(line, type=Kept) for line in REGRESSIONS.read_bytes().splitlines()]


def kept_seeds(tier: int) -> list[int]:
    """By which they are asked for: -1 is the first line, and so on; no play is drawn from such a seed."""
    return [-number for number, each in enumerate(kept(), 1) if each.tier == tier]


def narrowed(options: Options, without: Sequence[str], budget: int | None) -> Options:
    """Less of it."""
    plan, troubles = options.plan, options.troubles
    return replace(
        options,
        plan=replace(plan, faults={name: rate for name, rate in plan.faults.items() if name not in without}),
        troubles=Troubles(
            wire={name: rate for name, rate in troubles.wire.items() if f"wire_{name}" not in without},
            database={name: rate for name, rate in troubles.database.items() if f"database_{name}" not in without},
            **{name: 0 if name in without else getattr(troubles, name) for name in ("restarts", "crashes", "pauses")},
            skew=0.0 if "skew" in without else troubles.skew,
        ),
        beside=options.beside and "beside" not in without,
        rare=tuple(name for name in options.rare if f"rare_{name}" not in without),
        budget=options.budget if budget is None else budget,
    )


def classes_of(options: Options) -> list[str]:
    """What can be left out of it."""
    troubles = options.troubles
    return [
        *options.plan.faults,
        *(f"wire_{name}" for name in troubles.wire),
        *(f"database_{name}" for name in troubles.database),
        *(name for name in ("restarts", "crashes", "pauses", "skew") if getattr(troubles, name)),
        *(f"rare_{name}" for name in options.rare),
        *(["beside"] if options.beside else []),
    ]


EVERY_CLASS = (
    *faults.KINDS,
    *(f"wire_{name}" for name in WIRE),
    *(f"database_{name}" for name in DATABASE),
    *("restarts", "crashes", "pauses", "skew"),
    *(f"rare_{name}" for name in RARE),
    "beside",
)


def store_of(tier: int) -> AbstractContextManager[Store]:
    return nullcontext(MemoryStore()) if tier == 1 else own_server()


# ---------------------------------------------------------------- playing


def simulate(wanted: Wanted) -> int:
    """Exit code 1 if anything does not hold, with all that is needed to see it again. StartupError: nothing is called so."""
    if wanted.last < wanted.first:
        raise StartupError(f"--seeds {wanted.first}..{wanted.last} are none: the lower one comes first")
    if strangers := [-seed for seed in wanted.seeds if -seed > len(kept())]:
        raise StartupError(f"--only -{strangers[0]}: there are {len(kept())} kept plays, -1 to -{len(kept())}")
    if strange := [name for name in wanted.without if name not in EVERY_CLASS]:
        raise StartupError(f"--without {strange[0]}: no class of faults is called so: there are {', '.join(EVERY_CLASS)}")
    results: list[Result] = []
    columns = (TextColumn("seeds"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[said]}"), TimeRemainingColumn())
    # Which seeds, and not a range of them: one play, or the part of another process, which shows how far all have come.
    with Progress(*columns, console=wanted.console, transient=True, disable=bool(wanted.chosen)) as progress:
        task = progress.add_task("", total=len(wanted.seeds), said="")
        for result in _played(wanted):
            results.append(result)
            broken = sum(bool(each.broken) for each in results)
            said = f"{sum(each.orders for each in results)} orders, {sum(each.faults for each in results)} faults, {broken} broken"
            progress.update(task, advance=1, said=said)
            if wanted.as_json:
                sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
                sys.stdout.flush()
    if not wanted.as_json:
        report(paper(), results, wanted)
    return 1 if any(each.broken for each in results) else 0


def _played(wanted: Wanted) -> Iterator[Result]:
    if wanted.jobs > 1:
        yield from _by_others(wanted)
        return
    with store_of(wanted.tier) as store:
        for seed in wanted.seeds:
            yield one(seed, wanted, store)


def _by_others(wanted: Wanted) -> Iterator[Result]:
    """Each process takes every so-manyth seed. StartupError: one ended before it had played all of them."""
    seeds = wanted.seeds
    left = {}  # what a process tells -> the process, and the seeds of which it has told nothing yet
    with selectors.DefaultSelector() as told:
        for part in filter(None, (seeds[start :: wanted.jobs] for start in range(wanted.jobs))):
            command = [sys.executable, "-m", "ops", "simulate", "--tier", str(wanted.tier), "--json", "--only", ",".join(map(str, part))]
            command += ["--scenario", wanted.scenario] if wanted.scenario else []
            command += ["--without", ",".join(wanted.without)] if wanted.without else []
            command += [] if wanted.budget is None else ["--budget", str(wanted.budget)]
            command += [] if wanted.shrink else ["--no-shrink"]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0)  # noqa: S603 - ourselves
            assert process.stdout is not None
            left[process.stdout] = (process, set(part))
            told.register(process.stdout, selectors.EVENT_READ, process.stdout)
        try:
            while told.get_map():
                for pipe in [key.data for key, _ in told.select()]:  # whoever is not listened to stands still when his pipe is full
                    process, missing = left[pipe]
                    if line := pipe.readline():
                        result = msgspec.json.decode(line, type=Result)
                        missing.discard(result.seed)
                        yield result
                    else:
                        told.unregister(pipe)
                        if process.wait() not in (0, 1) or missing:
                            raise StartupError(f"a process ended ({process.returncode}) and had not played the seeds {sorted(missing)}")
        finally:
            for pipe, (process, _) in left.items():
                process.kill()
                process.wait()
                pipe.close()


def one(seed: int, wanted: Wanted, store: Store) -> Result:
    options = wanted.options(seed)
    watcher = judge_of(options)
    first = seed if seed >= 0 else kept()[-seed - 1].seed
    outcome = play(first, options, store, [watcher], course=troubled, together=company(options))
    result = Result(
        seed=seed,
        orders=outcome.orders,
        world_seconds=outcome.world_seconds,
        digest=outcome.digest,
        seen=dict(sorted((outcome.seen | watcher.seen).items())),
    )
    if outcome.broken is not None:
        without, budget = shrunk(outcome, options, store) if wanted.shrink else ((), None)
        result.broken, result.subject = str(outcome.broken), outcome.broken.subject
        result.story = outcome.story
        result.options = differing(
            msgspec.to_builtins(narrowed(options, without, budget)), msgspec.to_builtins(Options(plan=type(options.plan)()))
        )
        left_out = [*wanted.without, *without]
        result.again = f"crossdock simulate {f'--seeds {seed}..{seed}' if seed >= 0 else f'--only {seed}'} --tier {wanted.tier}"
        result.again += f" --scenario {wanted.scenario}" if wanted.scenario else ""
        result.again += f" --without {','.join(left_out)}" if left_out else ""
        result.again += f" --budget {budget}" if budget is not None else ""
    return result


def judge_of(options: Options) -> Invariants:
    """By every invariant that there is."""
    return Invariants(skew=abs(options.troubles.skew))


def company(options: Options) -> Callable[[Play, Path, Course], Coroutine[Any, Any, None]]:
    """With another tenant beside, or alone."""
    return in_company(judge_of) if options.beside else Play.run


def shrunk(outcome: Outcome, options: Options, store: Store) -> tuple[list[str], int | None]:
    """Fault classes that can be left out, and the budget that is enough, for the same invariant still to break."""
    assert outcome.broken is not None
    invariant, tries = outcome.broken.invariant, MOST_TRIES

    def breaks(without: Sequence[str], budget: int | None) -> bool:
        nonlocal tries
        if tries <= 0:
            return False
        tries -= 1
        less = narrowed(options, without, budget)
        found = play(outcome.seed, less, store, [judge_of(options)], course=troubled, together=company(less)).broken
        return found is not None and found.invariant == invariant

    without: list[str] = []
    names = classes_of(options)
    step = max(1, len(names) // 2)
    while step and names:  # halves, then quarters, then one by one
        for start in range(0, len(names), step):
            some = [name for name in names[start : start + step] if name not in without]
            if some and breaks([*without, *some], None):
                without += some
        names = [name for name in names if name not in without]
        step //= 2
    most = sum(times for what, times in outcome.seen.items() if what.startswith("fault"))
    low, high = 0, most
    while low < high and tries > 0:
        middle = (low + high) // 2
        if breaks(without, middle):
            high = middle
        else:
            low = middle + 1
    return without, high if high < most else None


def differing(told: Any, usual: Any) -> Any:
    """What is otherwise than usual."""
    if not isinstance(told, dict) or not isinstance(usual, dict):
        return told
    return {name: differing(value, usual.get(name)) for name, value in told.items() if value != usual.get(name)}


# ---------------------------------------------------------------- telling


def report(console: Console, results: Sequence[Result], wanted: Wanted) -> None:
    seen: Counter[str] = Counter()
    for result in results:
        seen.update(result.seen)
        if result.broken:
            named = f"seed {result.seed}" if result.seed >= 0 else f"regression {-result.seed}"
            console.print(f"[red]✗[/] {named}: ", end="")
            console.print(result.broken, markup=False)
            console.print("  options " + json.dumps(result.options), markup=False)
            for line in result.story:
                console.print("    " + line, markup=False)
            console.print(f"  again: {result.again}", markup=False)
    console.print(table(seen, expected()))
    console.print(summary(results, wanted.tier), style="red" if any(result.broken for result in results) else "green")


def summary(results: Sequence[Result], tier: int) -> str:
    """One line of figures."""
    faults, kept = [result.faults for result in results], sum(result.seed < 0 for result in results)
    broken = sum(bool(result.broken) for result in results)
    days = sum(result.world_seconds for result in results) / 86400
    orders, who = sum(result.orders for result in results), f" ({kept} of them kept)" if kept else ""
    return (
        f"tier {tier}: {so_many(len(results), 'play')}{who}, {so_many(orders, 'order')}, {so_many(sum(faults), 'fault')} "
        f"(median {median(faults or [0]):g} a play), {days:.1f} days of trade, {broken or 'nothing'} broken"
    )
