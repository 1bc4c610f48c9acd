"""What people do at the command line: look at what waits for them, settle it, say whose word is whose, hold and release orders.

Everything that changes something is an event with who did it and why. The engine need not run: it sees it when it does.
"""

import getpass
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from engine.errors import EngineError
from engine.log import Append, Log
from engine.outbox import revive
from engine.ports import Ids, RandomIds
from engine.runner import STANDS
from ops.database import open_log
from ops.paper import paper
from ops.report import Environment, print_json
from ops.settings import Settings, read_settings
from ops.trace import find_orders
from projections.exceptions import Trouble
from projections.kinds import KINDS
from projections.mappings import KINDS as WORDS
from projections.mappings import Word, key_of
from schemas.envelope import Fact, event_id
from schemas.events import Event, tag_of
from schemas.events.exceptions import ExceptionAssigned, ExceptionResolved, ExceptionRetried
from schemas.events.people import MappingSet, OrderHeld, OrderRefusalAsked, OrderReleased
from schemas.streams import map_stream
from schemas.values import ChannelId, OrderId

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

ALL = """
SELECT document, position FROM projections.exceptions
WHERE tenant = $1 AND ($2 OR document->>'open' = 'true') ORDER BY key
"""
ONE = "SELECT document FROM projections.exceptions WHERE tenant = $1 AND key = $2"
SINCE = "SELECT recorded_at FROM crossdock.events WHERE tenant = $1 AND position = any($2) ORDER BY position"
BURIED = "SELECT command_id, tag, body FROM crossdock.outbox WHERE tenant = $1 AND subject = $2 AND state = 'buried' ORDER BY command_id"
WORDS_SAID = "SELECT document FROM projections.mappings WHERE tenant = $1 ORDER BY key"
ONE_WORD = "SELECT document FROM projections.mappings WHERE tenant = $1 AND key = $2"

OF_SYSTEMS = ("X76", "X78")  # exceptions about a system as a whole: projections/kinds.py has those about things
CODES = sorted((*KINDS, *OF_SYSTEMS))

SOON = 2.0  # seconds in which an engine that runs takes up what is said here
LOOK_EVERY = 0.05  # seconds

_trouble, _word = msgspec.json.Decoder(Trouble), msgspec.json.Decoder(Word)


class DeskError(EngineError):
    """What was asked for cannot be done; the message says why, and what can."""


