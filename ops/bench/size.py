"""How much is measured: enough for a figure, or for a look."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Of each part."""

    rounds: int
    seconds: float  # of each append measurement
    log: int  # events folded
    commands: int
    items: int  # of a shop's first load
    skus: int  # of the shop of which is published
    channels: int


FULL, QUICK = Size(3, 3.0, 1_000_000, 20_000, 200_000, 100_000, 5), Size(1, 1.0, 80_000, 2_000, 10_000, 5_000, 2)
