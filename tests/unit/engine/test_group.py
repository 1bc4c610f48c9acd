"""Group commit by itself: who waits for whom, and what becomes of those who are cancelled or at fault."""

import asyncio
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from engine.group import GroupCommit

pytestmark = pytest.mark.anyio


class Store:
    """Where groups are brought: takes them only when told to, if `open` is not set."""

    def __init__(self, limit: int = 100) -> None:
        self.sent: list[list[str]] = []
        self.gate = anyio.Event()
        self.group = GroupCommit(self.send, self.divides, size=len, limit=limit)

    async def send(self, parcels: Sequence[str]) -> list[str]:
        self.sent.append(list(parcels))
        await self.gate.wait()
        if any(parcel.startswith("bad") for parcel in parcels):
            raise ValueError("one of them is bad")
        if "lost" in parcels:
            raise ConnectionError
        return [parcel.upper() for parcel in parcels]

    @staticmethod
    def divides(error: Exception) -> bool:
        return isinstance(error, ValueError)


async def outcomes(store: Store, *parcels: str) -> dict[str, str]:
    """Everybody comes while the first is on its way."""
    told: dict[str, str] = {}

    async def bring(parcel: str) -> None:
        try:
            told[parcel] = await store.group.commit(parcel)
        except Exception as error:  # noqa: BLE001
            told[parcel] = type(error).__name__

    async with anyio.create_task_group() as group:
        for parcel in parcels:
            group.start_soon(bring, parcel)
            await anyio.wait_all_tasks_blocked()
        store.gate.set()
    return told


async def test_who_comes_while_a_group_is_away_goes_with_the_next() -> None:
    store = Store()
    assert await outcomes(store, "a", "b", "c", "d") == {"a": "A", "b": "B", "c": "C", "d": "D"}
    assert store.sent == [["a"], ["b", "c", "d"]]


async def test_a_group_has_a_limit_but_a_large_parcel_still_goes() -> None:
    store = Store(limit=4)
    await outcomes(store, "a", "bb", "cc", "d", "too large by far", "e")
    assert store.sent == [["a"], ["bb", "cc"], ["d"], ["too large by far"], ["e"]]


async def test_one_at_fault_does_not_take_the_others_along() -> None:
    store = Store()
    told = await outcomes(store, "a", "b", "bad", "c", "bad too")
    assert told == {"a": "A", "b": "B", "bad": "ValueError", "c": "C", "bad too": "ValueError"}


async def test_what_befalls_the_store_befalls_all() -> None:
    store = Store()
    assert await outcomes(store, "a", "lost", "c") == {"a": "A", "lost": "ConnectionError", "c": "ConnectionError"}
    assert store.sent == [["a"], ["lost", "c"]]
    assert await store.group.commit("later") == "LATER"


@pytest.mark.parametrize("who", ["a", "b", "c"])
async def test_whoever_is_cancelled_the_others_are_answered(who: str) -> None:
    """a carries the first group and is sent; b would carry the next."""
    store, told = Store(), dict[str, str]()
    scopes = {name: anyio.CancelScope() for name in "abc"}

    async def bring(parcel: str) -> None:
        with scopes[parcel]:
            told[parcel] = await store.group.commit(parcel)

    async with anyio.create_task_group() as group:
        for parcel in "abc":
            group.start_soon(bring, parcel)
            await anyio.wait_all_tasks_blocked()
        scopes[who].cancel()
        await anyio.wait_all_tasks_blocked()
        store.gate.set()
    assert told.keys() >= set("abc") - {who}
    assert [parcel for group_ in store.sent for parcel in group_] == [parcel for parcel in "abc" if parcel != who or who == "a"]
    assert await store.group.commit("later") == "LATER"


@pytest.mark.parametrize("when", ["just before", "just after"])
async def test_whoever_is_cancelled_as_the_answer_comes_is_let_go_and_the_next_are_answered(when: str) -> None:
    store, told = Store(), dict[str, str]()
    scope = anyio.CancelScope()

    async def bring(parcel: str) -> None:
        told[parcel] = await store.group.commit(parcel)

    async def bring_and_cancel() -> None:
        with scope:
            await bring("a")

    answer = store.group._answer

    async def answer_and_cancel(waiting: Sequence[Any]) -> None:
        await answer(waiting)
        scope.cancel()

    async def accept_and_cancel(waiting: Sequence[Any]) -> None:
        await store.gate.wait()
        scope.cancel()
        await answer(waiting)

    store.group._answer = answer_and_cancel if when == "just after" else accept_and_cancel  # type: ignore[method-assign,assignment]
    async with anyio.create_task_group() as group:
        group.start_soon(bring_and_cancel)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(bring, "b")
        await anyio.wait_all_tasks_blocked()
        store.gate.set()
    assert told["b"] == "B"
    assert store.sent == [["a"], ["b"]]
    assert await store.group.commit("later") == "LATER"


async def test_a_closing_event_loop_leaves_nobody_waiting() -> None:
    store = Store()
    waiting = [asyncio.ensure_future(store.group.commit(parcel)) for parcel in "abc"]
    await anyio.wait_all_tasks_blocked()
    assert store.group._carrier is not None
    store.group._carrier.cancel()
    told = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 60)
    assert [type(each) for each in told] == [asyncio.CancelledError] * 3
    store.gate.set()
    assert await store.group.commit("later") == "LATER"