class Desk:
    """One person at work on one tenant's log."""

    def __init__(self, pool: Pool, log: Log, settings: Settings, now: datetime, actor: str, *, ids: Ids | None = None) -> None:
        self._pool, self._log, self._settings, self._now, self._ids = pool, log, settings, now, ids or RandomIds()
        self._told = 0  # position of what was said last
        self.actor = f"person:{actor}"

    async def _tell(self, stream: str, event: Event) -> None:
        """A person may say the same twice, and means it twice: the id is drawn."""
        identity = event_id(self._log.tenant, "desk", str(self._ids.new()), tag_of(event))
        fact = Fact(event=event, event_id=identity, occurred_at=self._now, actor=self.actor)
        self._told = (await self._log.append(Append(stream=stream, facts=(fact,)))).last or 0

    async def is_taken_up(self) -> bool:
        """Whether an engine has seen all that was said here."""
        return (await self._pool.fetchval(STANDS, self._log.tenant, "exceptions") or 0) >= self._told

    # ------------------------------------------------------------ exceptions

    async def troubles(self, *, closed: bool) -> list[Trouble]:
        rows = await self._pool.fetch(ALL, self._log.tenant, closed)
        return sorted((_trouble.decode(row["document"]) for row in rows), key=lambda trouble: trouble.urgency)

    async def trouble(self, key: str) -> Trouble:
        """By its key, or by as much of it as fits only one that is open."""
        document = await self._pool.fetchval(ONE, self._log.tenant, key)
        if document is not None:
            return _trouble.decode(document)
        fitting = [trouble for trouble in await self.troubles(closed=False) if key in trouble.key]
        match fitting:
            case [one]:
                return one
            case []:
                raise DeskError(f"no open exception is called {key}: see `crossdock exceptions list`")
        raise DeskError(f"{len(fitting)} open exceptions are called {key}: {', '.join(sorted(each.key for each in fitting)[:5])} …")

    async def assign(self, key: str, to: str, reason: str) -> Trouble:
        trouble = await self.trouble(key)
        await self._tell(trouble.subject, ExceptionAssigned(key=trouble.key, to=to, reason=reason))
        return trouble

    async def retry(self, key: str, reason: str) -> Trouble:
        """Let what was refused be asked for anew; what was given up is revived where it lies."""
        trouble = await self.trouble(key)
        if not trouble.open:
            raise DeskError(f"{trouble.key} is closed: {trouble.closed_because}")
        await self._tell(trouble.subject, ExceptionRetried(key=trouble.key, subject=trouble.subject, reason=reason))
        async with self._pool.acquire() as conn, conn.transaction():
            for row in await conn.fetch(BURIED, self._log.tenant, trouble.subject):
                if trouble.key.endswith(f":{row['tag']}") or f":{row['tag']}:" in trouble.key:
                    await revive(conn, self._log.tenant, row["command_id"], self._now)
        return trouble

    async def resolve(self, key: str, reason: str) -> Trouble:
        trouble = await self.trouble(key)
        if not trouble.open:
            raise DeskError(f"{trouble.key} is closed already: {trouble.closed_because}")
        await self._tell(trouble.subject, ExceptionResolved(key=trouble.key, subject=trouble.subject, reason=reason))
        return trouble

    # ------------------------------------------------------------ words

    async def words(self) -> list[Word]:
        return [_word.decode(row["document"]) for row in await self._pool.fetch(WORDS_SAID, self._log.tenant)]

    async def map(self, kind: str, channel: str, name: str, value: str, reason: str, *, replace: bool) -> int:
        """Say it; returns how many exceptions wait for that. DeskError where another word was said before, which is not to be replaced."""
        if kind not in WORDS:
            raise DeskError(f"{kind} is none of {', '.join(WORDS)}")
        if channel not in self._settings.channel_ids:
            raise DeskError(f"no channel is called {channel}: there are {', '.join(self._settings.channel_ids)}")
        document = await self._pool.fetchval(ONE_WORD, self._log.tenant, key_of(kind, channel, name))
        known = _word.decode(document) if document else None
        if known is not None and known.value and known.value != value and not replace:
            raise DeskError(f"{kind} {name} is {known.value} on {channel} already; to say {value!r} instead, add --replace")
        event = MappingSet(channel=ChannelId(channel), kind=kind, name=name, value=value, reason=reason)
        await self._tell(map_stream(event.channel, kind), event)
        return len(known.waiting) if known is not None and value else 0

    # ------------------------------------------------------------ orders

    async def order(self, name: str) -> tuple[ChannelId, OrderId, str]:
        """Channel, id and stream of an order, by either side's number."""
        async with self._pool.acquire() as conn:
            found = await find_orders(conn, self._log, self._log.tenant, self._settings.channel_ids, name)
        if len(found) != 1:
            what = f"{len(found)} orders are" if found else "no order is"
            raise DeskError(f"{what} called {name}: give the number of one, of either side" + (f": {', '.join(found)}" if found else ""))
        channel, _, order_id = found[0].removeprefix("order-").partition(":")
        return ChannelId(channel), OrderId(order_id), found[0]

    async def hold(self, name: str, reason: str) -> OrderId:
        channel, order_id, stream = await self.order(name)
        await self._tell(stream, OrderHeld(channel=channel, order_id=order_id, reason=reason))
        return order_id

    async def release(self, name: str, reason: str) -> OrderId:
        channel, order_id, stream = await self.order(name)
        await self._tell(stream, OrderReleased(channel=channel, order_id=order_id, reason=reason))
        return order_id

    async def refuse(self, name: str, reason: str) -> OrderId:
        channel, order_id, stream = await self.order(name)
        await self._tell(stream, OrderRefusalAsked(channel=channel, order_id=order_id, reason=reason))
        return order_id


