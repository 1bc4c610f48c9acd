"""What a commit makes everybody ask for is read once; and nobody is given what was read before it."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import anyio
import pytest

from engine.log import Log, Page
from engine.together import Together
from tests.conftest import Database
from tests.integration.test_log import append
from tests.machine import Machine, machine

pytestmark = pytest.mark.anyio


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[Machine]:
    async with machine(database) as made:
        yield made


class Slow:
    """Lets readings of the log begin, and end when told to."""

    def __init__(self, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go_on = 0, anyio.Event()
        fetch = log._fetch

        async def slowly(*arguments: Any, **more: Any) -> Any:
            self.begun += 1
            row = await fetch(*arguments, **more)
            await self.go_on.wait()
            return row

        monkeypatch.setattr(log, "_fetch", slowly)


async def test_many_followers_read_a_page_once(engine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    log, pages = engine.log, list[Page]()
    await log.append(append("s", "a"))
    slow = Slow(log, monkeypatch)

    async def follow(ids: bool) -> None:
        pages.append(await log.page(0, 1_000, ids=ids))

    async with anyio.create_task_group() as group:
        for ids in (True, False, True, True, False):
            group.start_soon(follow, ids)
        await anyio.wait_all_tasks_blocked()
        slow.go_on.set()
    assert slow.begun == 1
    assert [page.last for page in pages] == [1] * 5 and all(len(page.event_ids) == 1 for page in pages)
    await log.page(0, 1_000)
    assert slow.begun == 2, "what has been read is not kept"


async def test_who_has_heard_of_a_commit_is_not_given_what_was_read_before_it(engine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    log, found = engine.log, list[int]()
    slow = Slow(log, monkeypatch)

    async def follow() -> None:
        found.append((await log.page(0, 1_000)).last)

    async with anyio.create_task_group() as group:
        group.start_soon(follow)
        with anyio.fail_after(60):
            while not slow.begun:
                await anyio.sleep(0.01)
        await anyio.sleep(0.1)  # it has looked, and found nothing
        await log.append(append("s", "a"))
        group.start_soon(follow)
        await anyio.wait_all_tasks_blocked()
        slow.go_on.set()
    assert sorted(found) == [0, 1]


@pytest.mark.parametrize("trouble", ["cancelled", "fails", "hangs"])
async def test_who_waits_for_a_reader_that_comes_to_nothing_reads_by_himself(trouble: str) -> None:
    together, found, over, scope = Together[str, int](), list[int](), anyio.Event(), anyio.CancelScope()

    async def first() -> int:
        await over.wait()
        raise OSError("gone")

    async def second() -> int:
        return 2

    async def lead() -> None:
        with scope, suppress(OSError):
            await together.read("page", first)

    async def join() -> None:
        found.append(await together.read("page", second))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(lead)
            await anyio.wait_all_tasks_blocked()
            async with anyio.create_task_group() as joined:
                joined.start_soon(join)
                await anyio.wait_all_tasks_blocked()
                assert not found
                if trouble == "fails":
                    over.set()
                elif trouble == "cancelled":
                    scope.cancel()
            scope.cancel()
    assert found == [2]
