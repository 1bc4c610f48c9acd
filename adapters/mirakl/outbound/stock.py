"""Quantities: STO01, and what became of a file: STO02, STO03."""

from collections.abc import Mapping, Sequence

import aiohttp

from adapters.http import scrub
from adapters.mirakl import answers
from adapters.mirakl.client import Client
from adapters.mirakl.endpoints import IMPORT_ERRORS, IMPORT_STATUS, IMPORT_STOCK
from adapters.mirakl.translate.stock import error_report, stock_file, unwritable
from adapters.mirakl.translate.values import UnreadableError
from engine.adapter import Answer, Done, Effect, NotYet, Task
from engine.errors import UnavailableError, UnknownOutcomeError
from schemas.commands import PublishStock, SettleStockImport
from schemas.events.inventory import StockImportFinished, StockImportStarted
from schemas.values import Sku

FRESH = 300.0  # seconds since a file was decided on, within which it may leave: what waits through an outage may be sold meanwhile
AT_WORK = frozenset({"WAITING", "RUNNING", "QUEUED", "PENDING"})  # on a stock file; the last two: an SDK's, and other operations'


async def publish_stock(client: Client, tasks: Sequence[Task[PublishStock]]) -> Sequence[Answer]:
    """STO01 touches quantities and nothing else. Taken is not done: `settle_stock_import` follows the file to its end."""
    [task] = tasks
    command, file = task.command, stock_file(task.command.quantities)

    def form() -> aiohttp.FormData:
        data = aiohttp.FormData()
        data.add_field("file", file, filename="stock.csv", content_type="text/csv")
        return data

    reply = await client.send(IMPORT_STOCK, form=form, expect="json")
    import_id = str(client.read(IMPORT_STOCK, reply, answers.ImportAccepted).import_id or "")
    if not import_id:
        raise UnknownOutcomeError("a file was taken without an import_id", target=client.http.target, endpoint=IMPORT_STOCK.code)
    event = StockImportStarted(channel=command.channel, import_id=import_id, quantities=command.quantities)
    return [Done((Effect(event, import_id),))]


async def settle_stock_import(client: Client, tasks: Sequence[Task[SettleStockImport]]) -> Sequence[Answer]:
    """COMPLETE with lines in error is normal: success is per line. A status we do not know is an end, and kept as it is.

    A file that is worked on for too long, or whose report cannot be read for so long, is given up: what of it is or will be applied, a
    later reading of the offers shows.
    """
    [task] = tasks
    command, path = task.command, {"import_id": task.command.import_id}
    reply = await client.send(IMPORT_STATUS, path=path, expect="json")
    told = client.read(IMPORT_STATUS, reply, answers.ImportStatus)
    if not told.status:
        raise UnavailableError("an import without a status", target=client.http.target, endpoint=IMPORT_STATUS.code, field="status")
    now, status = client.http.clock.now(), told.status
    given_up = (now - task.issued_at).total_seconds() >= client.settle_within
    if status in AT_WORK:
        if not given_up:
            return [NotYet(client.settle_every)]
        status = "STUCK"
    elif status not in ("COMPLETE", "FAILED"):
        client.metrics.schema_unknown_enum.labels("mirakl", "STO02").inc()
    refused = unwritable(command.quantities)  # these were left out of the file
    if told.has_error_report and status != "STUCK":
        try:
            refused |= await _refused_lines(client, path)
        except UnreadableError:  # an answer, all the same: it must not look like an outage, which would hold up all else
            if not given_up:
                return [NotYet(max(client.settle_every, IMPORT_ERRORS.interval))]
            status = "STUCK"
    event = StockImportFinished(
        channel=command.channel,
        import_id=command.import_id,
        status=status,
        quantities=command.quantities,
        refused=refused,
        told_at=now,
    )
    return [Done((Effect(event, command.import_id),))]


async def _refused_lines(client: Client, path: Mapping[str, str]) -> dict[Sku, str]:
    """Raises UnreadableError."""
    report = await client.send(IMPORT_ERRORS, path=path, expect="text")
    return {sku: scrub(reason) or "no reason given" for sku, reason in error_report(report.body).items()}
