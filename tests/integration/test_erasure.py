"""Who was erased is gone at once and for good, in one commit or not at all; and nobody else is (P2, P3, P4)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import anyio
import asyncpg
import pytest
from msgspec.structs import replace

from engine.chain import verify
from engine.erasure import all_erased, erase, erase_all, mend, subjects_of
from engine.log import Append
from engine.vault import NOTHING
from ops.privacy import Privacy
from ops.service import PROJECTIONS
from projections.orders import orders
from schemas.envelope import Envelope, Fact, event_id
from schemas.events import Personal, tag_of
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened, ExceptionResolved, RawPayload
from schemas.events.orders import DeliveryAddress, DeliveryAddressGiven
from schemas.events.privacy import PrivacyAnswered, PrivacyAsked, PrivacyAsker, SubjectErased
from schemas.values import ChannelId, OrderId, ShopId
from tests.conftest import Database
from tests.examples import NOON
from tests.machine import TENANT, Machine, machine

pytestmark = pytest.mark.anyio

ANN = DeliveryAddress(first_name="Ann", last_name="Canary", street_1="1 Canary Wharf", email="Ann.Canary@example.com")


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[Machine]:
    async with machine(database, projections=PROJECTIONS) as made:
        yield made


async def given(engine: Machine, order: str, personal: Personal = ANN, number: int = 0, subject: str = "") -> Envelope:
    """An order's address, or something else that is sealed beside an event of it."""
    stream = f"order-asos:{order}"
    event = DeliveryAddressGiven(channel=ChannelId("asos"), order_id=OrderId(order))
    known = len(await engine.log.read_stream(stream))
    fact = Fact(
        event=event,
        event_id=event_id(TENANT, "test", f"{order}:{number or known}", tag_of(event)),
        occurred_at=NOON,
        personal=personal,
        subject=subject or stream,
    )
    await engine.log.append(Append(stream=stream, facts=(fact,)))
    return (await engine.log.read_stream(stream))[-1]


async def forget(engine: Machine, *orders: str, reason: str = "asked for") -> Any:
    subjects = {f"order-asos:{order}": 1 for order in orders}
    return await erase(engine.pool, engine.log, engine.vault, engine.clock, subjects, by="person:cx", reason=reason)


async def whole(engine: Machine) -> list[Envelope]:
    """The log, whose chain is as it was written."""
    found = await verify(engine.pool, TENANT)
    assert found.position == await engine.log.head()
    return await engine.log.read(0)


# ---------------------------------------------------------------- one, and nobody else


async def test_a_receipt_says_what_the_log_says_and_nobody_else_is_touched(engine: Machine) -> None:
    ann, bob = await given(engine, "1"), await given(engine, "2", replace(ANN, first_name="Bob", email="bob@example.com"))
    [receipt] = await forget(engine, "1")
    before, after, told = await whole(engine)
    assert (before, after) == (ann, bob), "the log itself is as it was"
    assert told.event == SubjectErased(subject="order-asos:1", reason="asked for", sealed=1)
    assert (told.stream, told.actor, told.sealed) == ("order-asos:1", "person:cx", None)
    assert (receipt.subject, receipt.position, receipt.digest) == ("order-asos:1", 3, told.hash.hex())
    assert (receipt.erased_at, receipt.by, receipt.sealed, receipt.before) == (told.recorded_at, "person:cx", 1, False)
    assert await engine.log.opened([ann, bob]) == [None, replace(ANN, first_name="Bob", email="bob@example.com")]
    assert await engine.log.erased([ann, bob]) == {ann.event_id}


async def test_repeated_it_is_told_as_it_was_then(engine: Machine) -> None:
    await given(engine, "1")
    [first] = await forget(engine, "1")
    [again] = await forget(engine, "1", reason="to be sure")
    assert again == replace(first, before=True)
    assert [tag_of(each.event) for each in await whole(engine)] == ["delivery_address_given", "subject_erased"]
    assert await all_erased(engine.pool, engine.log) == [again]


