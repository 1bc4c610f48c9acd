"""Chance without a generator: a number for each question, drawn from a seed.

The answer depends on the seed and the question alone, never on what was asked before; so a world rebuilt from its journal meets the same
fate as the first one, and a question added later changes no other answer.
"""

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")


def fraction(seed: int, *question: object) -> float:
    """At least 0, below 1."""
    asked = ":".join(map(str, (seed, *question)))
    return int.from_bytes(blake2b(asked.encode(), digest_size=6).digest(), "big") / 2**48


def happens(seed: int, probability: float, *question: object) -> bool:
    return fraction(seed, *question) < probability


def whole(seed: int, low: int, high: int, *question: object) -> int:
    """From low to high, both included."""
    return low + int(fraction(seed, *question) * (high - low + 1))


def choose(seed: int, options: Sequence[T], *question: object) -> T:
    return options[int(fraction(seed, *question) * len(options))]


def wait(seed: int, mean: float, *question: object) -> float:
    """Seconds until something that happens at random, `mean` apart; at most six times as long."""
    return mean * min(6.0, -math.log(1.0 - fraction(seed, *question)))


def digits(seed: int, length: int, *question: object) -> str:
    return str(whole(seed, 0, 10**length - 1, *question)).zfill(length)
