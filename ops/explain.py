"""Why a channel was told the number that it was: the arithmetic, made again from the log, and the events that each term rests on."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeAlias

import asyncpg
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.markup import escape

from engine.log import Log
from ops.paper import Column, print_fitted
from ops.sentences import describe
from projections.desired import Mode, Term, desired
from projections.recipes import read_recipe
from projections.stock import Stock, inventory
from projections.stock_rules import Rules
from schemas.commands import PublishStock
from schemas.envelope import Envelope
from schemas.events import tag_of
from schemas.events.channels import RulesApplied
from schemas.events.commands import CommandBuried, CommandIssued, CommandRefused
from schemas.events.inventory import StockImportFinished, StockModeSet
from schemas.streams import SETTINGS, offers_stream
from schemas.values import ChannelId, Instant, Sku, TenantId

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

SENT = """
SELECT position FROM crossdock.events
WHERE tenant = $1 AND stream = $2 AND position <= $3 AND type = 'command_issued'
    AND data #>> '{command,type}' = 'publish_stock' AND data #> array['command', 'quantities', $4] IS NOT NULL
ORDER BY version DESC LIMIT 1
"""
FIRST_AFTER = """
SELECT position FROM crossdock.events
WHERE tenant = $1 AND stream = $2 AND position > $3 AND position <= $4 AND type = any($5) ORDER BY version LIMIT 1
"""
LAST_BEFORE = """
SELECT position FROM crossdock.events WHERE tenant = $1 AND stream = $2 AND position <= $3 AND type = $4 ORDER BY version DESC LIMIT 1
"""
RECIPES = """
SELECT data->>'kind' AS kind, data->>'name' AS name, data->>'value' AS value FROM crossdock.events
WHERE tenant = $1 AND position <= $2 AND type = 'mapping_set' ORDER BY position
"""
SKUS = "SELECT key FROM projections.inventory WHERE tenant = $1 ORDER BY key"

COLUMNS = (
    Column("term", least=10),
    Column("units", "bold", figures=True),
    Column("because", least=16),
    Column("#", "cyan", figures=True),
    Column("our clock"),
    Column("what was heard", least=16),
)
NEAR = 5  # names that are shown beside one that nobody knows
ENDS = [tag_of(kind) for kind in (StockImportFinished, CommandRefused, CommandBuried)]  # of a file


class Basis(Struct, frozen=True):
    """An event, as far as it says why."""

    position: int
    recorded_at: str  # our clock
    occurred_at: str  # theirs
    what: str


class Line(Struct, frozen=True):
    """A term of the arithmetic, and what it rests on."""

    name: str
    units: int  # added; of caps and rules that settle the matter, what is left after them
    rule: str  # which rule, or fact, made it so
    sku: Sku  # of Shopify's; "": of the offer as a whole
    behind: tuple[Basis, ...]


class Explained(Struct, frozen=True, kw_only=True):
    """The number that a channel was told last, and how it came about."""

    channel: ChannelId
    file: Basis  # the command that told it
    sent: int
    recomputed: int | None  # None: by the log there was nothing to say; or see `why_not`
    agrees: bool
    why_not: str = ""  # it cannot be recomputed
    as_of: int  # the log position that it rests on
    orders_at: str  # when the last whole poll of the channel's orders before it had begun; "": there had been none
    rules: Basis | None  # by which
    lines: tuple[Line, ...]
    outcome: Basis | None  # what became of the file; None: nothing yet
    wanted: int | None  # what it would be by all that is known by then; None: nothing would be said


class Asked(Struct, frozen=True, kw_only=True):
    """What the log says of a SKU up to a position."""

    sku: Sku
    position: int
    channels: tuple[Explained, ...]  # that were told of it
    silent: tuple[ChannelId, ...]  # that were not
    known: bool  # whether anything at all was heard of it
    near: tuple[str, ...] = ()  # names like it, where nothing was


async def explain(pool: Pool, log: Log, channels: Sequence[ChannelId], sku: Sku, upto: int) -> Asked:
    """Of each channel, the last number that it was told of an offer up to a position."""
    sent = {channel: await _one(pool, log, SENT, log.tenant, offers_stream(channel), upto, sku) for channel in channels}
    files = [envelope for envelope in sent.values() if envelope is not None]
    views = await _views(pool, log, sku, {upto, *(file_of(envelope).as_of for envelope in files)})
    applied = [envelope for envelope in await log.read_stream(SETTINGS) if envelope.position <= upto]
    case = _Case(pool, log, sku, upto, views, applied)
    known = bool(files) or sku in views[upto].rows
    return Asked(
        sku=sku,
        position=upto,
        channels=tuple([await case.explained(envelope) for envelope in files]),
        silent=tuple(channel for channel, envelope in sent.items() if envelope is None),
        known=known,
        near=() if known else await _near(pool, log.tenant, sku),
    )


@dataclass(frozen=True)
class _Case:
    """An offer, and what is known of it."""

    pool: Pool
    log: Log
    sku: Sku
    upto: int
    views: Mapping[int, "View"]
    applied: Sequence[Envelope]  # rules, in their order

    async def explained(self, file: Envelope) -> Explained:
        command, sku = file_of(file), self.sku
        channel, view = command.channel, self.views[command.as_of]
        ruled = next((each for each in reversed(self.applied) if digest_of(each) == command.rules), None)
        rules, why_not = rules_in(ruled, channel)
        mode = await self._mode(channel, file.position)
        worked = desired(sku, channel, view.rows, rules, Mode(command.mode, command.step)) if rules is not None else None
        known: dict[str, Sequence[Envelope]] = {"mode": [mode] if mode else [], "rules": [ruled] if ruled else []}
        end = await _one(self.pool, self.log, FIRST_AFTER, self.log.tenant, file.stream, file.position, self.upto, ENDS)
        return Explained(
            channel=channel,
            file=_basis(file, sku),
            sent=command.quantities[sku],
            recomputed=worked.units if worked is not None else None,
            agrees=worked is not None and worked.units == command.quantities[sku],
            why_not=why_not,
            as_of=command.as_of,
            orders_at=_time(command.orders_at) if command.orders_at is not None else "",
            rules=_basis(ruled, sku) if ruled is not None else None,
            lines=tuple(_line(term, sku, channel, view, known) for term in worked.terms) if worked is not None else (),
            outcome=_basis(end, sku) if end is not None else None,
            wanted=await self._wanted(channel),
        )

    async def _wanted(self, channel: ChannelId) -> int | None:
        told = await self._mode(channel, self.upto)
        mode = Mode(told.event.mode, told.event.step) if told is not None and isinstance(told.event, StockModeSet) else Mode()
        rules, _ = rules_in(self.applied[-1] if self.applied else None, channel)
        worked = desired(self.sku, channel, self.views[self.upto].rows, rules, mode) if rules is not None else None
        return worked.units if worked is not None else None

    async def _mode(self, channel: ChannelId, position: int) -> Envelope | None:
        stream = offers_stream(channel)
        return await _one(self.pool, self.log, LAST_BEFORE, self.log.tenant, stream, position, tag_of(StockModeSet))


def file_of(envelope: Envelope) -> PublishStock:
    assert isinstance(envelope.event, CommandIssued) and isinstance(envelope.event.command, PublishStock)
    return envelope.event.command


def digest_of(envelope: Envelope) -> str:
    return envelope.event.digest if isinstance(envelope.event, RulesApplied) else ""


def rules_in(applied: Envelope | None, channel: ChannelId) -> tuple[Rules | None, str]:
    """Those of a channel, as they stand in the log; or why there are none to go by."""
    if applied is None or not isinstance(applied.event, RulesApplied) or not applied.event.stock:
        return None, "the log does not hold the rules by which it was made"
    try:
        found = msgspec.json.decode(applied.event.stock, type=dict[ChannelId, Rules])
    except msgspec.ValidationError as error:
        return None, f"this version cannot read the rules by which it was made: {error}"
    return found.get(channel), "" if channel in found else "the rules of then do not name this channel"


# ---------------------------------------------------------------- what was known of the shelf, and by which events


class View(Struct, frozen=True):
    """The rows that an offer's number rests on, at one position; and the events that made each part of them what it is."""

    rows: dict[Sku, Stock]
    behind: dict[tuple[Sku, str], tuple[Envelope, ...]]  # of a row's levels, variant, pace:{channel}, recipe:{channel}, reserved:{order}