async def test_what_is_heard_later_is_kept_without_the_person(engine: Machine) -> None:
    """A poll that shows it again, a new address, a payload nobody can read: each is in the log, and nobody in it."""
    first = await given(engine, "1", number=1)
    await forget(engine, "1")
    assert await given(engine, "1", number=1) != first, "the same fact again is no news …"
    assert [each.event_id for each in await whole(engine) if each.sealed] == [first.event_id]
    for number, personal in enumerate((replace(ANN, street_1="2 Elsewhere"), RawPayload(body='{"name": "Ann Canary"}')), 2):
        later = await given(engine, "1", personal, number=number)
        assert later.sealed == NOTHING and later.subject == "order-asos:1", "… and a new one has nothing sealed beside it"
        assert await engine.log.opened([later]) == [None]
    assert await engine.pool.fetchval("SELECT count(wrapped) FROM crossdock.keys") == 0


# ---------------------------------------------------------------- by e-mail


async def test_an_e_mail_address_finds_every_order_of_that_person_and_of_nobody_else(engine: Machine) -> None:
    await given(engine, "1")
    await given(engine, "2", replace(ANN, email=" ann.canary@EXAMPLE.com "))
    await given(engine, "3", replace(ANN, email="joann.canary@example.com"))
    await given(engine, "4", replace(ANN, email="ann.canary@example.com.au"))
    await given(engine, "5", replace(ANN, email="", notes="ann.canary@example.com knows the door"))
    await given(engine, "6", RawPayload(body='{"email": "ann.canary\\u0040example.com", "x": 1}'), subject="payload-6")
    await given(engine, "7", RawPayload(body='[{"email":"Ann.Canary@example.com"'), subject="payload-7")
    await given(engine, "8", RawPayload(body='{"email":"ann.canary@example.com.au", "m": "x-ann.canary@example.com"}'), subject="payload-8")
    await given(engine, "1", RawPayload(body="{}"))
    found = await subjects_of(engine.log, "ann.canary@example.com")
    assert found == {"order-asos:1": 2, "order-asos:2": 1, "payload-6": 1, "payload-7": 1}
    await erase(engine.pool, engine.log, engine.vault, engine.clock, found, by="person:cx", reason="asked for")
    assert await subjects_of(engine.log, "ann.canary@example.com") == {}
    assert [each.subject for each in await all_erased(engine.pool, engine.log)] == list(found)
    left = [each for each in await engine.log.read(0) if each.sealed is not None]
    readable = {each.subject for each, personal in zip(left, await engine.log.opened(left), strict=True) if personal is not None}
    assert readable == {"order-asos:3", "order-asos:4", "order-asos:5", "payload-8"}


# ---------------------------------------------------------------- cut off


class CutError(Exception):
    pass


