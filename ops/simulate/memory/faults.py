"""What may befall a statement on its way to the database and back. Which does, and when, whoever plays decides."""

import random  # noqa: TID251 - a play's chance comes from its seed
from typing import Literal, Protocol

from msgspec import Struct

LATENCY = (0.0002, 0.003)  # seconds of the event loop, for a request and its answer together


class Asked(Struct, frozen=True):
    """A statement about to be sent."""

    name: str  # as outbox.CLAIM
    writes: bool
    commits: bool  # whether what it writes, or what was written before it, is durable once it is done


class Strike(Struct, frozen=True):
    """What befalls it.

    slow          it arrives so many seconds later
    lost_before   the connection is cut, and nothing was done
    lost_after    it is done, and the connection cut: the answer is lost
    mute_before   the line is dead: nothing is done, and nothing ever heard; the client's time-out ends it
    mute_after    likewise, but it was done
    error         the server refuses it, with this SQLSTATE
    """

    kind: Literal["slow", "lost_before", "lost_after", "mute_before", "mute_after", "error"]
    seconds: float = 0.0
    sqlstate: str = ""


class Weather(Protocol):
    """Asked for each statement and connection, always in the same order."""

    def latency(self) -> float:
        """Seconds of the event loop until the next answer is here; 0: with its next turn."""
        ...

    def strike(self, asked: Asked) -> Strike | None: ...

    def refusal(self) -> Exception | None:
        """What becomes of somebody who connects; None: he is let in."""
        ...


class Calm:
    """Nothing befalls anything; it takes its time, drawn from a seed."""

    def __init__(self, seed: str, latency: tuple[float, float] = LATENCY) -> None:
        self._chance, self._latency = random.Random(seed), latency

    def answers_within(self, latency: tuple[float, float]) -> None:
        """Seconds of the event loop: at least, at most."""
        self._latency = latency

    def latency(self) -> float:
        return self._chance.uniform(*self._latency)

    def strike(self, _: Asked) -> Strike | None:
        return None

    def refusal(self) -> Exception | None:
        return None
