"""In which mode a channel shows its stock at a moment: as it is, with care while news is missing, or not at all. Time is told to it."""

from datetime import timedelta

from projections.desired import NORMAL, Mode
from projections.stock_rules import Rules
from schemas.values import Instant

CARE = ("normal", "hold", "decay", "zero", "blackout")  # each more careful than the one before
MOST_STEPS = 30  # of a decay: by then nothing is left of any number


def mode_at(now: Instant, rules: Rules, *, shop_at: Instant | None, orders_at: Instant | None) -> tuple[Mode, str]:
    """The most careful mode that something calls for, and all that calls for one.

    `shop_at`, `orders_at`: when Shopify's stock, and the channel's orders, were last read whole; None: never. Then there is nothing to be
    careful with yet.
    """
    called = [(Mode("blackout"), f"blackout: {window.name}") for window in rules.blackouts if window.starts <= now < window.ends]
    stale = (
        (shop_at, rules.stale_shop, rules.stale_shop_minutes, "Shopify's stock has not been read"),
        (orders_at, rules.stale_orders, rules.stale_orders_minutes, "the channel's orders have not been polled"),
    )
    for read_at, policy, minutes, what in stale:
        if read_at is not None and (late := now - read_at - timedelta(minutes=minutes)) >= timedelta():
            step = min(MOST_STEPS, 1 + late // timedelta(minutes=rules.decay_minutes)) if policy == "decay" else 0
            called.append((Mode(policy, step), f"{what} since {read_at:%Y-%m-%d %H:%M}"))
    mode = max((mode for mode, _ in called), key=lambda mode: (CARE.index(mode.name), mode.step), default=NORMAL)
    return mode, "; ".join(why for _, why in called)


def is_more_careful(mode: Mode, than: Mode) -> bool:
    return (CARE.index(mode.name), mode.step) > (CARE.index(than.name), than.step)
