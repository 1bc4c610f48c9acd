"""Questions that wait for the same slow endpoint are asked in one call."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

import anyio

from engine.errors import AdapterError

V = TypeVar("V")


class _Question(Generic[V]):
    """Somebody who waits for the answer about one id."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.answer: V | None = None
        self.error: AdapterError | None = None
        self.answered = False


class Together(Generic[V]):
    """`ask` makes the call. It is handed a function that names the ids, to be called when the limiter lets the call go: whoever came while
    it waited is asked for with it, up to `most` in a call.
    """

    def __init__(self, ask: Callable[[Callable[[], Sequence[str]]], Awaitable[Mapping[str, V]]], most: int) -> None:
        self._ask, self._most = ask, most
        self._waiting: list[_Question[V]] = []
        self._calling = anyio.Lock()

    async def find(self, identity: str) -> V | None:
        """What is said of this id, asked for after this was called; None: nothing is. Raises AdapterError."""
        mine = _Question[V](identity)
        self._waiting.append(mine)
        try:
            async with self._calling:
                if not mine.answered:
                    await self._call()
        finally:
            if mine in self._waiting:  # cancelled
                self._waiting.remove(mine)
        if mine.error is not None:
            raise mine.error
        return mine.answer

    async def _call(self) -> None:
        """One call for those who wait. When it is cancelled, the next of them makes it again."""
        asked: list[_Question[V]] = []

        def leaves() -> Sequence[str]:
            asked[:] = self._waiting[: self._most]
            return list(dict.fromkeys(question.identity for question in asked))

        error: AdapterError | None = None
        found: Mapping[str, V] = {}
        try:
            found = await self._ask(leaves)
        except AdapterError as failure:
            error = failure
        for question in asked or self._waiting[: self._most]:
            question.answer, question.error, question.answered = found.get(question.identity), error, True
            if question in self._waiting:
                self._waiting.remove(question)
