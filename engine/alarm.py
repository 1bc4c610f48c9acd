"""Trouble with an outside system as a whole: an exception opened once, and closed when its cause is gone, whichever process notices."""

from collections.abc import Mapping

import anyio

from engine.inbox import own_fact
from engine.log import Append, Fence, Log
from engine.ports import Clock
from schemas.events import Event
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened

OVER = "it works again, or nothing waits for it any more"  # one text: told again after a lost commit, it must be the same event


def target_stream(target: str) -> str:
    """What is told of an outside system as a whole."""
    return f"target-{target}"


class Alarm:
    """The troubles with `about`: an outside system, or one of the things that are read there."""

    def __init__(self, log: Log, clock: Clock, target: str, about: str) -> None:
        self._log, self._clock, self._stream, self._about = log, clock, target_stream(target), about
        self._showing = anyio.Lock()  # several notice at once, and what one of them tells, the others must know
        self._turns: dict[str, int] | None = None  # code -> how often it was opened or closed: open where odd; None: not asked yet

    def forget(self) -> None:
        """Ask again what is open: somebody else has led since, or nobody knows what was told last."""
        self._turns = None

    async def show(self, fence: Fence | None, troubles: Mapping[str, str]) -> None:
        """These are the troubles now, by code, each with a line for people; what else was open is over. Raises LeaseLostError."""
        async with self._showing:
            if self._turns is None:
                self._turns = await self._told()
            told = self._turns
            for code in sorted(troubles.keys() | told.keys()):
                turns = told.get(code, 0)
                if (code in troubles) == bool(turns % 2):
                    continue
                key = f"{code}:{self._about}"
                event: Event = (
                    ExceptionOpened(key=key, code=code, subject=self._stream, summary=troubles[code], severity=1)
                    if code in troubles
                    else ExceptionClosed(key=key, reason=OVER, subject=self._stream)
                )
                fact = own_fact(self._log.tenant, event, f"{key}#{turns}", self._clock.now())
                try:
                    await self._log.append(Append(stream=self._stream, facts=(fact,), fence=fence))
                except BaseException:
                    self.forget()  # it may be in the log all the same
                    raise
                told[code] = turns + 1

    async def _told(self) -> dict[str, int]:
        turns: dict[str, int] = {}
        for envelope in await self._log.read_stream(self._stream):
            match envelope.event:
                case ExceptionOpened(key=key) | ExceptionClosed(key=key):
                    code, _, about = key.partition(":")
                    is_open = bool(turns.get(code, 0) % 2)
                    if about == self._about and is_open != isinstance(envelope.event, ExceptionOpened):
                        turns[code] = turns.get(code, 0) + 1
        return turns
