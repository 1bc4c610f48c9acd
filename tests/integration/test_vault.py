"""What is said of people can be read by whoever has the keys, and by nobody once its key is gone."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import anyio
import asyncpg
import pytest
from msgspec.structs import replace

from engine.errors import ErasedError, SchemaError, StartupError
from engine.log import Append
from engine.vault import NOTHING, Vault
from schemas.envelope import Envelope, Fact
from schemas.events import Personal
from schemas.events.orders import DeliveryAddress, DeliveryAddressGiven
from schemas.values import ChannelId, OrderId, TenantId
from tests.conftest import Database
from tests.examples import NOON
from tests.machine import TENANT, Machine, machine

pytestmark = pytest.mark.anyio

MASTER = bytes(32)  # tests.machine's
ADDRESS = DeliveryAddress(first_name="Zoë", last_name="Canary-O'Neill", street_1="1 Łąkowa", email="canary@example.com", notes="😀")


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[Machine]:
    async with machine(database) as made:
        yield made


def heard(number: int = 1, subject: str = "asos:a", personal: Personal | None = ADDRESS) -> Fact:
    event = DeliveryAddressGiven(channel=ChannelId("asos"), order_id=OrderId("a"))
    return Fact(event=event, event_id=UUID(int=number), occurred_at=NOON, personal=personal, subject=subject)


async def append(engine: Machine, *facts: Fact, stream: str = "order-asos:a") -> list[Envelope]:
    before = await engine.log.head()
    await engine.log.append(Append(stream=stream, facts=facts))
    return await engine.log.read(before)


async def test_what_was_sealed_is_opened_and_nothing_of_it_is_in_the_log(engine: Machine) -> None:
    [envelope] = await append(engine, heard())
    assert await engine.vault.open(envelope) == ADDRESS
    row = await engine.pool.fetchval("SELECT events::text FROM crossdock.events")
    for canary in ("Canary", "example.com", "kowa"):
        assert canary not in row
        assert canary.encode().hex() not in row
    [bare] = await append(engine, heard(2, personal=None))
    assert bare.sealed is None and await engine.vault.open(bare) is None


async def test_sealing_is_repeatable_and_bound_to_its_place(engine: Machine) -> None:
    vault = engine.vault
    keys = await vault.keys_for({"a", "b"}, NOON)
    again = await vault.keys_for({"a"}, NOON)
    sealed = vault.seal(keys["a"], "s", UUID(int=1), ADDRESS)
    assert vault.seal(again["a"], "s", UUID(int=1), ADDRESS) == sealed
    others = {
        vault.seal(keys["b"], "s", UUID(int=1), ADDRESS),
        vault.seal(keys["a"], "t", UUID(int=1), ADDRESS),
        vault.seal(keys["a"], "s", UUID(int=2), ADDRESS),
        Vault(engine.pool, TenantId("other"), MASTER).seal(keys["a"], "s", UUID(int=1), ADDRESS),
        sealed,
    }
    assert len(others) == 5


async def test_a_sealed_part_moved_to_another_event_does_not_open(engine: Machine) -> None:
    first, second = await append(engine, heard(1), heard(2))
    with pytest.raises(SchemaError, match="not what was sealed there"):
        await engine.vault.open(replace(second, sealed=first.sealed))


async def test_two_processes_agree_on_one_key(engine: Machine, database: Database) -> None:
    async with machine(database) as other:
        found: list[bytes] = []

        async def ask(vault: Vault) -> None:
            keys = await vault.keys_for({f"asos:{number}" for number in range(30)}, NOON)
            found.append(b"".join(key.name for _, key in sorted(keys.items()) if key))

        async with anyio.create_task_group() as group:
            for vault in (engine.vault, other.vault) * 4:
                group.start_soon(ask, vault)
        assert len(found) == 8 and len(set(found)) == 1
    assert await engine.pool.fetchval("SELECT count(*) FROM crossdock.keys") == 30


async def test_only_for_a_key_alone_is_the_commit_not_waited_for(engine: Machine) -> None:
    """Inside a caller's transaction that would be the caller's commit."""
    for alone, commits in ((True, "off"), (False, "on")):
        async with engine.pool.acquire() as conn, conn.transaction():
            await conn.execute("SET LOCAL synchronous_commit = on")
            await engine.vault._keys_for([f"asos:{alone}"], NOON, conn, alone=alone)
            assert await conn.fetchval("SHOW synchronous_commit") == commits


async def test_an_erasure_holds_at_once_everywhere_and_for_ever(engine: Machine, database: Database) -> None:
    mine, other_subject = await append(engine, heard(1), heard(2, subject="asos:b"))
    async with machine(database) as elsewhere:
        assert await elsewhere.vault.open(mine) == ADDRESS
        assert await engine.erase("asos:a") == {"asos:a"}
        assert await engine.erase("asos:a") == set()
        for vault in (engine.vault, elsewhere.vault):
            with pytest.raises(ErasedError):
                await vault.open(mine)
            assert await vault.open(other_subject) == ADDRESS
            assert await vault.open_all([mine, other_subject]) == [None, ADDRESS]
        [later] = await append(elsewhere, heard(3))
        assert later.sealed == NOTHING, "what is heard of them afterwards is stored without it"
        for envelope in (mine, later):
            with pytest.raises(ErasedError):
                await engine.vault.open(envelope)
        assert await append(elsewhere, heard(1), heard(3)) == [], "and heard again it is the same"
        assert await engine.vault.erased(["asos:a", "asos:b"]) == {"asos:a"}
    assert (await engine.log.read(0))[0] == mine, "the log itself is as it was"


async def test_who_is_erased_before_anything_is_heard_of_them_never_has_a_key(engine: Machine, database: Database) -> None:
    """And whoever seals at that moment waits for what becomes of it."""
    async with machine(database) as elsewhere, anyio.create_task_group() as group:
        heard_of: list[Envelope] = []

        async def hear() -> None:
            heard_of.extend(await append(elsewhere, heard(1)))

        async with engine.pool.acquire() as conn, conn.transaction():
            await engine.vault.erase(conn, ["asos:a"], NOON)
            group.start_soon(hear)
            await anyio.sleep(0.2)
            assert heard_of == []
        with anyio.fail_after(60):
            while not heard_of:
                await anyio.sleep(0.01)
    assert heard_of[0].sealed == NOTHING
    assert await engine.pool.fetchval("SELECT count(wrapped) FROM crossdock.keys") == 0


async def test_the_engine_cannot_take_an_erasure_back(engine: Machine) -> None:
    await engine.erase("asos:a")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await engine.pool.execute("DELETE FROM crossdock.keys")


async def test_the_keys_are_of_no_use_without_the_master_key(engine: Machine) -> None:
    stolen = Vault(engine.pool, TENANT, bytes(31) + b"\1")
    await stolen.prove()  # nothing is sealed yet
    [envelope] = await append(engine, heard())
    await engine.vault.prove()
    for look in (stolen.prove(), stolen.open(envelope)):
        with pytest.raises(StartupError, match="master key"):
            await look
    key = await engine.vault.keys_for({"asos:a"}, NOON)
    stored: Any = await engine.pool.fetchval("SELECT wrapped FROM crossdock.keys")
    named = key["asos:a"]
    assert named is not None and named.name not in stored and len(stored) == 72


async def test_an_address_of_a_newer_version_is_an_error_and_not_a_guess(engine: Machine) -> None:
    class Moonbase(Personal, tag="moonbase"):
        crater: str

    [envelope] = await append(engine, heard(personal=Moonbase(crater="Tycho")))
    with pytest.raises(SchemaError) as raised:
        await engine.vault.open(envelope)
    assert "Tycho" not in str(raised.value)