# ---------------------------------------------------------------- as commands


async def at_the_desk(path: Path, url: str, environment: Environment, actor: str, work: Any) -> int:
    """Open the log and let `work(desk)` do it; its exit code is ours. Says so where no engine takes up what was said."""
    settings = read_settings(path)
    async with open_log(settings, environment, url) as opened:
        desk = Desk(opened.pool, opened.log, settings, opened.clock.now(), actor or getpass.getuser())
        code: int = await work(desk)
        patience = opened.clock.monotonic() + SOON
        while not await desk.is_taken_up():
            if opened.clock.monotonic() > patience:
                paper().print("Noted, and not taken up yet: it takes effect once an engine runs.")
                break
            await opened.clock.sleep(LOOK_EVERY)
        return code


async def show_list(desk: Desk, *, owner: str, code: str, closed: bool, as_json: bool) -> int:
    """Exit code 1 while one is open."""
    found = [trouble for trouble in await desk.troubles(closed=closed) if owner in ("", trouble.owner) and code in ("", trouble.code)]
    if as_json:
        print_json({"exceptions": found})
    elif found:
        print_troubles(paper(), found)
    else:
        paper().print(f"[green]Nothing {'of that kind ' if owner or code else ''}waits for a person.[/]")
    return 1 if any(trouble.open for trouble in found) else 0


def print_troubles(console: Console, found: Sequence[Trouble]) -> None:
    """A few lines each: the key, which the other commands take, stays whole however narrow the terminal."""
    for trouble in found:
        owner = f"{trouble.owner}, {trouble.assigned_to}" if trouble.assigned_to else trouble.owner
        deadline = f"until {trouble.deadline:%Y-%m-%d %H:%M}" if trouble.deadline else ""
        stake = f"{trouble.at_stake} {trouble.at_stake.currency}" if trouble.at_stake else ""
        facts = "  ".join(filter(None, (owner, deadline, stake, "" if trouble.open else "closed")))
        console.print(f"[bold]{escape(trouble.key)}[/]  {escape(facts)}", soft_wrap=True)
        last = f"[cyan]{escape(trouble.next_step)}[/]" if trouble.open else f"[dim]{escape(trouble.closed_because)}[/]"
        for line in (escape(trouble.summary), last):
            console.print(Padding(line, (0, 0, 0, 2), expand=False))


async def show_one(desk: Desk, key: str, *, as_json: bool) -> int:
    trouble = await desk.trouble(key)
    if as_json:
        print_json(trouble)
        return 0
    console = paper()
    kind, state = KINDS.get(trouble.code), "open" if trouble.open else f"closed: {trouble.closed_because}"
    console.print(f"[bold]{trouble.code}[/] {kind.title if kind else ''}   {state}")
    facts: Mapping[str, Any] = {
        "what": trouble.summary,
        "where": trouble.field,
        "about": trouble.subject,
        "owner": trouble.owner + (f", {trouble.assigned_to}" if trouble.assigned_to else ""),
        "severity": trouble.severity,
        "deadline": trouble.deadline,
        "at stake": f"{trouble.at_stake} {trouble.at_stake.currency}" if trouble.at_stake else "",
        "what to do": trouble.next_step,
        "waits for": trouble.waits_for.replace(":", " ", 2),
        "tried again": trouble.retried or "",
        "key": trouble.key,
    }
    for name, value in facts.items():
        if value not in ("", None):
            console.print(f"  {name:<12}{escape(str(value))}")
    return 0


async def show_words(desk: Desk, *, as_json: bool) -> int:
    found = await desk.words()
    if as_json:
        print_json({"words": found})
        return 0
    table = Table(header_style="bold")
    for heading in ("kind", "channel", "name", "is called", "said by", "wait for it"):
        table.add_column(heading)
    for word in found:
        said = ("settings" if word.from_settings else "a person") if word.value else "[red]nobody[/]"
        table.add_row(word.kind, word.channel, word.name, word.value, said, str(len(word.waiting) or "") if not word.value else "")
    paper().print(table if found else "No word of one side has been given a meaning on the other.")
    return 0
