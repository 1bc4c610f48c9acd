"""The whole log against its chain, and against every checkpoint that was signed of it."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct

from engine.chain import Verified
from engine.chain import verify as verify_chain
from engine.errors import ChainError
from engine.log import Log
from engine.merkle import Frontier
from ops.evidence.folder import Kept
from ops.evidence.guard import resumptions


class Audited(Struct, frozen=True):
    """The log is as it was written, and as it was signed."""

    verified: Verified
    compared: int  # checkpoints
    newest: Kept | None  # of those that the log continues
    lost: int  # checkpoints of events that are gone: a person has seen that, and let work go on


async def audit(
    pool: Any,
    log: Log,
    checkpoints: Iterable[Kept],
    progress: Callable[[int, int], None] | None = None,
    between: Callable[[], Awaitable[None]] | None = None,
) -> Audited:
    """Compute chain and tree of a log again from what is stored. Raises ChainError, with the first position that is not as it was.

    `between`: awaited after each page.
    """
    wanted: dict[int, list[Kept]] = {}
    for each in checkpoints:
        wanted.setdefault(each.checkpoint.size, []).append(each)
    waiting, tree, held = sorted(wanted, reverse=True), Frontier(), list[Kept]()
    failed: list[Kept] = []

    def compare() -> None:
        while waiting and waiting[-1] == tree.size:
            for each in wanted[waiting.pop()]:
                (held if each.checkpoint.root == tree.root() else failed).append(each)

    async def take(entries: Sequence[bytes]) -> None:
        start = 0
        while waiting and waiting[-1] < tree.size + len(entries) - start:
            end = start + waiting[-1] - tree.size
            tree.add(entries[start:end])
            compare()
            start = end
        tree.add(entries[start:])
        compare()
        if between:
            await between()

    compare()
    verified = await verify_chain(pool, log.tenant, progress=progress, entries=take)
    failed += [each for size in sorted(waiting) for each in wanted[size]]
    lost = await _excused(log, failed)
    return Audited(verified, len(held) + lost, max(held, key=lambda each: each.path.name, default=None), lost)


async def _excused(log: Log, failed: Sequence[Kept]) -> int:
    """How many checkpoints fail because of a restore that a person has seen. Raises ChainError for any other."""
    if not failed:
        return 0
    seen = await resumptions(log)
    for each in failed:
        signed = each.checkpoint
        if not any(one.kept < signed.size <= one.lost_size and signed.time <= one.lost_at for one in seen):
            raise ChainError(
                signed.size, f"is not the end of what was signed at {signed.time.isoformat(timespec='seconds')} ({each.path.name})"
            )
    return len(failed)
