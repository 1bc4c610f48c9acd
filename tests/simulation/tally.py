"""What all plays of this run have come to, so that the run can say what never came about."""

from collections import Counter
from collections.abc import Mapping

from msgspec.structs import replace

from ops.sandbox.faults import KINDS
from ops.sandbox.plan import Plan, Warehouse
from ops.simulate.command import company
from ops.simulate.invariants.evidence import Breach
from ops.simulate.invariants.watcher import Invariants
from ops.simulate.memory.store import MemoryStore
from ops.simulate.options import DATABASE, RARE, WIRE, Options, Troubles, swarm
from ops.simulate.play import Outcome, Play, play
from ops.simulate.provocations import Provocation, Stage, configured, laid_out
from ops.simulate.store import Store
from ops.simulate.trouble import troubled

SEEN: Counter[str] = Counter()
SHELVES = Plan(skus=6, least_stock=40, most_stock=60, warehouse=Warehouse(pick_seconds=3000.0))
AT_ONCE = 12  # classes of faults in a play that is about them
OFTEN, SELDOM = 0.04, 0.01  # calls that each hits; the second where what it costs is minutes


def tally(*seen: Mapping[str, int]) -> None:
    for each in seen:
        SEEN.update(each)


class Course:
    """One provocation, judged by everything as soon as it is over."""

    def __init__(self, provocation: Provocation) -> None:
        self.provocation = provocation
        self.found: list[Breach] = []

    async def __call__(self, it: Play) -> None:
        it.settings = configured(it.settings, [self.provocation])
        it.start_engine()
        watcher = Invariants()
        watcher.attend(it)
        await self.provocation.play(Stage(it.sandbox, it.clock, it.settings, it.pool, it.log, it.ids))
        self.found = await watcher.breaches(it)
        tally(watcher.seen)


def provoked(provocation: Provocation) -> tuple[Outcome, list[Breach]]:
    course = Course(provocation)
    outcome = play(1, Options(plan=laid_out(SHELVES, [provocation])), MemoryStore(), (), course)
    tally(outcome.seen)
    return outcome, course.found


def beset(seed: int, faults: list[str], troubles: Troubles, store: Store) -> Outcome:
    """A drawn play in which just these go wrong."""
    drawn = swarm(seed)
    rates = {name: rate_of(name) for name in faults}
    watcher = Invariants()
    fixed = {"speed": 60.0, "heal_minutes": 3000.0, "from_start": False, "rare": RARE, "beside": not faults}
    options = replace(drawn, plan=replace(drawn.plan, faults=rates), troubles=troubles, **fixed)
    outcome = play(seed, options, store, [watcher], course=troubled, together=company(options))
    tally(outcome.seen, watcher.seen)
    return outcome


def rate_of(fault: str) -> float:
    kind = KINDS[fault]
    if fault in ("refused", "black_hole", "huge_body", "gzip_bomb", "trickle"):
        return SELDOM
    if fault == "stale_read":  # it takes hold of nothing but lists, and of those only where something has changed since they were shown
        return 0.3
    return 0.5 if kind.only or kind.where == "webhook" else OFTEN


EVERY_TROUBLE = Troubles(wire=dict.fromkeys(WIRE, 0.02), database=dict.fromkeys(DATABASE, 0.002), restarts=1, crashes=2, pauses=1)
