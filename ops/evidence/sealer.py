"""Makes checkpoints while an engine runs: every few minutes or so many events, whichever is sooner, signed and kept outside the database.

What is new is read from the log for it, so its chain is checked on the way. Once an hour the whole log is.
"""

import base64
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import structlog

from engine.alarm import Alarm
from engine.chain import Verified
from engine.chain import verify as verify_chain
from engine.errors import ChainError
from engine.log import Fence, Log
from engine.metrics import Metrics
from engine.ports import Clock
from engine.projection import Projection
from engine.rebuild import digest
from engine.tiles import Tree
from ops.evidence.audit import audit
from ops.evidence.folder import Folder, FolderError, Kept
from ops.evidence.guard import Guard, continued
from ops.settings import EvidenceSettings
from schemas.values import Instant

LEASE = "evidence"  # one engine of a tenant makes checkpoints
TICK = 1.0  # seconds of the event loop between two looks at how far the log has come
AUDIT = 3_600.0  # seconds between the end of one look at the whole log and the next
SHARE = 3  # times as long as a page took, the next one waits: what else is to be done goes first
PAUSE = 5.0  # seconds; and no longer than that
DIGESTS = 100  # times as long as the digests took, they stand: rows of a large shop take seconds
HOOK_SECONDS = 60.0  # of the event loop
PENDING = 1_000  # checkpoints that wait for the hook at most; then the oldest are left to the folder
PAGES = 20  # stored at once, while a long log is read for the first time

FOLDED = "SELECT name, position FROM crossdock.checkpoints WHERE tenant = $1 AND name = any($2::text[]) ORDER BY name"

logger = structlog.get_logger()


def checkpoint_text(origin: str, tree: Tree, chain: bytes, now: Instant, digests: Sequence[str]) -> str:
    """What is signed (c2sp.org/tlog-checkpoint): verify.read_checkpoint reads it."""
    lines = [origin, str(tree.size), base64.b64encode(tree.root()).decode(), f"time {now.isoformat()}", f"chain {chain.hex()}", *digests]
    return "".join(line + "\n" for line in lines)


