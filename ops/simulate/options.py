"""What a play is made of: drawn from its seed, each seed with its own part of everything that can go wrong."""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ops.sandbox.chance import choose, fraction, happens, whole
from ops.sandbox.faults import KINDS
from ops.sandbox.mirakl.state import Switches as MiraklSwitches
from ops.sandbox.plan import Merchandise, Operator, Plan, Service, Warehouse
from ops.sandbox.shopify.state import Switches as ShopifySwitches


class Troubles(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong besides the marketplaces' own faults, which are the plan's. Shares are of messages; times are the loop's."""

    wire: dict[str, float] = {}  # of HTTP writes: reset_before, reset_after, hole
    database: dict[str, float] = {}  # of requests: reset_before, reset_after, hole, serialization, deadlock, full
    restarts: int = 0  # of the database: everybody is dropped, and nobody gets in for a while
    crashes: int = 0  # of engines, each at a message of its own
    pauses: int = 0  # of engines, as by SIGSTOP, for longer than a lease
    skew: float = 0.0  # seconds of the world by which an engine's clock is ahead, or behind


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One play, in full: with the seed it says everything that happens."""

    plan: Plan  # the world's; its faults stop with the chaos
    troubles: Troubles = Troubles()
    speed: float = 480.0  # seconds of the world for each of the loop's; ticks and time-outs of the engine are the loop's
    answers: tuple[float, float] = (0.0002, 0.003)  # seconds of the loop, within which the database answers
    rare: tuple[str, ...] = ()  # rarer legal ways that are taken: ops.simulate.rare
    engines: int = 1
    beside: bool = False  # whether another tenant has the same database: ops.simulate.neighbour
    lease_seconds: float = 2.0  # of the loop: how long a dead engine's work waits for another
    chaos_minutes: float = 60.0  # of the world, at most
    heal_minutes: float = 600.0  # of the world, within which all must have come to its end
    from_start: bool = False  # things go wrong before the first engine is at work, too
    budget: int = 1_000_000  # faults after which nothing goes wrong any more: what a failure is narrowed down by


def plain(seed: int) -> Options:
    """A few orders, and nothing goes wrong."""
    return Options(
        plan=Plan(skus=6, marketplace_orders=4, buyer_gap=300.0, warehouse=Warehouse(pick_seconds=300.0)),
    )


# ---------------------------------------------------------------- drawn

SHARE = 0.3  # of the fault classes, in one play
BUYERS = 4  # come at most for each order: where nothing is on offer at the marketplace, all go to the website
RATES = (0.02, 0.03, 0.07)
WIRE = ("reset_before", "reset_after", "hole")
DATABASE = ("reset_before", "reset_after", "hole", "serialization", "deadlock", "full")
RARE = ("jitter", "slow_commits", "late_beats", "deaf", "cadence", "stale")  # ops/simulate/rare.py
RARELY = 0.25  # of plays, for each
A_DAY = ("webhook_late", "webhook_redelivered")  # their effect comes hours later
# Seconds of the loop. What a marketplace may be asked once a day is waited for twice 45 seconds where the first answer was lost, and until
# then nothing is accepted: the engine's patience is the loop's, however fast the world is.
START_PATIENCE = 200.0
# A quick trade in few of the world's minutes: what nobody does costs a third of a second of the machine for each of its hours, and a call
# into a hole takes half a minute of the loop, be that half a minute of the world or a day.
SPEEDS = (60.0, 120.0)
ANSWERS = ((0.0002, 0.003), *[(0.004, 0.02)] * 3)  # what comes while somebody waits for an answer, is taken along with the next
SLOW_WORLD = 2400.0  # speed of a play that must see the next day
SEES_IT = 0.005  # of plays: fifty hours of the world take as long as twenty plays


# How many times as seldom as others these are met: they take long in the world, or, to write and to read, here.
COSTLY = {"refused": 4.0, "black_hole": 4.0, "trickle": 2.0, "deep_nesting": 8.0, "gzip_bomb": 16.0, "huge_body": 64.0}

# No connector can make these good. What is sent twice on the way is done twice, where neither system knows a key; a refusal or a state that
# is a lie is for a person, who cannot find out either.
NOBODY_S = ("sent_twice",)


def swarm(seed: int, orders: tuple[int, int] = (18, 33)) -> Options:
    """A part of everything that can go wrong, in one shape of a small trade: no two seeds have the same."""

    def drawn(name: str, share: float = SHARE) -> bool:
        return happens(seed, share, "swarm", name)

    def rate(name: str) -> float:
        return choose(seed, RATES, "rate", name)

    faults: dict[str, float] = {}
    for name, kind in KINDS.items():
        if name not in NOBODY_S and drawn(name, SEES_IT if name in A_DAY else SHARE):
            rare = 4.0 if kind.only or kind.where == "webhook" else 1.0  # of what there is little of, more is hit
            faults[name] = min(0.5, rate(name) * rare / COSTLY.get(name, 1.0))
    calm = drawn("calm", 0.1)  # one in ten meets nothing but people
    slow = not calm and any(name in faults for name in A_DAY)
    speed = SLOW_WORLD if slow else choose(seed, SPEEDS, "speed")
    from_start = drawn("from start", 0.2)
    heal = 3000.0 if slow else 300.0
    beside = not slow and drawn("beside", 0.12)
    return Options(
        plan=_plan(seed, {} if calm else faults, orders),
        troubles=Troubles() if calm else _troubles(seed),
        speed=speed,
        answers=ANSWERS[0] if slow else choose(seed, ANSWERS, "answers"),
        from_start=from_start,
        rare=tuple(name for name in RARE if happens(seed, RARELY, "rare", name)),
        beside=beside,
        engines=2 if drawn("twins", 0.25) else 1,
        lease_seconds=choose(seed, (0.5, 1.0, 2.0), "lease"),
        heal_minutes=max(heal, START_PATIENCE * speed / 60) if from_start or beside else heal,
    )


def _troubles(seed: int) -> Troubles:
    wire = {name: choose(seed, (0.002, 0.01, 0.03), "wire rate", name) for name in WIRE if happens(seed, 0.3, "wire", name)}
    database = {name: choose(seed, (0.0005, 0.002, 0.005), "db rate", name) for name in DATABASE if happens(seed, 0.3, "database", name)}
    some = {name: whole(seed, 1, 4, name) for name in ("restarts", "crashes", "pauses") if happens(seed, 0.4, name)}
    skew = (fraction(seed, "skew") - 0.5) * 240.0 if happens(seed, 0.2, "skewed") else 0.0
    return Troubles(wire=wire, database=database, skew=skew, **some)


def _plan(seed: int, faults: dict[str, float], orders: tuple[int, int]) -> Plan:
    def share(kind: type[Struct], *but: str) -> dict[str, Any]:
        names = [name for name in kind.__struct_fields__ if name not in but]
        return {name: 0.2 for name in names if happens(seed, 0.35, "people", kind.__name__, name)}

    gap = choose(seed, (2.0, 5.0, 10.0), "gap")
    return Plan(
        skus=whole(seed, 6, 18, "skus"),
        locations=whole(seed, 1, 2, "locations"),
        offers_open=choose(seed, ("at_zero", "at_stock"), "open"),
        marketplace_orders=whole(seed, *orders, "orders"),
        buyers=whole(seed, *orders, "orders") * BUYERS,
        buyer_gap=gap,
        d2c_share=choose(seed, (0.2, 0.4), "website"),
        restocks=whole(seed, 0, 3, "restocks"),
        restock_gap=gap * 4,
        warehouse=replace(Warehouse(pick_seconds=gap * 3), **share(Warehouse, "pick_seconds", "parcels", "unlisted_carriers")),
        service=replace(Service(after=gap * 4), **share(Service, "after", "restocks")),
        operator=replace(Operator(after=gap * 4), **share(Operator, "after", "ships", "messages")),
        merchandise=Merchandise(recounts=whole(seed, 0, 2, "recounts"), transfers=whole(seed, 0, 1, "transfers"), gap=gap * 4),
        faults=faults,
        shopify=_shop(seed),
        mirakl=_account(seed),
    )


def _shop(seed: int) -> ShopifySwitches:
    return ShopifySwitches(
        duplicate_metafield=choose(seed, ("refuse", "create_without"), "twin"),
        index_lag=choose(seed, (0.0, 5.0, 30.0), "index lag"),
        lookup_lag=choose(seed, (0.0, 0.0, 5.0), "lookup lag"),
        claims_at=choose(seed, ("routed", "first"), "claims"),
        cancel_leaves_refund=happens(seed, 0.3, "cancel leaves refund"),
        metafield_touches_order=happens(seed, 0.5, "metafield touches"),
    )


def _account(seed: int) -> MiraklSwitches:
    return MiraklSwitches(
        acceptance=choose(seed, ("NOT_AUTOMATIC", "NOT_AUTOMATIC", "AUTOMATIC"), "acceptance"),
        multi_shipment=happens(seed, 0.3, "multi shipment"),
        returns=happens(seed, 0.3, "returns"),
        returns_accepted=choose(seed, ("by_hand", "automatically"), "accepted"),
        tax_mode=choose(seed, ("TAX_INCLUDED", "TAX_EXCLUDED"), "tax mode"),
        enforce_ceilings=True,
        receive_hours=0.05,  # a parcel, and what follows from it, within the play
    )
