"""Puts what the model knows where a publisher looks for it: into the database in memory that whole plays run on, too."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from adapters.mirakl.inbound.orders import Cursor as Polled
from adapters.shopify.inbound.sweep import Progress
from engine import codec
from engine.runner import encode
from ops.simulate.memory.connection import Connection
from ops.simulate.memory.database import Checkpoint, Cursor, Database
from ops.simulate.memory.documents import Document, Documents, Made
from ops.simulate.memory.events import Event
from ops.simulate.memory.transaction import Transaction
from schemas.values import Instant
from tests.simulation.book import TENANT, Book, Fold
from tests.simulation.readers import SHOP


class OnePool:
    """A pool of one connection, which nobody has to wait for."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.fetch, self.terminate = connection, connection.fetch, connection.terminate

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        yield self.connection


class Shelf:
    """The tables as the model has come to have them."""

    def __init__(self, book: Book, *folds: Fold) -> None:
        self.book, self.folds, self.database = book, folds, Database(at_once=True)
        self._tables: dict[str, Documents] = {}

    def update(self, whole: Mapping[str, Instant], began: Mapping[str, Instant]) -> None:
        """All that is new in the model, committed at once; `whole`: when each source was last read; `began`: when that had begun."""
        log, tx = self.database.log(TENANT), Transaction(self.database, None, alone=True)
        for told in self.book.envelopes[log.ends :]:
            tag, version, data = codec.encode(told.event)
            place: tuple[Any, ...] = (told.position, told.stream, told.version, told.event_id, tag, version, data, "", None)
            log.add(Event((*place, told.occurred_at, told.recorded_at, told.correlation_id, None, told.actor, b"")))
        log.commit()
        for fold in self.folds:
            self._put(tx, fold)
        for name, at in whole.items():
            tx.put(self.database.cursors, TENANT, name, self._cursor(name, at, began.get(name)))
        tx.commit()

    def _put(self, tx: Transaction, fold: Fold) -> None:
        name = fold.projection.name
        there_yet = tx.get(self.database.checkpoints, TENANT, name)
        if there_yet is not None and there_yet.position == fold.position:
            return
        if name not in self._tables:
            self._tables[name] = Documents(name, constraint=f"{name}_pkey")
            tx.put(self.database.catalogue, "", name, Made(self._tables[name]))
        table = self._tables[name]
        for key, position in fold.changed.items():
            there = tx.get(table, TENANT, key)
            if there is None or there.position != position:
                tx.put(table, TENANT, key, Document(encode(fold.rows[key]).decode(), position))
        tx.put(self.database.checkpoints, TENANT, name, Checkpoint(fold.position, 0))

    def _cursor(self, name: str, at: Instant, began: Instant | None) -> Cursor:
        """The shop's has been committed since, as it is many times before it is whole once more."""
        if name != SHOP:
            return Cursor(msgspec.json.encode(Polled(until=at, began=began)).decode(), at)
        return Cursor(msgspec.json.encode(Progress(whole=at, since=began)).decode(), self.book.trade.now)
