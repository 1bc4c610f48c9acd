"""Both systems and the people in them. Everything that changes it is an operation, and every operation is a line in its journal.

What systems do by themselves (routing, a debit, an import) follows from their state and the time, and happens when time passes; what people
do is decided once, journalled with all its particulars, and on a rebuild only carried out again. So the same journal gives the same world.
"""

import contextlib
import hashlib
from collections.abc import Container, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from ops.sandbox import actors as people
from ops.sandbox import buyers, catalogue, past
from ops.sandbox.calls import Ledger
from ops.sandbox.history import History
from ops.sandbox.journal import Entry, Journal, read
from ops.sandbox.mirakl import operations as mirakl
from ops.sandbox.mirakl.state import Account
from ops.sandbox.mirakl.state import Switches as MiraklSwitches
from ops.sandbox.plan import Plan
from ops.sandbox.shopify import operations as shopify
from ops.sandbox.shopify import webhooks
from ops.sandbox.shopify.state import Delivery, Shop
from ops.sandbox.shopify.state import Switches as ShopifySwitches
from ops.sandbox.wire import RefusalError


class World:
    """A new world, at the moment it begins. `now` never runs backwards."""

    def __init__(self, plan: Plan, seed: int, at: datetime, journal: Journal | None = None) -> None:
        plan = msgspec.convert(msgspec.to_builtins(plan), Plan)  # a copy: switches can be moved, each world's its own
        self.now = begun = at - timedelta(days=plan.past.days if plan.past.orders else 0)
        self._journal: Journal | None = None
        self.shop = Shop(seed=seed, created_at=begun, switches=plan.shopify, currency=plan.currency, taxes_included=plan.taxes_included)
        self.account = Account(seed=seed, created_at=begun, switches=plan.mirakl)
        self.actors = people.Actors(seed=seed, plan=plan, began=at)
        self.calls = Ledger()
        self.history = History()
        self._scene = people.Scene(self.actors, self.shop, self.account)
        catalogue.stock_shelves(plan, self.shop, self.account, begun)
        mirakl.begin(self.account, begun)
        if plan.past.orders:
            past.live_through(self, at)
        people.begin(self.actors, at)
        self._observe()
        if journal is not None:
            journal.append(Entry(at, "found", {"plan": msgspec.to_builtins(plan), "seed": seed}))
            self.write_to(journal)

    @classmethod
    def open(cls, path: Path, plan: Plan, seed: int, at: datetime) -> "World":
        """The world of that journal as it was; a new one of that plan and seed if there is none yet."""
        entries = list(read(path))
        if not entries:
            return cls(plan, seed, at, Journal(path))
        world = cls.rebuilt(entries)
        world.write_to(Journal(path))
        return world

    @classmethod
    def rebuilt(cls, entries: Iterable[Entry]) -> "World":
        founding, *others = entries
        world = cls(msgspec.convert(founding.arguments["plan"], Plan), founding.arguments["seed"], founding.at)
        for entry in others:
            world.repeat(entry)
        return world

    def repeat(self, entry: Entry) -> None:
        """Does once more what a journal says. What was refused then is refused again."""
        while self._step(entry.at):
            pass
        self.now = entry.at
        if entry.op != "advance":
            with contextlib.suppress(RefusalError):
                self._perform(entry.op, entry.arguments)

    def write_to(self, journal: Journal) -> None:
        """From here on every operation becomes a line of it."""
        self._journal = journal

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    # ------------------------------------------------------------------------------------------------------ what changes it

    def apply(self, op: str, arguments: dict[str, Any], at: datetime) -> Any:
        """Carries out one operation, once all that was due before it has happened. Raises RefusalError as the operation does.

        Named `shopify.…`, `mirakl.…` or `actors.…`; the line is in the journal before anything changes.
        """
        self.advance(at)
        return self._record(op, arguments)

    def _record(self, op: str, arguments: dict[str, Any]) -> Any:
        written = msgspec.json.decode(msgspec.json.encode(arguments))  # exactly what a rebuild will read
        if self._journal is not None:
            self._journal.append(Entry(self.now, op, written))
        return self._perform(op, written)

    def _perform(self, op: str, arguments: dict[str, Any]) -> Any:
        system, _, operation = op.partition(".")
        try:
            match system:
                case "shopify":
                    return self._noted(op, arguments, shopify.perform(self.shop, operation, arguments, self.now))
                case "mirakl":
                    return self._noted(op, arguments, mirakl.perform(self.account, operation, arguments, self.now))
                case "switch":
                    return self._switch(operation, arguments)
                case "actors":
                    return people.carry_out(self._scene, operation, arguments, self.now)
                case "act":
                    return self._act(operation, arguments)
                case "calls":
                    return self._call(operation, arguments)
            raise ValueError(f"no such operation: {op}")
        except RefusalError as refused:
            self.calls.note(op, arguments, refused=str(refused))
            raise
        finally:
            people.notice(self._scene, self.now)
            self._observe()

    def _noted(self, op: str, arguments: dict[str, Any], result: Any) -> Any:
        self.calls.note(op, arguments, result)
        return result

    def _act(self, system: str, arguments: dict[str, Any]) -> Any:
        """What people do by hand. What makes no sense is refused, now and on every rebuild."""
        do, given = arguments["do"], arguments["given"]
        try:
            if system == "shopify":
                return shopify.perform(self.shop, do, given, self.now)
            return mirakl.perform(self.account, do, given, self.now)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as wrong:
            raise RefusalError(f"{do} does not work like that: {wrong}") from None

    def _call(self, operation: str, arguments: dict[str, Any]) -> Any:
        match operation:
            case "begin":
                return self.calls.begin(**arguments, at=self.now)
            case "end":
                return self.calls.end(**arguments)
            case "met":
                return self.calls.met(**arguments)
        raise ValueError(f"no such operation: calls.{operation}")

    def _observe(self) -> None:
        """Takes down what the quantities of both sides have come to, where they moved."""
        for item in self.shop.moved:
            self.history.counted(self.shop, item, self.now)
        for sku, why in self.account.moved:
            self.history.offered(self.account, sku, why, self.now)
        self.shop.moved.clear()
        self.account.moved.clear()

    def advance(self, until: datetime) -> None:
        """Lets everything happen that is due by then, each at its own time."""
        moved = False
        while True:
            turn = self.actors.agenda.entries[0] if self.actors.agenda.entries else None
            if self._step(until if turn is None else min(until, turn.at)):
                moved = True  # and somebody else may have their turn now
            elif turn is not None and turn.at <= until:
                self.now, moved = max(self.now, turn.at), False
                self._record(f"actors.{turn.what}", people.decide(self._scene, turn))
            else:
                break
        self.now = max(self.now, until)
        if moved and self._journal is not None:  # whoever looks now sees what happened: it must not unhappen
            self._journal.append(Entry(self.now, "advance", {}))

    def _step(self, until: datetime) -> bool:
        """The next thing that the systems do by themselves; at the same moment Shopify goes first. False if nothing is due."""
        shop_at, account_at = self.shop.agenda.next_at, self.account.agenda.next_at
        first = min((at for at in (shop_at, account_at) if at is not None), default=None)
        if first is None or first > until:
            return False
        self.now = max(self.now, first)
        if first == shop_at:
            shopify.advance(self.shop, first)
            people.notice(self._scene, first)
        else:
            mirakl.advance(self.account, first)
        self._observe()
        return True

    # ------------------------------------------------------------------------------------------------------- what is asked

    def next_due(self, beside: Container[int] = ()) -> datetime | None:
        """When something will happen next, a webhook included, save those named."""
        ahead = [self.shop.agenda.next_at, self.account.agenda.next_at, self.actors.agenda.next_at]
        ahead.append(webhooks.next_due(self.shop, beside))
        return min((at for at in ahead if at is not None), default=None)

    def deliveries_due(self) -> list[Delivery]:
        return webhooks.due(self.shop, self.now)

    def buy(self, at: datetime, *, website: bool = False, sku: str | None = None, quantity: int = 1) -> str | int | None:
        """Sends a buyer now. Returns the marketplace's order id or the shop's order number; None if nothing was for sale."""
        self.advance(at)
        n = people.FAR + self.actors.sent + 1
        wanted = buyers.basket(self._scene, n, self.now, website=website, sku=sku, quantity=quantity)
        bought: str | int | None = self._record("actors.buyer", {"n": n, "basket": wanted})
        return bought

    def switch(self, system: str, at: datetime, **values: Any) -> None:
        """Moves switches of `shopify` or `mirakl`, by their names. Raises ValueError for a name or a value that there is not."""
        self._switched(system, values)  # what cannot be must not reach the journal
        self.apply(f"switch.{system}", values, at)

    def _switch(self, system: str, values: dict[str, Any]) -> None:
        switched = self._switched(system, values)
        if isinstance(switched, ShopifySwitches):
            self.shop.switches = switched
        else:
            self.account.switches = switched
            mirakl.switched(self.account, self.now)

    def _switched(self, system: str, values: dict[str, Any]) -> ShopifySwitches | MiraklSwitches:
        if system not in ("shopify", "mirakl"):
            raise ValueError(f"no system is called {system!r}")
        present = self.shop.switches if system == "shopify" else self.account.switches
        if unknown := sorted(values.keys() - set(present.__struct_fields__)):
            raise ValueError(f"{system} has no switch {', '.join(unknown)}")
        return msgspec.convert(msgspec.to_builtins(present) | values, type(present))

    def snapshot(self) -> bytes:
        """Everything, as bytes to compare."""
        return msgspec.json.encode((self.now, self.shop, self.account, self.actors, self.calls, self.history))

    def digest(self) -> str:
        return hashlib.sha256(self.snapshot()).hexdigest()
