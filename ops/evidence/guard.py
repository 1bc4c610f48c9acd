"""Stops all sending where the log does not continue what was signed of it: a backup was put back, or a standby that had not heard it all.

Then nobody knows here what was asked for in the events that are gone. Reading goes on, so that what came of it is heard again, and a person
says when work may (`crossdock resume`). Every engine looks for itself, before anything leaves and every few seconds.
"""

from dataclasses import dataclass
from typing import Any

import structlog
from msgspec import Struct

from engine.errors import ChainError, EngineError, StartupError
from engine.inbox import own_fact
from engine.log import Append, Log
from engine.metrics import Metrics
from engine.ports import Clock
from ops.evidence.folder import Folder, FolderError, Kept
from ops.evidence.reread import read_anew
from projections.kinds import opened
from schemas.events.exceptions import ExceptionOpened, ExceptionResolved
from schemas.events.people import LogResumed
from schemas.streams import LOG
from schemas.values import TenantId

EVERY = 5.0  # seconds of the event loop between two looks
ROLLED_BACK, ALTERED = f"X96:{LOG}", f"X86:{LOG}"  # keys of the exceptions

AT = """
SELECT coalesce(h.position, 0) AS head, (SELECT e.hash FROM crossdock.events AS e WHERE e.tenant = $1 AND e.position = $2) AS hash
FROM (SELECT) AS here LEFT JOIN crossdock.heads AS h ON h.tenant = $1
"""

# Calls may have been made since that the log does not know of: each ceiling counts from now.
HEED_CALLS = "UPDATE crossdock.calls SET last_at = greatest(last_at, $2) WHERE tenant = $1"

logger = structlog.get_logger()


class RestoredError(EngineError):
    """The database behind a running engine is an earlier one: whatever the engine remembers is of another. It must begin anew."""


class Rollback(Struct, frozen=True):
    """The log does not continue the newest checkpoint."""

    head: int  # where it ends
    lost: Kept
    kept: Kept | None  # the last checkpoint that it does continue; None: there is none

    @property
    def summary(self) -> str:
        signed, since = self.lost.checkpoint, self.kept.checkpoint.size if self.kept else 0
        return (
            f"what was signed at {signed.time.isoformat(timespec='seconds')} of {signed.size} events is not how this log goes on after"
            f" {since}: it was restored to an earlier state, and nothing is sent"
        )


async def rolled_back(pool: Any, log: Log, folder: Folder) -> Rollback | None:
    """None: the log continues the newest checkpoint, or a person has seen that it does not. Raises FolderError."""
    newest = folder.newest()
    if newest is None:
        return None
    head, continues = await _continues(pool, log.tenant, newest)
    if continues or await is_resumed(log, newest):
        return None
    return Rollback(head, newest, await continued(pool, log, folder))


async def continued(pool: Any, log: Log, folder: Folder) -> Kept | None:
    """The last checkpoint that the log continues."""
    for kept in folder.backwards():
        if (await _continues(pool, log.tenant, kept))[1]:
            return kept
    return None


async def _continues(pool: Any, tenant: TenantId, kept: Kept) -> tuple[int, bool]:
    row = await pool.fetchrow(AT, tenant, kept.checkpoint.size)
    return row["head"], kept.checkpoint.size == 0 or row["hash"] == kept.checkpoint.chain


async def resumptions(log: Log) -> list[LogResumed]:
    """What people have said of earlier ones."""
    return [envelope.event for envelope in await log.read_stream(LOG) if isinstance(envelope.event, LogResumed)]


async def is_resumed(log: Log, lost: Kept) -> bool:
    signed = lost.checkpoint
    return any((each.lost_size, each.lost_root) == (signed.size, signed.root.hex()) for each in await resumptions(log))


@dataclass
class Guard:
    """One engine's."""

    pool: Any
    log: Log
    folder: Folder
    clock: Clock
    metrics: Metrics
    rollback: Rollback | None = None
    altered: str = ""  # what of the log is not as it was written
    trouble: str = ""  # why the folder could not be read

    @property
    def allows(self) -> bool:
        """Whether commands may leave."""
        return self.rollback is None and not self.altered

    @property
    def missing(self) -> dict[str, str]:
        """What stands in the way of being ready."""
        if self.rollback is not None:
            return {"log": "restored to an earlier state: crossdock resume"}
        return {"log": f"{self.altered}: crossdock exceptions resolve {ALTERED}"} if self.altered else {}

    async def begin(self) -> None:
        """Before anything leaves. Raises StartupError where the folder cannot be read."""
        self.folder.prepare(self.clock.now())
        try:
            self.rollback = await rolled_back(self.pool, self.log, self.folder)
        except FolderError as error:
            raise StartupError(
                f"the checkpoints cannot be read: {error}. Where the key was changed, give evidence.previous_signing_key, too"
            ) from None
        if self.rollback is not None:
            await self._tell(self.rollback)
        self._show()

    async def run(self) -> None:
        """Until cancelled. Raises RestoredError."""
        async with self.log.listen() as wake:
            while True:
                await (self.clock.sleep(EVERY / self.clock.loop_seconds(1.0)) if self.allows else wake(EVERY))
                await self.look()

    async def look(self) -> None:
        """Whether the log still continues the newest checkpoint. A folder that cannot be read changes nothing. Raises RestoredError."""
        try:
            await self._look()
        except FolderError as error:
            self.trouble = str(error)
        else:
            self.trouble = ""

    async def _look(self) -> None:
        found = await rolled_back(self.pool, self.log, self.folder)
        if found is not None and self.rollback is None:
            self.rollback = found
            raise RestoredError(found.summary)
        if found is None and self.rollback is not None:
            logger.warning("resumed", tenant=self.log.tenant)
        self.rollback = found
        self._show()
        if self.altered and await self._is_settled():
            self.altered = ""

    def _show(self) -> None:
        self.metrics.log_rollback_detected.labels(self.log.tenant).set(int(self.rollback is not None))

    async def audited(self, error: ChainError | None) -> None:
        """The log was looked through, or what is new in it. Nothing is sent from one that was altered, until a person resolves that."""
        if error is None:
            self.altered = ""
            return
        self.metrics.log_verify_failures.labels(self.log.tenant).inc()
        fact = own_fact(self.log.tenant, opened("X86", LOG, str(error)), f"{ALTERED}@{error}", self.clock.now())
        await self.log.append(Append(stream=LOG, facts=(fact,)))
        self.altered = "" if await self._is_settled() else str(error)
        logger.error("log altered", tenant=self.log.tenant, position=error.position)

    async def _is_settled(self) -> bool:
        told = [each.event for each in await self.log.read_stream(LOG)]
        about = [event for event in told if isinstance(event, ExceptionOpened | ExceptionResolved) and event.key == ALTERED]
        return bool(about) and isinstance(about[-1], ExceptionResolved)

    async def _tell(self, found: Rollback) -> None:
        now = self.clock.now()
        await self.pool.execute(HEED_CALLS, self.log.tenant, now)
        await read_anew(self.pool, self.log)
        event = opened("X96", LOG, found.summary)
        fact = own_fact(self.log.tenant, event, f"{ROLLED_BACK}@{found.lost.checkpoint.root.hex()}", now)
        await self.log.append(Append(stream=LOG, facts=(fact,)))
        logger.error("log restored to an earlier state", tenant=self.log.tenant, head=found.head, signed=found.lost.checkpoint.size)
