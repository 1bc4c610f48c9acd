"""Every invariant there is, and where it is seen to hold.

In a play the checks of this table look on. `see` is called with every event as it comes into the log; `look` now and then, with the whole
truth of both systems, for what breaks those leaves a trace; `quiet` once all work is done. The referee (ops/sandbox/referee) judges from
outside, from the sandbox's truth alone, and so judges any connector. What no play can show is seen elsewhere, and the table says where.
"""

from msgspec import Struct

from ops.settings import Settings
from ops.simulate.invariants import calls, engine, log, orders, people, stock
from ops.simulate.invariants.evidence import Check, Watch


class Invariant(Struct, frozen=True):
    id: str
    says: str
    elsewhere: str = ""  # where it is seen to hold, beside or instead of a play
    not_yet: str = ""  # why nobody can see it yet


INVARIANTS: tuple[Invariant, ...] = (
    # orders, fulfilment, refunds
    Invariant("O1", "each marketplace order that came to be shipped has one Shopify order; none ever has two"),
    Invariant("O2", "goods, amounts, currency and address of a copy are those of its order"),
    Invariant("O3", "no Shopify order of ours is without its marketplace order"),
    Invariant("O4", "an order's state moves along the marketplace's edges; late or repeated news never moves it back"),
    Invariant("O5", "an order is accepted or refused once, all its lines at once, and in time"),
    Invariant("O6", "what is cancelled before it leaves is cancelled on the other side, or somebody is told"),
    Invariant("F1", "the marketplace hears of a parcel only after Shopify has it and the log has read it"),
    Invariant("F2", "of no line more is told as shipped than has left"),
    Invariant("F3", "one parcel, one shipment, under its last tracking number"),
    Invariant("F4", "a parcel taken back after it was told is an open exception"),
    Invariant("R1", "a Shopify refund is told to the marketplace once"),
    Invariant("R2", "of no line more is paid back than it came to"),
    Invariant("R3", "a marketplace refund is noted in Shopify once and never told back"),
    Invariant("R4", "in the end every Shopify refund is on the marketplace, or is an open exception"),
    # stock
    Invariant("I1", "no more is published than the newest count holds, less what is kept back and sold"),
    Invariant("I2", "no more is published than was truly there within the staleness bound"),
    Invariant("I3", "one file at a time, each resting on newer observations than the one before"),
    Invariant("I4", "in the end the marketplace shows exactly what the formula says"),
    Invariant("I5", "a stock file changes quantities and nothing else"),
    Invariant("I6", "in want of news the safe quantity is shown, and the log says so", "tests/simulation, the model of stock"),
    Invariant("I7", "nothing is sold that had been gone for longer than a number may stand", "tests/simulation, the model of stock"),
    # money
    Invariant("M1", "every journal entry is balanced", not_yet="there is no journal"),
    Invariant(
        "M2",
        "a payout is the sum of its lines",
        not_yet="payouts are not read; whether the marketplace's own books add up, the referee says (its L1 to L4)",
    ),
    Invariant("M3", "each transaction line is booked once", not_yet="there is no journal"),
    Invariant("M4", "each order's clearing account ends at nothing", not_yet="there is no journal"),
    Invariant(
        "M5", "no float touches money, and no text that is none becomes some", "tests/unit/schemas/test_values.py, test_house_rules.py"
    ),
    Invariant("M6", "what is posted is never changed", not_yet="there is no journal"),
    # the log, commands, projections
    Invariant("E1", "positions are 1 to n without a gap, in the order of commits"),
    Invariant("E2", "every hash is that of what it covers, and of its predecessor"),
    Invariant("E3", "versions of a stream are 1 to k", "tests/integration/test_log.py, a stale expectation"),
    Invariant("E4", "the same fact has the same id and is there once"),
    Invariant("E5", "what was taken is in the log: every acknowledged webhook, every order of the marketplace"),
    Invariant("E6", "every projection folded anew is what stands in its table", "tests/integration/test_runner.py, on the database"),
    Invariant(
        "E7", "folds are pure, and every event ever written decodes", "the import rules, tests/recorded, tests/contract/test_events.py"
    ),
    Invariant("E8", "the engine's login cannot alter the log", "tests/integration/test_roles.py, and every start"),
    Invariant("E9", "what was the log once is its beginning for ever"),
    Invariant("E10", "every call has its intent, every intent its cause, every person's act a name and a reason"),
    Invariant("C1", "the intent is committed before the call leaves, its outcome after it took effect"),
    Invariant("C2", "each intent ends once; none is unknown in the end"),
    Invariant("C3", "what must not be done twice is not asked again until what a lost call did would show"),
    Invariant("C4", "no operation is called more often than is published"),
    Invariant("C5", "only the present holder of a lease writes", "tests/integration/test_lease.py, test_processes.py"),
    Invariant(
        "C6", "replay, rebuild and verification call nobody", "they are given no way out: tests/integration/test_runner.py, ops/replay.py"
    ),
    Invariant("C7", "the commands of one subject take effect in the order of their causes"),
    Invariant("C8", "a switch stops all calls within seconds", not_yet="there is no such switch: an engine is stopped as a process"),
    # liveness, privacy, access
    Invariant("L1", "once faults have ceased, all work comes to an end"),
    Invariant("L2", "what is stuck is an exception within a minute, and is none when it is cured"),
    Invariant("L3", "what is poisoned holds up its neighbours for one try", "tests/integration/test_poller.py, test_dispatcher.py"),
    Invariant("L4", "tries are bounded, and calls are not many more than there is to do"),
    Invariant("L5", "every worker runs, and every source was read lately"),
    Invariant("P1", "no personal data stands in clear, anywhere"),
    Invariant("P2", "what is erased cannot be had back", "tests/trade/test_erased_everywhere.py, everywhere else"),
    Invariant("P3", "chain and rows stand after an erasure", "E2 and E6, in every play with one; tests/trade/test_erased_everywhere.py"),
    Invariant("P4", "erasing one person touches no other"),
    Invariant("X1", "nothing unsigned is taken", "tests/integration/test_webhooks.py, every way to forge"),
)

CHECKS: tuple[type[Check], ...] = (*log.CHECKS, *calls.CHECKS, *orders.CHECKS, *stock.CHECKS, *engine.CHECKS, *people.CHECKS)
CHECKED = frozenset(check.invariant for check in CHECKS)


def watch(settings: Settings, only: frozenset[str] = frozenset()) -> Watch:
    """Everything that is looked at in a play of one tenant."""
    return Watch((check(settings) for check in CHECKS), only)
