"""Every statement of the product, with arguments drawn so that they often meet: few tenants, streams, ids, keys and moments; and where
a statement only does something if it names what is there (an epoch, an attempt, a position), mostly that.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple
from uuid import NAMESPACE_OID, UUID, uuid5

from engine import chain, erasure, lease, limits, line, log, migrate, outbox, poller, rebuild, runner, tiles, vault
from engine.codec import CURRENT, RAISED
from ops import book, database, desk, explain, oversells, privacy, publisher, recompute, replay_with, report, trace, watch
from ops.demo import proof
from ops.evidence import guard, reread, resume
from ops.service import PROJECTIONS
from ops.simulate.memory import Database
from ops.simulate.memory.database import Lease


class Call(NamedTuple):
    """`how`: fetch, execute or copy, as binary or as text."""

    name: str
    text: str
    arguments: tuple[Any, ...]
    how: str = "fetch"


class Narrow(random.Random):
    """Mostly takes the first of what there is, so that all run into each other."""

    def choice(self, seq: Any) -> Any:
        return seq[0] if self.random() < 0.7 else super().choice(seq)


class Draw:
    """Draws arguments, from chance and from what is in the database."""

    def __init__(self, seed: str, database: Database, *, narrowly: bool = False) -> None:
        self.rng, self.database = (Narrow if narrowly else random.Random)(seed), database

    def __call__(self, values: "Values") -> Any:
        return values(self.rng)

    def mostly(self) -> bool:
        return self.rng.random() < 0.8

    def seldom(self) -> bool:
        return self.rng.random() < 0.03

    def version(self, tenant: str, stream: str) -> int:
        return self.database.log(tenant).version(stream)

    def lease(self, tenant: str, name: str) -> Lease:
        """As it stands; or as it might."""
        rows = dict(self.database.leases.committed(tenant))
        if name in rows and self.mostly():
            return rows[name]
        return Lease(self(EPOCHS), self(maybe(HOLDERS)), self(SMALL))


Values = Callable[[random.Random], Any]
Arguments = Callable[[Draw], Sequence[Any]]


def some(values: Sequence[Any]) -> Values:
    return lambda rng: rng.choice(values)


def between(low: int, high: int) -> Values:
    return lambda rng: rng.randint(low, high)


def maybe(values: Values) -> Values:
    return lambda rng: None if rng.random() < 0.4 else values(rng)


def few(values: Values, *, least: int = 0, most: int = 3, distinct: bool = False) -> Values:
    def drawn(rng: random.Random) -> list[Any]:
        found = [values(rng) for _ in range(rng.randint(least, most))]
        return list(dict.fromkeys(found)) if distinct else found

    return drawn


COIN: Values = lambda rng: rng.random() < 0.5  # noqa: E731 - beside its fellows

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
TENANTS = some(["acme"] * 6 + ["bolt"])
STREAMS = some(["order-a:1", "offers-a", "größe 漢"])
TARGETS = some(["shopify", "mirakl:a"])
NAMES = some(["orders", "inventory", "publications"])
CURSORS = some(['{"until":1}', "17"])
KEYS = some(["A", "B", 'Ö"\\\t', "a:1"])
EVENT_IDS = some([uuid5(NAMESPACE_OID, f"event {number}") for number in range(9)])
COMMAND_IDS = some([uuid5(NAMESPACE_OID, f"command {number}") for number in range(6)])
HOLDERS = some([UUID(int=1), UUID(int=2)])
STORIES = maybe(some([UUID(int=1), UUID(int=2)]))
EPOCHS = between(0, 3)
SMALL = between(0, 3)
PLACES = between(-1, 12)
ZONES = some([UTC, timezone(timedelta(hours=2))])
MOMENTS: Values = lambda rng: (NOON + timedelta(seconds=rng.randint(0, 5), microseconds=7)).astimezone(ZONES(rng))  # noqa: E731
LANES_LAST = some([timedelta(0), timedelta(seconds=0.1)])
SUBJECTS = some(["order-a:1", "order-a:2"])
TAGS = some(["publish_stock", "accept_order", "ship_order", "create_shop_order"])
TYPES = some(
    [
        *("mapping_set", "command_issued", "exception_opened", "shop_order_seen"),
        *("subject_erased", "privacy_asked", "privacy_asked", "privacy_answered"),
    ]
)
PEOPLE = some(["order-a:1", "größe 漢", "A", 'Ö"\\\t'])
SHOP_ORDERS = some(["gid://shopify/Order/7", "7"])
BODIES = some(
    [
        "{}",
        '{ "key" : "A", "value": 1.50, "kind": null, "name": "\\u00e9\\n" }',
        '{"key":"B","kind":"bundle","name":"n","value":"x","list":[1, 2]}',
        '{"command":{"type":"publish_stock","quantities":{"A":1,"B":null},"as_of":3},"key":"A"}',
        '{"command":{"type":"publish_stock","quantities":{"B":2}}}',
        '{"command":{"type":"ship_order"},"key":true}',
    ]
)
BAD = some(["{", '{"a":}', ""])
TILES = some([(0, 0), (0, 1), (1, 0), (0, 2), (2, 0)])  # level and number
SEALED = some([None, b"KEYNAME1one", b"KEYNAME1two", b"KEYNAME2one", vault.NOTHING])
DOCUMENTS = some(
    [
        "{}",
        '{"open":true,"code":"X1","severity":2,"item":"gid://1","recipes":{"a":{"A":1,"B":2}}}',
        '{"open":"true","code":"X1","severity":"1","item":"gid://1","variant":{"status":"DELETED"}}',
        '{"open":false,"code":null,"severity":null,"item":null,"recipes":null,"variant":{"status":"ACTIVE"}}',
        '{"open":true,"severity":3,"item":"gid://2","variant":null,"order_id":"A","shop_name":"#1","shop_order":"gid://shopify/Order/7"}',
        '{"open": true, "code":"Ö\\\\", "recipes": { "a" : {"B": 2} }, "shop_order":"7"}',
    ]
)


# ---------------------------------------------------------------- what changes something


def _append(draw: Draw) -> Sequence[Any]:
    tenant = draw(TENANTS)
    runs = draw(few(between(1, 3), least=1)) if draw(COIN) else [1] * draw(some([1, 1, 1, 2, 3]))
    events = sum(runs)

    def column(values: Values, size: int = events) -> list[Any]:
        return [draw(values) for _ in range(size)]

    def unless_plain(values: Values, size: int = events) -> list[Any] | None:
        return None if draw(COIN) else column(values, size)

    streams = column(STREAMS, len(runs))
    leases = column(maybe(TARGETS), len(runs)) if draw(some([True, False, False])) else None
    counts = None if events == len(runs) and draw(COIN) else runs
    if counts and events > 1 and draw.seldom():  # of a single event they are not looked at
        counts = [*counts[:-1], counts[-1] + 1]
    expected = None
    if draw(COIN):
        expected = [draw.version(tenant, stream) if draw.mostly() else draw(maybe(between(0, 4))) for stream in streams]
    ids = column(EVENT_IDS)
    return [
        tenant,
        draw(MOMENTS),
        streams,
        counts,
        expected,
        leases,
        leases and [draw.lease(tenant, lease or "").epoch for lease in leases],
        ids,
        column(TYPES),
        unless_plain(between(1, 2)),
        column(BAD if draw.seldom() else BODIES),
        unless_plain(some(["", "buyer 1"])),
        unless_plain(SEALED),
        column(MOMENTS),
        unless_plain(STORIES),
        unless_plain(STORIES),
        unless_plain(some(["engine", "person:ö"])),
        len(set(ids)) == len(ids) and len(set(streams)) == len(streams) and not draw.seldom(),
    ]


def _append_one(draw: Draw) -> Sequence[Any]:
    tenant, stream = draw(TENANTS), draw(STREAMS)
    lease = draw(maybe(TARGETS)) if draw.seldom() or draw.seldom() else None
    expected = draw.version(tenant, stream) if draw.mostly() else draw(maybe(between(0, 4)))
    fact = [
        draw(EVENT_IDS),
        draw(TYPES),
        draw(between(1, 2)),
        draw(BAD if draw.seldom() else BODIES),
        draw(some(["", "buyer 1"])),
        draw(SEALED),
    ]
    story = [draw(MOMENTS), draw(maybe(STORIES)), draw(maybe(STORIES)), draw(some(["engine", "person:ö"]))]
    return [tenant, draw(MOMENTS), stream, expected, lease, draw.lease(tenant, lease).epoch if lease else draw(maybe(SMALL)), *fact, *story]


def _put_commands(draw: Draw) -> Sequence[Any]:
    ids = draw(few(COMMAND_IDS, least=1))

    def column(values: Values) -> list[Any]:
        return [draw(values) for _ in ids]

    return [
        draw(TENANTS),
        ids,
        column(TARGETS),
        column(TAGS),
        column(some("ABCD")),
        column(some([10, 50, 70])),
        column(SUBJECTS),
        column(between(1, 3)),
        column(SMALL),
        column(BODIES),
        column(EVENT_IDS),
        draw(MOMENTS),
        draw(LANES_LAST),
        column(MOMENTS),
    ]


def _claim(draw: Draw) -> Sequence[Any]:
    tenant, target, now = draw(TENANTS), draw(TARGETS), draw(MOMENTS) + timedelta(seconds=draw(SMALL))
    until = now + timedelta(seconds=draw(SMALL))
    but = draw(COMMAND_IDS)
    return [
        tenant, target, draw.lease(tenant, target).epoch, draw(few(TAGS, least=1, most=4)), now, until, draw(between(1, 3)),
        [but] if draw.seldom() else [], draw(some([10, 70])), now + timedelta(seconds=draw(some([0, 1, 7, 7]))),
    ]  # fmt: skip


def _rescue(draw: Draw) -> Sequence[Any]:
    tenant, target = draw(TENANTS), draw(TARGETS)
    return [tenant, target, draw.lease(tenant, target).epoch, draw(MOMENTS)]


def _finish(draw: Draw) -> Sequence[Any]:
    tenant, target = draw(TENANTS), draw(TARGETS)
    epoch, commands = draw.lease(tenant, target).epoch, dict(draw.database.outbox.committed(tenant))
    ids = draw(few(COMMAND_IDS, least=1, distinct=True))
    claimed = [key for key, row in commands.items() if row.epoch == epoch and row.called_at is not None]
    if claimed and draw.mostly():
        draw.rng.shuffle(claimed)
        ids = claimed[: draw(between(1, 3))]
    return [tenant, target, epoch, ids, [commands[each].attempt if each in commands and draw.mostly() else 1 for each in ids]]


def _put_back(draw: Draw) -> Sequence[Any]:
    tenant, target, epoch, ids, attempts = _finish(draw)
    return [
        tenant,
        target,
        epoch,
        ids,
        attempts,
        [draw(MOMENTS) for _ in ids],
        [draw(SMALL) for _ in ids],
        [draw(SMALL) for _ in ids],
        [draw(maybe(MOMENTS)) for _ in ids],
        [draw(some(["waiting", "waiting", "buried"])) for _ in ids],
        [draw(some(["", "no\tanswer"])) for _ in ids],
    ]


def _take(draw: Draw) -> Sequence[Any]:
    tenant, target = draw(TENANTS), draw(TARGETS)
    lease_ = draw.lease(tenant, target)
    return [tenant, target, draw(HOLDERS), lease_.epoch, lease_.beat, lease_.holder]


def _hold(draw: Draw) -> Sequence[Any]:
    tenant, target = draw(TENANTS), draw(TARGETS)
    lease_ = draw.lease(tenant, target)
    return [tenant, target, lease_.holder or draw(HOLDERS), lease_.epoch]


def _save_cursor(draw: Draw) -> Sequence[Any]:
    tenant, target = draw(TENANTS), draw(TARGETS)
    return [tenant, draw(NAMES), draw(KEYS), draw(MOMENTS), target, draw.lease(tenant, target).epoch]


def _count_call(draw: Draw) -> Sequence[Any]:
    tenant, target, endpoint = draw(TENANTS), draw(TARGETS), draw(NAMES)
    seen = dict(draw.database.calls.committed(tenant)).get((target, endpoint)) if draw.mostly() else draw(MOMENTS)
    return [tenant, target, endpoint, draw(MOMENTS), seen]


def _keys(draw: Draw) -> Sequence[Any]:
    subjects = sorted(set(draw(few(PEOPLE))))
    return [draw(TENANTS), subjects, [draw.rng.randbytes(3) for _ in subjects], draw(MOMENTS), draw(COIN)]


def _erase(draw: Draw) -> Sequence[Any]:
    return [draw(TENANTS), sorted(set(draw(few(PEOPLE)))), draw(MOMENTS)]


def _tiles(draw: Draw) -> Sequence[Any]:
    places = draw(few(TILES, distinct=not draw.seldom()))
    return [draw(TENANTS), *_columns(places), [draw.rng.randbytes(32 * draw(between(1, 3))) for _ in places]]


def _columns(places: Sequence[tuple[int, int]]) -> list[Any]:
    return [[level for level, _ in places], [nth for _, nth in places]]


def _some_tiles(draw: Draw) -> Sequence[Any]:
    return [draw(TENANTS), *_columns(draw(few(TILES)))]


def documents(draw: Draw) -> list[Any]:
    keys = draw(few(KEYS, most=4, distinct=not draw.seldom()))
    texts = BAD if draw.seldom() else DOCUMENTS
    return [keys, [draw(texts) for _ in keys], [draw(between(1, 6)) for _ in keys]]


def _move(draw: Draw) -> Sequence[Any]:
    tenant, name = draw(TENANTS), draw(NAMES)
    there = dict(draw.database.checkpoints.committed(tenant)).get(name)
    at = there if there is not None and draw.mostly() else (draw(SMALL), 0)
    return [tenant, *documents(draw), name, *at, draw(SMALL), draw(COIN)]


def _of(*values: Values) -> Arguments:
    return lambda draw: [draw(each) for each in values]


WRITES: Mapping[tuple[Any, str], Arguments] = {
    (log, "APPEND"): _append,
    (log, "APPEND_ONE"): _append_one,
    (outbox, "PUT"): _put_commands,
    (outbox, "CLAIM"): _claim,
    (outbox, "RESCUE"): _rescue,
    (outbox, "FINISH"): _finish,
    (outbox, "PUT_BACK"): _put_back,
    (outbox, "REVIVE"): _of(TENANTS, COMMAND_IDS, MOMENTS),
    (lease, "MAKE"): _of(TENANTS, TARGETS),
    (lease, "TAKE"): _take,
    (lease, "BEAT"): _hold,
    (lease, "GIVE_BACK"): _hold,
    (poller, "SAVE_CURSOR"): _save_cursor,
    (limits, "COUNT_CALL"): _count_call,
    (vault, "FIND_OR_ADD_KEYS"): _keys,
    (vault, "ERASE"): _erase,
    (tiles, "PUT"): _tiles,
    (tiles, "FORGET"): _of(TENANTS),
    (guard, "HEED_CALLS"): _of(TENANTS, MOMENTS),
    (reread, "ANEW"): _of(TENANTS, NAMES, CURSORS),
    (resume, "DOUBT"): _of(TENANTS, MOMENTS),
    (resume, "ASKED"): _of(TENANTS, few(TAGS)),
    (resume, "REWRITE"): lambda draw: [draw(TENANTS), draw(COMMAND_IDS), draw(BAD if draw.seldom() else BODIES)],
    (resume, "DROP"): _of(TENANTS, few(COMMAND_IDS)),
    (runner, "BEGIN"): _of(TENANTS, NAMES),
    (rebuild, "AWAIT"): _of(TENANTS, NAMES),
    (rebuild, "SWAPPED"): _of(TENANTS, NAMES, SMALL),
    (rebuild, "ALONE"): _of(some(["a", "b"])),
    (rebuild, "NOT_ALONE"): _of(some(["a", "b"])),
}
EXECUTED = {  # give no rows, but a status
    *("PUT", "RESCUE", "REVIVE", "MAKE", "GIVE_BACK", "BEGIN", "SWAPPED"),
    *("FORGET", "HEED_CALLS", "DOUBT", "REWRITE", "DROP"),
}

# ---------------------------------------------------------------- what only asks

_RUN = (TENANTS, PLACES, PLACES)
_PAGE = (*_RUN, some([RAISED, ["mapping_set"]]), some([CURRENT, ["command_issued:2"]]))
_SHARDS = few(between(0, 15), most=12)


def _last(draw: Draw) -> Sequence[Any]:
    streams = draw(few(STREAMS, least=1))
    parts = [draw(some(["", "A", "true", "1.50"])) for _ in streams]
    return [draw(TENANTS), streams, parts, draw(TYPES), draw(some(["", "key", "value", "list"]))]


READS: Mapping[tuple[Any, str], Arguments] = {
    (log, "HEAD"): _of(TENANTS),
    (log, "READ"): _of(*_RUN),
    (log, "READ_STREAM"): _of(TENANTS, STREAMS, PLACES),
    (log, "READ_NAMING"): _of(*_RUN, few(some(['"A"', "bundle", "\\u00e9"]), most=2)),
    (log, "LAST"): _last,
    (log, "PAGE"): _of(*_PAGE),
    (log, "PAGE_WITH_IDS"): _of(*_PAGE),
    (log, "PAGE_OF_SHARDS"): _of(*_PAGE, _SHARDS),
    (log, "PAGE_SLOWLY"): _of(*_RUN, maybe(_SHARDS)),
    (outbox, "KNOWN"): _of(TENANTS, few(EVENT_IDS)),
    (outbox, "NEXT_DUE"): _of(TENANTS, TARGETS, few(TAGS), few(COMMAND_IDS, most=1), MOMENTS),
    (outbox, "QUEUE"): _of(TENANTS, MOMENTS, LANES_LAST),
    (lease, "LOOK"): _of(TENANTS, TARGETS),
    (poller, "FIND_CURSOR"): _of(TENANTS, NAMES),
    (limits, "LAST_CALLS"): _of(TENANTS, TARGETS),
    (limits, "LAST_CALL"): _of(TENANTS, TARGETS, NAMES),
    (vault, "FIND_KEYS"): _of(TENANTS, few(PEOPLE)),
    (vault, "FIND_ERASED"): _of(TENANTS, few(PEOPLE)),
    (log, "READ_SEALED"): _of(*_RUN),
    (erasure, "RESURRECTED"): _of(TENANTS),
    (erasure, "UNTOLD"): _of(TENANTS),
    (erasure, "LIVING"): _of(TENANTS, SMALL),
    (erasure, "EVER"): _of(TENANTS),
    (privacy, "UNANSWERED"): _of(TENANTS),
    (privacy, "OURS"): _of(TENANTS, few(SHOP_ORDERS)),
    (privacy, "FOLDED"): _of(TENANTS),
    (privacy, "SEALED"): _of(TENANTS, STREAMS),
    (tiles, "EDGE"): _of(TENANTS),
    (tiles, "FIND"): _some_tiles,
    (guard, "AT"): _of(TENANTS, PLACES),
    (reread, "READINGS"): _of(TENANTS),
    (resume, "WAITING"): _of(TENANTS),
    (resume, "UNKNOWN"): _of(TENANTS, PLACES),
    (resume, "BEHIND"): _of(TENANTS),
    (resume, "ROW"): _of(TENANTS, KEYS),
    (runner, "STANDS"): _of(TENANTS, NAMES),
    (chain, "END"): _of(TENANTS),
    (chain, "HASH_AT"): _of(TENANTS, PLACES),
    (chain, "COPY_PAGE"): _of(*_RUN),
    (book, "FIND_WORD"): _of(TENANTS, KEYS),
    (book, "FIND_ORDER_ROW"): _of(TENANTS, KEYS),
    (book, "FIND_ORDER_ROWS"): _of(TENANTS, few(KEYS)),
    (book, "FIND_STOCKS"): _of(TENANTS, few(KEYS)),
    (book, "FIND_MADE_OF"): _of(TENANTS, few(KEYS, most=1), few(some(['"A"', '"B"', "a"]))),
    (book, "FIND_COUNTED_AS"): _of(TENANTS, few(some(["gid://1", "gid://2"]))),
    (book, "NEXT_ITEMS"): _of(TENANTS, KEYS, SMALL),
    (book, "FIND_CURSOR"): _of(TENANTS, NAMES),
    (publisher, "FOLDED"): _of(TENANTS, few(NAMES)),
    (publisher, "NEXT"): _of(TENANTS, SMALL, KEYS, between(1, 4)),
    (publisher, "ROWS"): _of(TENANTS, few(KEYS)),
    (publisher, "RECIPES"): _of(TENANTS),
    (publisher, "UNDER_WAY"): _of(TENANTS, KEYS),
    (publisher, "READ_AT"): _of(TENANTS, few(NAMES)),
    (publisher, "HEARD_AT"): _of(TENANTS, few(PLACES)),
    (oversells, "PUBLICATION"): _of(TENANTS, KEYS),
    (watch, "OPEN"): _of(TENANTS),
    (desk, "ALL"): _of(TENANTS, COIN),
    (desk, "ONE"): _of(TENANTS, KEYS),
    (desk, "SINCE"): _of(TENANTS, few(PLACES)),
    (desk, "BURIED"): _of(TENANTS, SUBJECTS),
    (desk, "WORDS_SAID"): _of(TENANTS),
    (desk, "ONE_WORD"): _of(TENANTS, KEYS),
    (trace, "FIND_ORDER"): _of(TENANTS, some(["A", "#1", "7", "gid://shopify/Order/7"])),
    (explain, "SENT"): _of(TENANTS, STREAMS, PLACES, KEYS),
    (explain, "FIRST_AFTER"): _of(TENANTS, STREAMS, PLACES, PLACES, few(TYPES)),
    (explain, "LAST_BEFORE"): _of(TENANTS, STREAMS, PLACES, TYPES),
    (explain, "RECIPES"): _of(TENANTS, PLACES),
    (explain, "SKUS"): _of(TENANTS),
    (recompute, "FILES"): _of(TENANTS, PLACES),
    (replay_with, "STORED"): _of(*_RUN),
    (database, "FIRST_AFTER"): _of(TENANTS, MOMENTS),
    (report, "CHECKPOINTS"): _of(TENANTS),
    (report, "QUEUE"): _of(TENANTS),
    (report, "CURSORS"): _of(TENANTS),
    (report, "LEASES"): _of(TENANTS),
    (report, "OPEN"): _of(TENANTS),
    (proof, "COUNT_EVENTS"): _of(TENANTS),
    (proof, "UNKNOWN"): _of(TENANTS),
    (proof, "WAITING"): _of(TENANTS),
    (proof, "OPEN"): _of(TENANTS),
    (proof, "STOCK"): _of(TENANTS),
    (migrate, "IS_MIGRATED"): _of(),
    (migrate, "APPLIED"): _of(),
    (line, "PLAN_ONCE"): _of(),
    (line, "PLAN_AS_BEFORE"): _of(),
    (runner, "WAIT_LONG"): _of(),
    (runner, "WAIT_AS_BEFORE"): _of(),
}

SETTINGS = {"PLAN_ONCE", "PLAN_AS_BEFORE", "WAIT_LONG", "WAIT_AS_BEFORE"}

# Found by the words around it, with no rows in any order: nobody asks for one.
UNORDERED = {"engine.outbox.CLAIM", "engine.outbox.FINISH", "engine.outbox.PUT_BACK"}
TABLES = [projection.name for projection in PROJECTIONS]


def name_of(place: tuple[Any, str]) -> str:
    module, constant = place
    return f"{module.__name__}.{constant}"


def _call(place: tuple[Any, str], draw: Draw, arguments: Arguments) -> Call:
    module, constant = place
    how = "execute" if constant in EXECUTED | SETTINGS else "binary" if constant == "COPY_PAGE" else "fetch"
    return Call(name_of(place), getattr(module, constant), tuple(arguments(draw)), how)


COMMON = [
    *[(log, "APPEND")] * 4,
    *[(log, "APPEND_ONE")] * 4,
    *[(outbox, each) for each in ("PUT", "PUT", "CLAIM", "CLAIM", "FINISH", "PUT_BACK")],
    *[(lease, "TAKE"), (lease, "BEAT"), "move", "move", "move"],
]


def write(draw: Draw) -> Call:
    """One that changes something, or locks it."""
    places = [*WRITES, *COMMON, "move", "put", "empty"]
    place = places[draw.rng.randrange(len(places))]
    if isinstance(place, tuple):
        return _call(place, draw, WRITES[place])
    table = runner.Table(draw(some(TABLES)))
    match place:
        case "move":
            return Call("runner.Table.move", table.move, tuple(_move(draw)))
        case "put":
            return Call("runner.Table.put", table.put, (draw(TENANTS), *documents(draw)), "execute")
    return Call("runner.Table.empty", table.empty, (draw(TENANTS),), "execute")


def read(draw: Draw) -> Call:
    """One that only asks."""
    place = draw(some([*READS, "read", "count", "lines"]))
    if isinstance(place, tuple):
        return _call(place, draw, READS[place])
    table = runner.Table(draw(some(TABLES)))
    match place:
        case "read":
            return Call("runner.Table.read", table.read, (draw(TENANTS), draw(few(KEYS))))
        case "count":
            return Call("runner.Table.count", table.count, (draw(TENANTS),))
    return Call("runner.Table.lines", table.lines, (draw(TENANTS),), "text")


def every_read(draw: Draw) -> list[Call]:
    """Each question once."""
    return [_call(place, draw, arguments) for place, arguments in READS.items()]