async def _views(pool: Pool, log: Log, sku: Sku, positions: Collection[int]) -> dict[int, View]:
    """The shelf of an offer at each of these positions."""
    upto = max(positions)
    shelf = await _shelf(pool, log.tenant, sku, upto)
    rows: dict[Sku, Stock] = {}
    behind: dict[tuple[Sku, str], tuple[Envelope, ...]] = {}
    views: dict[int, View] = {}
    coming = sorted(positions)
    async for envelope in log.naming(shelf, upto):
        while envelope.position > coming[0]:
            views[coming.pop(0)] = View(dict(rows), dict(behind))
        for key in inventory.keys(envelope.event):
            if (name := Sku(key)) in shelf:
                was = rows.get(name) or inventory.initial(name)
                rows[name] = now = inventory.evolve(was, envelope.event)
                _remember(behind, was, now, envelope)
    return views | dict.fromkeys(coming, View(rows, behind))


async def _shelf(pool: Pool, tenant: TenantId, sku: Sku, upto: int) -> set[Sku]:
    """The offer, what it is or ever was made of, and whatever else is or ever was made of the same."""
    made: dict[Sku, set[Sku]] = {}
    for row in await pool.fetch(RECIPES, tenant, upto):
        if row["kind"] in ("sku", "bundle"):
            made.setdefault(Sku(row["name"]), set()).update(read_recipe(row["kind"], row["value"]))
    parts = {sku} | made.get(sku, set())
    return parts | {offer for offer, of in made.items() if of & parts}


