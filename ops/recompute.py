"""Whether every number that was ever sent is the one that the log makes of it: each file's arithmetic, made again at its own position."""

from collections.abc import Mapping
from contextlib import aclosing
from typing import TypeAlias

import asyncpg
from msgspec import Struct
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from engine.log import Log
from ops.explain import digest_of, file_of, rules_in
from ops.sentences import so_many
from projections.desired import Mode, desired, related
from projections.publications import offers_made_of
from projections.stock import Stock, inventory
from projections.stock_rules import Rules
from schemas.envelope import Envelope
from schemas.events import Event
from schemas.streams import SETTINGS
from schemas.values import ChannelId, Sku

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

FILES = """
SELECT position, (data #>> '{command,as_of}')::bigint AS as_of FROM crossdock.events
WHERE tenant = $1 AND position <= $2 AND type = 'command_issued' AND data #>> '{command,type}' = 'publish_stock'
ORDER BY position
"""


class Difference(Struct, frozen=True):
    """A number that is not what the log makes of it."""

    channel: ChannelId
    position: int  # of the command
    sku: Sku
    sent: int
    recomputed: int | None  # None: there was nothing to say; or see `why_not`
    why_not: str = ""  # it cannot be recomputed


class Checked(Struct, frozen=True, kw_only=True):
    files: int
    numbers: int
    agrees: bool
    differences: tuple[Difference, ...]


async def recompute(pool: Pool, log: Log, upto: int) -> Checked:
    """Of all files up to a position. Folds the log once, in memory: as much as the projection of the stock takes."""
    due: dict[int, list[int]] = {}  # the position that a file rests on -> where the file is
    for row in await pool.fetch(FILES, log.tenant, upto):
        due.setdefault(row["as_of"], []).append(row["position"])
    checking = _Checking([envelope for envelope in await log.read_stream(SETTINGS) if digest_of(envelope)])
    files = 0
    async with aclosing(log.pages(0, max(due, default=0))) as pages:
        async for page in pages:
            for position, event in zip(page.places, page.events, strict=True):
                checking.fold(event)
                for place in due.get(position, ()):
                    [envelope] = await log.read(place - 1, limit=1)
                    checking.check(envelope)
                    files += 1
    differences = tuple(checking.differences)
    return Checked(files=files, numbers=checking.numbers, agrees=not differences, differences=differences)


class _Checking:
    """The shelves as far as they are folded."""

    def __init__(self, applied: list[Envelope]) -> None:
        self._applied = {digest_of(envelope): envelope for envelope in applied}
        self._rows: dict[Sku, Stock] = {}
        self._made_of: Mapping[Sku, set[Sku]] | None = None
        self._rules: dict[tuple[str, ChannelId], tuple[Rules | None, str]] = {}
        self.numbers = 0
        self.differences: list[Difference] = []

    def fold(self, event: Event) -> None:
        for key in inventory.keys(event):
            was = self._rows.get(Sku(key)) or inventory.initial(key)
            self._rows[was.sku] = now = inventory.evolve(was, event)
            if now.recipes != was.recipes:
                self._made_of = None

    def check(self, envelope: Envelope) -> None:
        command = file_of(envelope)
        known = (command.rules, command.channel)
        if known not in self._rules:
            self._rules[known] = rules_in(self._applied.get(command.rules), command.channel)
        rules, why_not = self._rules[known]
        if self._made_of is None:
            self._made_of = offers_made_of(self._rows)
        for sku, sent in command.quantities.items():
            names = related(sku, command.channel, self._rows, self._made_of)
            shelf = {name: self._rows[name] for name in names if name in self._rows}
            worked = desired(sku, command.channel, shelf, rules, Mode(command.mode, command.step)) if rules is not None else None
            recomputed = worked.units if worked is not None else None
            self.numbers += 1
            if recomputed != sent:
                self.differences.append(Difference(command.channel, envelope.position, sku, sent, recomputed, why_not))


def print_checked(console: Console, checked: Checked) -> None:
    if checked.agrees:
        console.print(f"[green]{so_many(checked.numbers, 'number')} in {so_many(checked.files, 'file')}, each as the log makes it.[/]")
        return
    table = Table(
        title=f"{len(checked.differences):,} of {so_many(checked.numbers, 'number')} not what the log makes of it", title_justify="left"
    )
    for heading in ("channel", "#", "SKU", "sent", "by the log"):
        table.add_column(heading, justify="right" if heading in ("#", "sent", "by the log") else "left")
    for each in checked.differences:
        found = each.why_not or ("nothing to say" if each.recomputed is None else str(each.recomputed))
        table.add_row(each.channel, str(each.position), escape(each.sku), str(each.sent), escape(found), style="red")
    console.print(table)
