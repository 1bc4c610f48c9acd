"""What a publisher's database would answer to each of its statements; one that is not known here is an error."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from adapters.shopify.inbound.sweep import Progress
from ops import publisher as publishing
from schemas.events import tag_of
from schemas.values import Instant
from tests.simulation.book import Book, Fold
from tests.simulation.readers import SHOP


@dataclass
class Database:
    """Answers what the publisher asks, as the tables would."""

    book: Book
    stock: Fold
    files: Fold
    whole: Mapping[str, Instant]  # the cursors: by source, when it was last read whole

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["Database"]:
        yield self

    @asynccontextmanager
    async def transaction(self, **_: Any) -> AsyncIterator[None]:
        yield

    async def fetch(self, statement: str, *arguments: Any) -> list[dict[str, Any]]:
        match statement:
            case publishing.FOLDED:
                return [{"name": fold.projection.name, "position": fold.position} for fold in (self.stock, self.files)]
            case publishing.NEXT:
                _, after, key, limit = arguments
                places = sorted((place, name) for name, place in self.stock.changed.items() if (place, name) > (after, key))
                return [self._row(name, position=place) for place, name in places[:limit]]
            case publishing.ROWS:
                return [self._row(name) for name in sorted(arguments[1]) if name in self.stock.rows]
            case publishing.RECIPES:
                return [self._row(name) for name in sorted(self.stock.rows) if self.stock.rows[name].recipes]
            case publishing.READ_AT:
                return [self._cursor(name, at) for name, at in sorted(self.whole.items()) if name in arguments[1]]
            case publishing.HEARD_AT:
                told = [self.book.envelopes[position - 1] for position in sorted(arguments[1])]
                return [{"position": each.position, "type": tag_of(each.event), "recorded_at": each.recorded_at} for each in told]
        raise NotImplementedError(f"the publisher asks what this database does not know: {statement}")

    async def fetchrow(self, statement: str, *arguments: Any) -> Any:
        assert statement == publishing.UNDER_WAY, f"the publisher asks what this database does not know: {statement}"
        files, key = self.files, arguments[1]
        return {"document": msgspec.json.encode(files.rows[key]), "position": files.changed[key]} if key in files.rows else None

    def _cursor(self, name: str, at: Instant) -> dict[str, Any]:
        """The shop's has been committed since, as it is many times before it is whole once more."""
        if name != SHOP:
            return {"name": name, "cursor": "", "committed_at": at}
        return {"name": name, "cursor": msgspec.json.encode(Progress(whole=at)).decode(), "committed_at": self.book.trade.now}

    def _row(self, name: str, **more: Any) -> dict[str, Any]:
        return {"key": name, "document": msgspec.json.encode(self.stock.rows[name]), **more}
