"""Every item there is, now and then, by a bulk operation: a result of any size, read as a stream, some items at a time.

Neither items nor pages are held: of some hundred thousand SKUs only a mark each, to tell which of those that were known are gone. The
cursor holds the line up to which all is told, so whoever comes after a crash goes on there, and what is told twice is no news.

A line tells how things stood at some moment after the operation was asked for: any reading that began later overrules it.
"""

import hashlib
import re
from array import array
from bisect import bisect_left
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
import structlog
from msgspec.structs import replace

from adapters.download import Download
from adapters.shopify import wire
from adapters.shopify.client import TARGET, Client, UnfitError
from adapters.shopify.endpoints import BULK_GET, BULK_ITEMS, ITEMS_GET
from adapters.shopify.inbound import bulk
from adapters.shopify.inbound.paging import batches
from adapters.shopify.inbound.stock import Counts, Met
from adapters.shopify.translate import stock
from engine.adapter import Heard, Sight
from engine.errors import AdapterError, RejectedError, UnavailableError
from schemas.values import Instant, Sku

AT_ONCE = 1_000  # items told in one poll, and known SKUs looked at: committed together with the place where that ended
WAITS = (2.0, 60.0)  # seconds between two looks at an operation under way: at first, and at most. Shopify, bulk operations, 2026-10
TRIES = 3  # to read a result, before another operation is begun
JUST_NOW = timedelta(minutes=1)  # whoever takes over reads everything at once, unless a reading began no longer ago and was told whole

