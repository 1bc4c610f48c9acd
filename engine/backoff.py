"""How long to wait before asking again, and whether to ask at all (pure: chance and time are handed in)."""

BASE = 2.0  # seconds; most hiccups are over by then
CAP = 600.0  # seconds; a marketplace that is back is found out within ten minutes


def full_jitter(failures: int, chance: float, *, base: float = BASE, cap: float = CAP) -> float:
    """Seconds to wait after so many failures in a row, from 1; `chance` is drawn evenly from 0 .. 1.

    Anywhere between nothing and a bound that doubles, so that those who failed together do not come back together.
    """
    return chance * min(cap, base * 2.0 ** min(failures, 64))


class RetryBudget:
    """Retries may be a tenth of the calls made lately, and a few more so that a quiet hour can retry at all.

    Old calls and retries leak away, half of them in five minutes.
    """

    SHARE = 0.1  # of calls: what a system in trouble can bear on top of its work
    SPARE = 5.0  # retries that need no calls behind them
    HALF_LIFE = 300.0  # seconds

    def __init__(self, now: float) -> None:
        self._calls = self._retries = 0.0
        self._at = now

    def called(self, now: float, calls: int = 1) -> None:
        self._leak(now)
        self._calls += calls

    def spend(self, now: float) -> bool:
        """Take one retry out of the budget. False: there is none, wait long instead."""
        self._leak(now)
        if self._retries + 1.0 > self.SPARE + self.SHARE * self._calls:
            return False
        self._retries += 1.0
        return True

    def ratio(self, now: float) -> float:
        """Retries over calls, lately."""
        self._leak(now)
        return self._retries / self._calls if self._calls > 0.0 else 0.0

    def _leak(self, now: float) -> None:
        kept = 0.5 ** (max(0.0, now - self._at) / self.HALF_LIFE)
        self._calls, self._retries, self._at = self._calls * kept, self._retries * kept, now


class Breaker:
    """Tells trouble of a whole system from trouble of one request: open after `trip` failures in a row, of at least two requests where
    `trip` is more than one. While it is open, one probe at a time is sent, further and further apart.
    """

    def __init__(self, trip: int, *, base: float, cap: float) -> None:
        self._trip, self._base, self._cap = trip, base, cap
        self._failures = self._pauses = 0
        self._whose: set[object] = set()

    @property
    def open(self) -> bool:
        return self._failures >= self._trip and len(self._whose) >= min(self._trip, 2)

    def failed(self, whose: object) -> None:
        self._failures += 1
        if len(self._whose) < 2:
            self._whose.add(whose)

    def succeeded(self) -> None:
        self._failures = self._pauses = 0
        self._whose.clear()

    def pause(self, chance: float) -> float:
        """Seconds until the next probe: from half of a bound that doubles with each."""
        bound = min(self._cap, self._base * 2.0 ** min(self._pauses, 64))
        self._pauses += 1
        return bound * (0.5 + 0.5 * chance)
