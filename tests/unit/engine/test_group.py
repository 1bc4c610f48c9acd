"""Group commit by itself: who waits for whom, and what becomes of those who are cancelled or at fault."""

from collections.abc import Sequence

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


async def test_who_was_made_carrier_and_is_cancelled_at_that_moment_hands_on() -> None:
    store, told = Store(), dict[str, str]()
    scope = anyio.CancelScope()

    async def bring(parcel: str) -> None:
        told[parcel] = await store.group.commit(parcel)

    async def bring_and_cancel() -> None:
        with scope:
            await bring("b")

    async with anyio.create_task_group() as group:
        group.start_soon(bring, "a")
        await anyio.wait_all_tasks_blocked()
        group.start_soon(bring_and_cancel)
        group.start_soon(bring, "c")
        await anyio.wait_all_tasks_blocked()
        hand_over = store.group._hand_over

        def cancel_and_hand_over() -> None:
            scope.cancel()
            hand_over()

        store.group._hand_over = cancel_and_hand_over  # type: ignore[method-assign]
        store.gate.set()
    assert told == {"a": "A", "c": "C"}
    assert store.sent == [["a"], ["c"]]