@pytest.mark.parametrize("where", ["before the keys", "after the keys", "after the event", "after the commit"])
async def test_cut_off_anywhere_it_is_done_whole_or_not_at_all_and_can_be_done_again(
    engine: Machine, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    await given(engine, "1")
    await given(engine, "2")
    keys, append = engine.vault.erase, engine.log.append_in

    async def erase_keys(*arguments: Any) -> Any:
        if where == "before the keys":
            raise CutError
        done = await keys(*arguments)
        if where == "after the keys":
            raise CutError
        return done

    async def append_event(conn: Any, appends: Any) -> Any:
        done = await append(conn, appends)
        if where == "after the event":
            await conn.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return done

    def ring_bell(*_: Any) -> None:
        raise CutError

    with monkeypatch.context() as patch:
        patch.setattr(engine.vault, "erase", erase_keys)
        patch.setattr(engine.log, "append_in", append_event)
        if where == "after the commit":
            patch.setattr(engine.log, "ring", ring_bell)
        with pytest.raises((CutError, asyncpg.PostgresError, asyncpg.InterfaceError)):
            await forget(engine, "1", "2")
    done = where == "after the commit"
    assert await engine.pool.fetchval("SELECT count(*) FROM crossdock.keys WHERE wrapped IS NULL") == (2 if done else 0)
    assert await engine.tags() == ["delivery_address_given"] * 2 + ["subject_erased"] * (2 if done else 0)
    receipts = await forget(engine, "1", "2")
    assert [each.before for each in receipts] == [done, done]
    assert (await engine.tags()).count("subject_erased") == 2
    assert await engine.pool.fetchval("SELECT count(wrapped) FROM crossdock.keys") == 0
    await whole(engine)


async def test_two_at_once_are_one(engine: Machine, database: Database) -> None:
    for order in "123":
        await given(engine, order)
    async with machine(database) as other, anyio.create_task_group() as group:
        for at, order in ((engine, "123"), (other, "321")) * 3:
            group.start_soon(forget, at, *order)
    assert (await engine.tags()).count("subject_erased") == 3
    await whole(engine)


# ---------------------------------------------------------------- after a restore


async def test_keys_that_were_put_back_are_destroyed_again(engine: Machine) -> None:
    ann = await given(engine, "1")
    kept: Any = await engine.pool.fetchval("SELECT wrapped FROM crossdock.keys")
    await forget(engine, "1")
    await engine.pool.execute("UPDATE crossdock.keys SET wrapped = $1, erased_at = NULL", kept)
    assert await engine.log.opened([ann]) == [ANN], "an old copy of the keys undoes it …"
    assert await mend(engine.pool, engine.log, engine.vault, engine.clock) == 1
    assert await engine.log.opened([ann]) == [None], "… until the engine starts"
    assert (await engine.tags()).count("subject_erased") == 1
    assert await mend(engine.pool, engine.log, engine.vault, engine.clock) == 0


async def test_a_log_that_was_put_back_is_told_who_is_erased(engine: Machine) -> None:
    await given(engine, "1")
    await engine.erase("order-asos:1")
    assert await mend(engine.pool, engine.log, engine.vault, engine.clock) == 1
    [receipt] = await all_erased(engine.pool, engine.log)
    assert receipt.subject == "order-asos:1" and receipt.by == "engine"


# ---------------------------------------------------------------- asked for through Shopify


def asked(kind: Any, *orders: str, stream: str = "privacy-1", email: str = "") -> Append:
    event = PrivacyAsked(
        request=stream, kind=kind, orders=tuple(ShopId(each) for each in orders), asked_at=NOON, due_at=NOON + timedelta(days=30)
    )
    asker = PrivacyAsker(email=email) if email else None
    fact = Fact(event=event, event_id=UUID(int=1), occurred_at=NOON, personal=asker, subject=stream if asker else "", actor="shopify")
    return Append(stream=stream, facts=(fact,))


async def in_shopify(engine: Machine, order: str, gid: str) -> None:
    await engine.pool.execute(
        "INSERT INTO projections.orders (tenant, key, document, position) VALUES ($1, $2, $3::text::json, 1)",
        TENANT,
        f"asos:{order}",
        f'{{"channel": "asos", "order_id": "{order}", "shop_order": "{gid}"}}',
    )


async def folded(engine: Machine, position: int) -> None:
    await engine.pool.execute(
        "INSERT INTO crossdock.checkpoints VALUES ($1, $2, $3, 0) ON CONFLICT (tenant, name) DO UPDATE SET position = $3",
        TENANT,
        orders.name,
        position,
    )


def privacy(engine: Machine) -> Privacy:
    return Privacy(engine.pool, engine.log, engine.vault, engine.clock, engine.metrics)


def oldest(engine: Machine) -> float | None:
    return engine.metrics.registry.get_sample_value("crossdock_erasure_oldest_seconds", {"tenant": TENANT})


async def test_whoever_asks_to_be_forgotten_is_by_order_and_by_e_mail(engine: Machine) -> None:
    gid = "gid://shopify/Order/7"
    for order in "123":
        await given(engine, order, replace(ANN, email=f"{'ann' if order != '2' else 'bob'}@example.com"))
    await in_shopify(engine, "2", gid)
    await engine.log.append(asked("erase", gid, "gid://shopify/Order/8", email="ANN@example.com"))
    work = privacy(engine)
    await work.look()
    assert not await all_erased(engine.pool, engine.log), "not before the orders are known up to it"
    assert (oldest(engine) or 0) > 3600 and "X90:privacy-1" in str(await engine.events()), "an hour later somebody is told"
    await folded(engine, 4)
    await work.look()
    assert {each.subject for each in await all_erased(engine.pool, engine.log)} == {
        "order-asos:1",
        "order-asos:2",
        "order-asos:3",
        "privacy-1",
    }
    assert all(each.by == "shopify" for each in await all_erased(engine.pool, engine.log))
    events = await engine.events()
    assert PrivacyAnswered(request="privacy-1", subjects=3) in events
    assert [type(event) for event in events if isinstance(event, ExceptionOpened | ExceptionClosed)] == [ExceptionOpened, ExceptionClosed]
    assert oldest(engine) == 0
    before = await engine.log.head()
    await work.look()
    assert await engine.log.head() == before


async def test_whoever_asks_what_is_held_is_answered_by_a_person_before_the_deadline(engine: Machine) -> None:
    await given(engine, "1")
    await engine.log.append(asked("disclose", email="ann.canary@example.com"))
    for _ in range(2):
        await privacy(engine).look()
    [opened] = [event for event in await engine.events() if isinstance(event, ExceptionOpened)]
    assert opened.deadline == NOON + timedelta(days=30) and "crossdock disclose privacy-1" in opened.summary
    assert "canary" not in str(opened).casefold()
    assert (oldest(engine) or 0) > 0 and not await all_erased(engine.pool, engine.log)
    resolved = ExceptionResolved(key="X90:privacy-1", subject="privacy-1", reason="told by telephone")
    await engine.append("privacy-1", resolved)
    await privacy(engine).look()
    assert PrivacyAnswered(request="privacy-1", subjects=0, reason="settled by a person") in await engine.events()
    assert [each.subject for each in await all_erased(engine.pool, engine.log)] == ["privacy-1"], "who asked is not needed any more"
    assert oldest(engine) == 0


async def test_a_shop_that_removes_us_is_forgotten_whole(engine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.erasure.AT_ONCE", 3)
    for number in range(7):
        await given(engine, str(number))
    await engine.log.append(asked("erase_all"))
    await privacy(engine).look()
    assert await engine.pool.fetchval("SELECT count(wrapped) FROM crossdock.keys") == 0
    assert len(await all_erased(engine.pool, engine.log)) == 7
    events = await engine.events()
    assert PrivacyAnswered(request="privacy-1", subjects=7) in events
    assert [event.key for event in events if isinstance(event, ExceptionOpened)] == ["X90:privacy-1:gone"]
    await whole(engine)


async def test_one_tenant_is_no_other(engine: Machine) -> None:
    await given(engine, "1")
    await engine.pool.execute("INSERT INTO crossdock.keys VALUES ('another', 'order-asos:1', '\\x00', $1)", NOON)
    assert await erase_all(engine.pool, engine.log, engine.vault, engine.clock, by="person:cx", reason="over") == 1
    assert await engine.pool.fetchval("SELECT wrapped FROM crossdock.keys WHERE tenant = 'another'") == b"\0"


async def test_a_request_that_cannot_be_carried_out_is_told_and_tried_again(engine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something sealed does not open: whose it is nobody can say."""
    with monkeypatch.context() as patch:
        patch.setattr(engine.vault, "seal", lambda key, *_: key.name + b"damaged, and not what was sealed")
        damaged = await given(engine, "1")
    await engine.log.append(asked("erase", email="ann.canary@example.com"))
    await folded(engine, 2)
    for _ in range(2):
        await privacy(engine).look()
    [opened] = [event for event in await engine.events() if isinstance(event, ExceptionOpened)]
    assert opened.key == "X90:privacy-1" and "SchemaError" in opened.summary and opened.deadline is not None
    assert not await all_erased(engine.pool, engine.log) and (oldest(engine) or 0) > 0
    await forget(engine, damaged.stream.partition(":")[2])
    await privacy(engine).look()
    assert PrivacyAnswered(request="privacy-1", subjects=0) in await engine.events() and oldest(engine) == 0
