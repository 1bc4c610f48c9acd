"""What a play is made of: drawn from its seed, each seed with its own part of everything that can go wrong."""

from msgspec import Struct

from ops.sandbox.plan import Plan, Warehouse


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One play, in full: with the seed it says everything that happens."""

    plan: Plan  # the world's; its faults stop with the chaos
    speed: float = 240.0  # seconds of the world for each of the loop's; ticks and time-outs of the engine are the loop's
    engines: int = 1
    chaos_minutes: float = 60.0  # of the world, at most
    heal_minutes: float = 600.0  # of the world, within which all must have come to its end
    shuffle: bool = True  # what is ready at the same time runs in any order


def plain(seed: int) -> Options:
    """A few orders, and nothing goes wrong."""
    return Options(
        plan=Plan(skus=6, marketplace_orders=4, buyer_gap=300.0, warehouse=Warehouse(pick_seconds=300.0)),
    )