@dataclass
class Sealer:
    """One tenant's. `run` under its lease; `seal` also by a person's command, which does no harm beside it."""

    pool: Any
    log: Log
    folder: Folder
    guard: Guard
    settings: EvidenceSettings
    projections: Sequence[Projection[Any]]
    clock: Clock
    metrics: Metrics
    _digests: list[str] = field(default_factory=list)  # lines of a checkpoint
    _digests_at: float = float("-inf")  # monotonic: when they are due again
    _pending: list[Path] = field(default_factory=list)  # for the hook

    def __post_init__(self) -> None:
        self._tree = Tree(self.pool, self.log.tenant)
        for place in ("folder", "hook"):
            self.metrics.checkpoint_failures.labels(self.log.tenant, place)
        self.metrics.log_verify_failures.labels(self.log.tenant)

    async def run(self, fence: Fence) -> None:
        """Until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._audit_hourly)
            alarm = Alarm(self.log, self.clock, LEASE, "checkpoints")
            due, sealed = self.clock.monotonic(), 0
            while True:
                began = self.clock.monotonic()
                if self.guard.allows and (began >= due or await self.log.head() - sealed >= self.settings.events):
                    sealed, trouble = await self._step(sealed)
                    await alarm.show(fence, {"X97": trouble} if trouble else {})
                    due = began + self.settings.every
                self._show_age()
                await self.clock.sleep(TICK / self.clock.loop_seconds(1.0))

    async def _step(self, sealed: int) -> tuple[int, str]:
        """How far is sealed now, and what is in the way of keeping it."""
        try:
            kept = await self.seal()
        except ChainError as error:
            await self.guard.audited(error)
            return sealed, ""
        except FolderError as error:
            self.metrics.checkpoint_failures.labels(self.log.tenant, "folder").inc()
            return sealed, f"evidence.directory: {error}"
        if self.settings.hook:
            self._pending = [*self._pending, kept.path][-PENDING:]
        return kept.checkpoint.size, self.guard.trouble or await self._hand_on()

    async def seal(self) -> Kept:
        """Bring the tree to the log's end, sign that and keep it. Raises ChainError or FolderError."""
        tenant, tree = self.log.tenant, self._tree
        await tree.load()
        if tree.size > await self.log.head():
            await tree.forget()  # of a log that was longer
        before = await continued(self.pool, self.log, self.folder)
        verified = await self._grow()
        if before is not None and not await self._begins_with(before):
            await tree.forget()  # somebody has written there
            verified = await self._grow()
            if not await self._begins_with(before):
                raise ChainError(before.checkpoint.size, f"is not what was signed as {before.path.name}")
        digests = await self._folded()
        text = checkpoint_text(self.folder.keys[-1].key.name, tree, verified.hash, self.clock.now(), digests)
        self.folder.put(text)
        kept = self.folder.newest()
        assert kept is not None  # that, or what another process has made since
        self.metrics.log_verified_position.labels(tenant).set(verified.position)
        return kept

    async def _grow(self) -> Verified:
        pages = 0

        async def take(entries: Sequence[bytes]) -> None:
            nonlocal pages
            self._tree.add(entries)
            pages += 1
            if pages % PAGES == 0:
                await self._tree.store()

        verified = await verify_chain(self.pool, self.log.tenant, after=self._tree.size, entries=take)
        await self._tree.store()
        return verified

    async def _begins_with(self, kept: Kept) -> bool:
        [root] = await self._tree.roots([(0, kept.checkpoint.size)])
        return root == kept.checkpoint.root

    async def _folded(self) -> list[str]:
        """Each projection's digest and the position that it is of: not always today's."""
        began = self.clock.monotonic()
        if began < self._digests_at:
            return self._digests
        names, lines = [projection.name for projection in self.projections], []
        async with self.pool.acquire() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
            for row in await conn.fetch(FOLDED, self.log.tenant, names):
                found = await digest(conn, row["name"], self.log.tenant)
                lines.append(f"projection {row['name']} {row['position']} {found}")
        now = self.clock.monotonic()
        self._digests, self._digests_at = lines, now + DIGESTS * (now - began)
        return lines

    async def _hand_on(self) -> str:
        """Run the hook with each file that it has not taken yet; what went wrong, if anything did. Its words may hold secrets: not told."""
        while self._pending:
            try:
                with anyio.fail_after(HOOK_SECONDS):
                    words = [*self.settings.hook, str(self._pending[0])]
                    done = await anyio.run_process(words, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                trouble = f"ended with code {done.returncode}" if done.returncode else ""
            except TimeoutError:
                trouble = f"took more than {HOOK_SECONDS:.0f} s"
            except OSError as error:
                trouble = f"{error.strerror}"
            if trouble:
                self.metrics.checkpoint_failures.labels(self.log.tenant, "hook").inc()
                return f"evidence.hook {trouble}; {len(self._pending)} checkpoints wait for it"
            self._pending.pop(0)
        return ""

    async def _audit_hourly(self) -> None:
        while True:
            if self.guard.rollback is None:
                await self._audit()
            await self.clock.sleep(AUDIT)

    async def _audit(self) -> None:
        began = self.clock.monotonic()

        async def between() -> None:
            nonlocal began
            await self.clock.sleep(min(PAUSE, SHARE * (self.clock.monotonic() - began)))
            began = self.clock.monotonic()

        try:
            before = await continued(self.pool, self.log, self.folder)
            await audit(self.pool, self.log, [before] if before else [], between=between)
        except ChainError as error:
            await self.guard.audited(error)
        except FolderError as error:
            logger.warning("checkpoints not read", tenant=self.log.tenant, detail=str(error))
        else:
            await self.guard.audited(None)

    def _show_age(self) -> None:
        if (seen := self.folder.seen) is not None:
            age = (self.clock.now() - seen.checkpoint.time).total_seconds()
            self.metrics.checkpoint_age_seconds.labels(self.log.tenant).set(age)