log = structlog.get_logger()


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where it has got to: the cursor, as JSON."""

    whole: Instant | None = None  # when the last one had been told to its end
    since: Instant | None = None  # when that one had begun; None: before this was noted
    due: Instant | None = None  # when the next one begins; None: at once
    operation: str = ""  # the one that is under way
    began: Instant | None = None  # before it was asked for
    ended: Instant | None = None  # when it was found to have ended
    line: int = 0  # of its result, told up to here
    told: bool = False  # to its end
    after: Sku = Sku("")  # of the known SKUs, looked up to here whether they are gone


def progress_of(cursor: str | None) -> Progress:
    """A cursor that is no JSON was written by a version that read page by page: the moment at which it last had begun."""
    if cursor and not cursor.startswith("{"):
        return Progress(whole=datetime.fromisoformat(cursor))
    return msgspec.json.decode(cursor, type=Progress) if cursor else Progress()


def whole_at(cursor: str | None) -> Instant | None:
    """When every item had last been told; None: never yet."""
    return progress_of(cursor).whole


def read_since(cursor: str | None) -> Instant | None:
    """When the last reading of every item that was told to its end had begun; None: nobody knows."""
    return progress_of(cursor).since


@dataclass
class Seen:
    """Which SKUs a result names, eight bytes for each. Taking one for another has a chance of one in 10^8 with 200,000 of them."""

    marks: Sequence[int] = ()  # ascending
    twice: frozenset[int] = frozenset()  # of those that several items have
    unread: frozenset[str] = frozenset()  # items of which nobody can say what SKU they have

    def __contains__(self, sku: Sku) -> bool:
        mark = _mark(sku)
        place = bisect_left(self.marks, mark)
        return place < len(self.marks) and self.marks[place] == mark


def _mark(sku: Sku) -> int:
    return int.from_bytes(hashlib.blake2b(sku.encode(), digest_size=8).digest())


@dataclass
class Whole:
    """An item with all that is below it, as lines."""

    gid: str
    through: int  # the number of lines up to its last one
    line: bytes
    below: list[tuple[str, bytes]] = field(default_factory=list)  # type and line

    def sku(self) -> Sku:
        """Raises msgspec.ValidationError."""
        return Sku((msgspec.json.decode(self.line, type=wire.bulk.BulkItem).sku or "").strip())

    def item(self) -> wire.stock.Item:
        """Raises msgspec.ValidationError."""
        top = msgspec.json.decode(self.line, type=wire.bulk.BulkItem)
        levels = [msgspec.json.decode(line, type=wire.stock.Level) for kind, line in self.below if kind == "InventoryLevel"]
        variants = [msgspec.json.decode(line, type=wire.stock.Sold) for kind, line in self.below if kind == "ProductVariant"]
        return wire.stock.Item(
            id=top.id,
            tracked=top.tracked,
            inventory_levels=wire.frame.Page(nodes=levels, page_info=wire.frame.PageInfo(has_next_page=False)),
            sku=top.sku,
            duplicate_sku_count=top.duplicate_sku_count,
            variants=wire.stock.SoldAs(variants),
        )


async def items_of(lines: AsyncIterator[bytes]) -> AsyncGenerator[Whole]:
    """Each item with its children, which a grouped result has right behind it. Raises RejectedError where it has not."""
    current: Whole | None = None
    number = 0
    async for line in lines:
        try:
            head = msgspec.json.decode(line, type=wire.bulk.BulkLine)
        except (msgspec.DecodeError, RecursionError) as error:
            raise _odd("a line of a bulk result does not fit") from error
        number += 1
        if head.parent is msgspec.UNSET:
            if current is not None:
                yield current
            current = Whole(head.id, number, line)
        elif current is None or head.parent != current.gid:
            raise _odd("a line of a bulk result is not below the one before it")
        else:
            current.below.append((head.kind, line))
            current.through = number
    if current is not None:
        yield current


def _odd(detail: str) -> RejectedError:
    return RejectedError(detail, target=TARGET, endpoint=BULK_GET.name)


@dataclass
class _Result:
    """The result of an operation, open at a line."""

    operation: str
    address: str | None  # None: there is nothing in it
    total: int  # items
    seen: Seen
    items: AsyncGenerator[Whole]
    line: int = 0  # read up to here
    told: int = 0  # items up to there
    contested: list[str] = field(default_factory=list)  # items up to there whose SKU others have, too


class StockSweep:
    name, target = "shopify:stock", TARGET

    def __init__(self, counts: Counts, client: Client, files: Download, every: float) -> None:
        """`every`: seconds from the end of one to the next."""
        self._counts, self._client, self._files, self.every = counts, client, files, every
        self._items = counts.metrics.stock_sweep_items.labels(counts.tenant)
        self._total = counts.metrics.stock_sweep_total.labels(counts.tenant)
        self._open: _Result | None = None
        self._looks = self._tries = 0
        self._given_up = ""  # an operation that came to nothing
        self._begun = False  # one, since it is ours to poll

    def resume(self) -> None:
        self._begun = False

    async def poll(self, cursor: str | None) -> Sight:
        at, now = progress_of(cursor), self._client.clock.now()
        if not at.operation or at.operation == self._given_up:
            return await self._begin(at, now)
        if at.ended is None:
            return await self._wait(at, now)
        try:
            result = await self._result(at)
            return await (self._gone(at, result) if at.told else self._tell(at, result))
        except AdapterError as error:
            await self.aclose()
            self._tries += 1
            if isinstance(error, RejectedError) or self._tries >= TRIES:
                self._given_up = at.operation
            raise

    async def aclose(self) -> None:
        if self._open is not None:
            await self._open.items.aclose()
            self._open = None

    async def _begin(self, at: Progress, now: Instant) -> Sight:
        goes_on = self._begun or (at.since is not None and at.since > now - JUST_NOW)
        if goes_on and at.due is not None and now < at.due:
            return _sight(at, again=(at.due - now).total_seconds())
        self._looks = self._tries = 0
        operation = await bulk.begin(self._client, BULK_ITEMS, group=True)
        if operation is None:
            return _sight(at, again=WAITS[1])
        self._begun = True
        return _sight(Progress(whole=at.whole, since=at.since, operation=operation, began=now), again=WAITS[0])

    async def _wait(self, at: Progress, now: Instant) -> Sight:
        found = await bulk.stands(self._client, at.operation)
        if found is not None and bulk.is_running(found):
            self._looks += 1
            return _sight(at, again=min(WAITS[0] * 1.5**self._looks, WAITS[1]))
        if found is None or found.status != "COMPLETED":
            self._given_up = at.operation
            why = f"{found.status} {found.error_code}" if found else "gone"
            raise UnavailableError(f"a bulk operation came to nothing: {why}", target=TARGET, endpoint=BULK_GET.name)
        return _sight(replace(at, ended=now), again=0.0)

    # ------------------------------------------------------------ what it tells

    async def _tell(self, at: Progress, result: _Result) -> Sight:
        assert at.began is not None
        heard: list[Heard] = []
        async for whole in result.items:
            self._pass(result, whole)
            if result.contested[-1:] != [whole.gid]:
                heard += await self._counted(whole, at)
            if result.told % AT_ONCE == 0:
                self._items.set(result.told)
                return _sight(replace(at, line=result.line), heard, again=0.0)
        self._items.set(result.told)
        read_at, again = self._client.clock.now(), list[Heard]()
        for batch in batches(result.contested):
            again += await self._counts.of(batch, await self._read(batch), self._client.clock.now(), Met())
        heard += stock.one_item_each(self._counts.tenant, again, read_at)
        return _sight(replace(at, line=result.line, told=True), heard, again=0.0)

    async def _counted(self, whole: Whole, at: Progress) -> list[Heard]:
        assert at.began is not None
        try:
            return await self._counts.one(whole.item(), at.began, read_by=at.ended)
        except (msgspec.ValidationError, UnfitError) as error:
            return [self._counts.odd(whole.gid, error, at.began)]

    async def _gone(self, at: Progress, result: _Result) -> Sight:
        """Of the SKUs that were known, those that are not in the result are looked for once more: it mixes moments."""
        known = await self._counts.counted_after(at.after, AT_ONCE)
        if not known:
            now = self._client.clock.now()
            await self.aclose()
            log.info("stock swept", items=result.total, seconds=round((now - (at.began or now)).total_seconds(), 1))
            return _sight(Progress(whole=now, since=at.began, due=now + timedelta(seconds=self.every)), again=self.every)
        missing = {item: None for sku, item in known.items() if sku not in result.seen and item not in result.seen.unread}
        heard: list[Heard] = []
        for batch in batches(list(missing)):
            read_at, met = self._client.clock.now(), Met()
            heard += await self._counts.of(batch, await self._read(batch), read_at, met)
            heard += await self._counts.gone(batch, met, read_at)
        return _sight(replace(at, after=max(known)), heard, again=0.0)

    async def _read(self, items: Sequence[str]) -> list[msgspec.Raw]:
        return (await self._client.ask(ITEMS_GET, {"ids": items}, wire.stock.ItemNodes, size=len(items))).nodes

    # ------------------------------------------------------------ where it tells it

    async def _result(self, at: Progress) -> _Result:
        """The result, open where the cursor stands."""
        if self._open is not None and (self._open.operation, self._open.line) == (at.operation, at.line):
            return self._open
        await self.aclose()
        found = await bulk.stands(self._client, at.operation)
        if found is None:
            raise _odd("a bulk operation is not known any more")
        seen = await self._survey(found.url)
        total = int(found.root_object_count) if re.fullmatch(r"[0-9]{1,18}", found.root_object_count) else 0  # only ever shown
        self._total.set(total)
        result = _Result(at.operation, found.url, total, seen, self._read_on(found.url))
        self._open = result
        while result.line < at.line:
            whole = await anext(result.items, None)
            if whole is None:
                raise _odd("a bulk result is shorter than it was")
            self._pass(result, whole)
        return result

    async def _read_on(self, address: str | None) -> AsyncGenerator[Whole]:
        if address is not None:
            async with aclosing(self._files.lines(address)) as lines, aclosing(items_of(lines)) as items:
                async for whole in items:
                    yield whole

    async def _survey(self, address: str | None) -> Seen:
        """Once through, to know which SKUs there are before any is told: one that several items have is nobody's to count alone."""
        found, unread = array("Q"), set[str]()
        async with aclosing(self._read_on(address)) as items:
            async for whole in items:
                try:
                    sku = whole.sku()
                except msgspec.ValidationError:
                    unread.add(whole.gid)
                else:
                    found.extend([_mark(sku)] if sku else ())
        ordered = array("Q", sorted(found))
        twice = frozenset(mark for place, mark in enumerate(ordered) if place and mark == ordered[place - 1])
        return Seen(ordered, twice, frozenset(unread))

    def _pass(self, result: _Result, whole: Whole) -> None:
        result.line, result.told = whole.through, result.told + 1
        if result.seen.twice and whole.gid not in result.seen.unread:
            with suppress(msgspec.ValidationError):  # the file was another when it was surveyed; whoever counts the item will name it
                if (sku := whole.sku()) and _mark(sku) in result.seen.twice:
                    result.contested.append(whole.gid)


def _sight(at: Progress, heard: Sequence[Heard] = (), *, again: float) -> Sight:
    return Sight(heard, msgspec.json.encode(at).decode(), again)