def _remember(behind: dict[tuple[Sku, str], tuple[Envelope, ...]], was: Stock, now: Stock, envelope: Envelope) -> None:
    """Whatever this event changed rests on it; what is reserved for an order, on all that changed it since it was nothing."""
    for part, before, after in _parts(was, now):
        if after is None:
            behind.pop((now.sku, part), None)
        elif part.startswith("reserved:"):
            if before != after:
                behind[now.sku, part] = (*behind.get((now.sku, part), ()), envelope)
        elif before != after:
            behind[now.sku, part] = (envelope,)


def _parts(was: Stock, now: Stock) -> Iterable[tuple[str, Any, Any]]:
    """What terms rest on, by name: before and after."""
    yield "levels", was.read_at, now.read_at
    yield "variant", was.variant, now.variant
    for channel in now.recipes | was.recipes:
        yield f"recipe:{channel}", was.recipes.get(channel), now.recipes.get(channel)
    for channel in now.pace:
        yield f"pace:{channel}", was.pace.get(channel), now.pace[channel]
    for order in now.reserved | was.reserved:
        yield f"reserved:{order}", _owing(was, order), _owing(now, order)


def _owing(row: Stock, order: str) -> object:
    return (row.reserved[order], row.contained.get(order)) if order in row.reserved else None


def _line(term: Term, offer: Sku, channel: ChannelId, view: View, known: Mapping[str, Sequence[Envelope]]) -> Line:
    found: dict[int, Envelope] = {}
    for each in _behind(term, offer, channel, view, known):
        found[each.position] = each
    behind = tuple(_basis(found[position], term.sku or offer) for position in sorted(found))
    return Line(term.name, term.value, term.rule, term.sku, behind)


