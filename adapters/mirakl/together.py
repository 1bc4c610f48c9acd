"""Questions that wait for the same slow endpoint are asked in one call, and only the first of them waits: the others come back."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar
from uuid import UUID

from engine.errors import ThrottledError

V = TypeVar("V")

COME_BACK = 2.0  # seconds after which the answer may be there
KEPT = 1_000  # answers that nobody has come for; a command that was given up never does


class Together(Generic[V]):
    """`ask` makes the call. It is handed a function that names the ids, to be called when the limiter lets the call go: whoever came while
    it waited is asked for with it, up to `most` in a call. So one place of the dispatcher is enough for all that wait.
    """

    def __init__(
        self, ask: Callable[[Callable[[], Sequence[str]]], Awaitable[Mapping[str, V]]], most: int, *, target: str, code: str
    ) -> None:
        self._ask, self._most, self._target, self._code = ask, most, target, code
        self._waiting: dict[UUID, str] = {}
        self._answers: OrderedDict[UUID, V | None] = OrderedDict()
        self._calling = False

    async def find(self, identity: str, asker: UUID) -> V | None:
        """What is said of this id, read after `asker` first asked; None: nothing is. Each answer is given once.

        Raises AdapterError: a ThrottledError where it is being asked for, with others or for somebody else.
        """
        if asker in self._answers:
            return self._answers.pop(asker)
        self._waiting[asker] = identity
        if self._calling:
            raise ThrottledError("is asked for with others", retry_after=COME_BACK, target=self._target, endpoint=self._code)
        self._calling = True
        try:
            await self._call(asker, identity)
        finally:
            self._calling = False
            self._waiting.pop(asker, None)
        return self._answers.pop(asker)

    async def _call(self, first: UUID, identity: str) -> None:
        asked = {first: identity}

        def leaves() -> Sequence[str]:
            others = ((asker, wanted) for asker, wanted in self._waiting.items() if asker != first)
            asked.update(islice(others, self._most - 1))
            return list(dict.fromkeys(asked.values()))

        found = await self._ask(leaves)
        for asker, wanted in asked.items():
            self._waiting.pop(asker, None)
            self._answers[asker] = found.get(wanted)
        while len(self._answers) > KEPT:
            self._answers.popitem(last=False)
