"""Who sends the files and asks what became of them: a dispatcher that is moved by hand."""

from uuid import UUID

from adapters.mirakl.translate.stock import stock_file
from schemas.commands import Command, PublishStock, SettleStockImport
from schemas.events import tag_of
from schemas.events.commands import CommandRefused
from schemas.events.inventory import StockImportFinished, StockImportStarted
from schemas.values import ChannelId
from tests.simulation.book import Book
from tests.simulation.heard import of_channel
from tests.simulation.trade import Import, Trade


class Dispatcher:
    def __init__(self, trade: Trade, book: Book) -> None:
        self.trade, self.book = trade, book
        self.todo: list[tuple[UUID, Command]] = []  # the outbox

    def send(self, channel: ChannelId, *, lost: bool = False) -> None:
        """STO01, for the oldest file that waits."""
        found = next((each for each in self.todo if isinstance(each[1], PublishStock) and each[1].channel == channel), None)
        if found is None:
            return
        key, command = found
        assert isinstance(command, PublishStock)
        import_id = self.trade.take(channel, stock_file(command.quantities), str(key), command.as_of)
        if not lost:
            self.todo.remove(found)
            event = StockImportStarted(channel=channel, import_id=import_id, quantities=command.quantities)
            self.book.append(of_channel(event, channel, import_id, self.trade.now))

    def refuse(self, channel: ChannelId) -> bool:
        """STO01 says no to the oldest file that waits, unless it had taken it before."""
        found = next((each for each in self.todo if isinstance(each[1], PublishStock) and each[1].channel == channel), None)
        if found is None or any(each.command == str(found[0]) for each in self.trade.imports[channel]):
            return False
        self.trade.tick()
        self.todo.remove(found)
        event = CommandRefused(
            command_id=found[0], command=tag_of(found[1]), subject=found[1].subject, attempt=1, detail="no such file is wanted"
        )
        self.book.append(of_channel(event, channel, str(found[0]), self.trade.now))
        return True

    def settle(self, channel: ChannelId, *, give_up: bool = False) -> None:
        """STO02 and STO03."""
        found = next((each for each in self.todo if isinstance(each[1], SettleStockImport) and each[1].channel == channel), None)
        if found is None:
            return
        self.trade.tick()
        command = found[1]
        assert isinstance(command, SettleStockImport)
        there = self.import_of(channel, command.import_id)
        if there.status == "QUEUED" and not give_up:
            return
        status = "STUCK" if there.status == "QUEUED" else there.status
        there.given_up = status == "STUCK"
        self.todo.remove(found)
        event = StockImportFinished(
            channel=channel,
            import_id=command.import_id,
            status=status,
            quantities=command.quantities,
            refused=there.refused,
            told_at=self.trade.now,
        )
        self.book.append(of_channel(event, channel, command.import_id, self.trade.now))

    def import_of(self, channel: ChannelId, import_id: str) -> Import:
        return next(each for each in self.trade.imports[channel] if each.import_id == import_id)