def _behind(term: Term, offer: Sku, channel: ChannelId, view: View, known: Mapping[str, Sequence[Envelope]]) -> Iterable[Envelope]:
    sku = term.sku or offer
    if term.evidence.startswith("reserved:"):  # in whichever row: under that SKU it was sold
        for row in sorted(view.rows):
            yield from view.behind.get((row, term.evidence), ())
        return
    for part in term.evidence.split():
        match part:
            case "recipe":
                yield from view.behind.get((offer, f"recipe:{channel}"), ())
            case "pace":
                yield from view.behind.get((sku, f"pace:{channel}"), ())
            case "mode" | "rules":
                yield from known[part]
            case _:
                yield from view.behind.get((sku, part), ())


# ---------------------------------------------------------------- reading


async def _one(pool: Pool, log: Log, statement: str, *arguments: Any) -> Envelope | None:
    """The event whose position a statement finds."""
    position = await pool.fetchval(statement, *arguments)
    return (await log.read(position - 1, limit=1))[0] if position is not None else None


async def _near(pool: Pool, tenant: TenantId, sku: Sku) -> tuple[str, ...]:
    """Names that somebody may have meant."""
    names: dict[str, str] = {row["key"].casefold(): row["key"] for row in await pool.fetch(SKUS, tenant)}
    if sku in names.values():
        return ()  # it is right, and was heard of later
    return tuple(names[name] for name in get_close_matches(sku.strip().casefold(), names, n=NEAR))


def _basis(envelope: Envelope, sku: Sku) -> Basis:
    what = describe(envelope.event, {}, sku)
    return Basis(envelope.position, _time(envelope.recorded_at), _time(envelope.occurred_at), what)


def _time(moment: Instant) -> str:
    return str(moment.isoformat(timespec="milliseconds")).replace("+00:00", "Z")


# ---------------------------------------------------------------- for people


def print_asked(console: Console, asked: Asked) -> None:
    for each in asked.channels:
        _print_one(console, asked, each)
    for channel in asked.silent:
        console.print(f"[bold]{channel}[/] had not been told anything of {escape(asked.sku)} by #{asked.position}.")


def _print_one(console: Console, asked: Asked, it: Explained) -> None:
    file = f"#{it.file.position}, {_clock(it.file.recorded_at)}"
    polled = f"orders polled at {_clock(it.orders_at)}" if it.orders_at else "no poll of the orders yet"
    rules = f", by the rules of #{it.rules.position}" if it.rules is not None else ""
    console.print(f"[italic][bold]{it.channel}[/] was told [bold]{it.sent}[/] of {escape(asked.sku)} in {file}[/]")
    rows: list[tuple[str, ...]] = []
    of_several = len({line.sku for line in it.lines if line.sku}) > 1
    for line in it.lines:
        name = f"{line.name} {line.sku}" if of_several and line.sku else line.name
        term = (name, str(line.units), line.rule.replace("gid://shopify/Location/", "location "))
        heard = [(str(each.position), _clock(each.recorded_at)[5:], each.what) for each in line.behind] or [("", "", "")]
        rows += ((*(term if number == 0 else ("", "", "")), *event) for number, event in enumerate(heard))
    print_fitted(console, COLUMNS, rows, first_out=("our clock", "what was heard", "#"))
    console.print(f"[dim italic]as of #{it.as_of}{rules}, {polled}[/]")
    if it.why_not:
        console.print(f"[red bold]It cannot be recomputed:[/] {escape(it.why_not)}.")
    elif not it.agrees:
        found = "nothing to say" if it.recomputed is None else str(it.recomputed)
        console.print(f"[red bold]By the log it is {found}, and {it.sent} was sent.[/] Either this version reckons otherwise than the one")
        console.print("that sent it, or the log is not what it was: run `crossdock verify`.")
    else:
        console.print(f"[green]By the log it is {it.recomputed}, as it was sent.[/]")
    console.print(
        f"  #{it.outcome.position} {_clock(it.outcome.recorded_at)} {escape(it.outcome.what)}" if it.outcome else "  No answer to it yet."
    )
    if it.wanted != it.sent:
        console.print(
            f"  By all that is known at #{asked.position} it would be {'nothing to say' if it.wanted is None else it.wanted} now."
        )
    console.print()


def _clock(time: str) -> str:
    return time[:19].replace("T", " ")
