"""Statements that mean something only one after the other: a rebuild's, an erasure's and its mending, what comes after a restore."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from engine import erasure, log, outbox, runner, tiles, vault
from ops import privacy
from ops.evidence import guard, resume
from tests.simulation.calls import DOCUMENTS, EVENT_IDS, MOMENTS, TENANTS, Call, Draw, documents, name_of

SHADOW = "shadow_orders_of_a_test"
LANE = timedelta(seconds=0.1)  # that one lane is behind another


def shadow(draw: Draw) -> list[Call]:
    """A table made, filled, compared and dropped, as a rebuild does it, and sometimes otherwise."""
    table, live = runner.Table(SHADOW), runner.Table("orders")
    tenant = draw(TENANTS)
    steps = [
        Call("runner.Table.make_shadow", table.make_shadow, (), "execute"),
        Call("runner.Table.index", table.index, (), "execute"),
        Call("runner.Table.put", table.put, (tenant, *documents(draw)), "execute"),
        Call("runner.Table.difference_from", live.difference_from(table), (tenant,)),
        Call("runner.Table.fill_from", table.fill_from(live), (tenant,), "execute"),
        Call("runner.Table.lines", table.lines, (tenant,), "text"),
        Call("runner.Table.difference_from", live.difference_from(table), (tenant,)),
        Call("runner.Table.drop", table.drop, (), "execute"),
        Call("runner.Table.read", table.read, (tenant, ["A"])),
    ]
    if draw.mostly():
        return steps
    steps.pop(draw.rng.choice([0, 1, 2, 4, 7]))  # without a table; without a key, and then nothing but that
    return [step for step in steps if step.text != table.fill_from(live) or steps[1].text == table.index]


def _call(module: Any, constant: str, *arguments: Any, how: str = "fetch") -> Call:
    return Call(name_of((module, constant)), getattr(module, constant), arguments, how)


def _append(tenant: str, at: datetime, stream: str, kind: str, draw: Draw, *, sealed: bytes | None = None) -> Call:
    """One event, which nobody has told before."""
    event_id = UUID(int=draw.rng.getrandbits(128))
    plain: Sequence[Any] = [None, None, None, None]
    told = [[event_id], [kind], None, ["{}"], [stream], None if sealed is None else [sealed], [at], None, None, None, True]
    return _call(log, "APPEND", tenant, at, [stream], *plain, *told)


def forgotten(draw: Draw) -> list[Call]:
    """Two subjects: the log knows of one that it is erased, the keys know it of the other, as after a restore. Then both know of both."""
    tenant, at = draw(TENANTS), draw(MOMENTS)
    one, two = (f"order-{draw.rng.randrange(1000)}:{which}" for which in ("told", "done"))
    look = [_call(erasure, constant, tenant) for constant in ("RESURRECTED", "UNTOLD", "EVER")] + [_call(vault, "FIND_ANY_KEY", tenant)]
    heard = [_call(vault, "FIND_OR_ADD_KEYS", tenant, [two, one], [b"2", b"1"], at, draw.mostly())]
    return [
        *heard,
        _append(tenant, at, one, "shop_order_seen", draw, sealed=b"KEYNAME1one"),
        _append(tenant, at, one, "subject_erased", draw),
        _call(vault, "ERASE", tenant, [two], at),
        *look,
        *heard,  # of an erased one again: there is no key, and none is made
        _append(tenant, at, two, "shop_order_seen", draw, sealed=vault.NOTHING),
        Call("BEGIN", "BEGIN;", (), "execute"),
        _call(vault, "ERASE", tenant, [two, one], at),
        _append(tenant, at, two, "subject_erased", draw),
        *look,
        Call("COMMIT", "COMMIT;" if draw.mostly() else "ROLLBACK;", (), "execute"),
        *look,
        _call(erasure, "LIVING", tenant, 2),
        _call(vault, "FIND_ERASED", tenant, [one, two]),
        _call(privacy, "SEALED", tenant, one),
    ]


def asked_for(draw: Draw) -> list[Call]:
    """Somebody wants to be forgotten, and is."""
    tenant, at, stream = draw(TENANTS), draw(MOMENTS), f"privacy-{draw.rng.randrange(1000)}"
    table, shop_order = runner.Table("orders"), "gid://shopify/Order/8"
    return [
        _append(tenant, at, stream, "privacy_asked", draw),
        _call(privacy, "UNANSWERED", tenant),
        Call("runner.Table.put", table.put, (tenant, ["B"], [f'{{"shop_order":"{shop_order}"}}'], [1]), "execute"),
        _call(privacy, "OURS", tenant, [shop_order, "7"]),
        _append(tenant, at, stream, "privacy_answered", draw),
        _call(privacy, "UNANSWERED", tenant),
    ]


def restored(draw: Draw) -> list[Call]:
    """Orders are seen in the shop that the log does not know there; what waits is doubted, and what was signed looked for."""
    tenant, at = draw(TENANTS), draw(MOMENTS)
    table, key = runner.Table("orders"), f"r:{draw.rng.randrange(1000)}"
    return [
        Call("runner.Table.put", table.put, (tenant, [key, "s:1"], ['{"shop_order":null}', draw(DOCUMENTS)], [1, 2]), "execute"),
        Call("runner.Table.put", runner.Table("aftercare").put, (tenant, [key], [draw(DOCUMENTS)], [1]), "execute"),
        _call(resume, "ROW", tenant, key),
        _append(tenant, at, f"order-{key}", "shop_order_seen", draw),
        _append(tenant, at, f"order-{key}", "shop_order_seen", draw),
        _append(tenant, at, "order-s:1", "shop_order_seen", draw),
        _call(resume, "UNKNOWN", tenant, 0),
        _put(tenant, at, f"order-{key}", "create_shop_order", draw),
        _put(tenant, at, f"order-{key}", "publish_stock", draw),
        _call(resume, "UNKNOWN", tenant, 0),
        _call(resume, "ASKED", tenant, ["create_shop_order", "publish_stock"]),
        _call(resume, "DOUBT", tenant, at, how="execute"),
        _call(resume, "WAITING", tenant),
        _call(guard, "HEED_CALLS", tenant, at, how="execute"),
        *(_call(guard, "AT", tenant, position) for position in (0, 1, 10_000)),
        _call(tiles, "PUT", tenant, [0, 0, 1], [0, 1, 0], [bytes(32), bytes(64), bytes(32)], how="execute"),
        _call(tiles, "EDGE", tenant),
        _call(tiles, "FIND", tenant, [0, 1, 0], [1, 0, 7]),
    ]


def _put(tenant: str, at: datetime, subject: str, tag: str, draw: Draw) -> Call:
    command_id, story = UUID(int=draw.rng.getrandbits(128)), draw(EVENT_IDS)
    columns = [[command_id], ["shopify"], [tag], ["C"], [50], [subject], [1], [0], ["{}"], [story]]
    return _call(outbox, "PUT", tenant, *columns, at, LANE, [at], how="execute")


def all_of(draw: Draw) -> list[Call]:
    return [*shadow(draw), *forgotten(draw), *asked_for(draw), *restored(draw)]
