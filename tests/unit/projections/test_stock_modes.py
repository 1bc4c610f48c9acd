"""When a channel is shown less than there is: news is missing, or nothing is to be on offer (R40, R58; invariant I6)."""

from datetime import timedelta

import pytest

from projections.desired import NORMAL, Mode
from projections.stock_modes import is_more_careful, mode_at
from projections.stock_rules import Rules, Window
from tests.examples import NOON

SALE = Window(name="our own sale", starts=NOON, ends=NOON + timedelta(hours=1))
DECAYS = Rules(stale_shop="decay", stale_shop_minutes=45, decay_minutes=30)
BOTH = DECAYS.without(stale_orders="hold", stale_orders_minutes=20)


@pytest.mark.parametrize(
    ("rules", "shop", "orders", "mode"),
    [  # shop, orders: minutes since they were read; None: never
        (Rules(), 44, 19, NORMAL),
        (Rules(), 45, 19, Mode("hold")),
        (Rules(), 44, 20, Mode("hold")),
        (Rules(), None, None, NORMAL),
        (Rules(stale_orders="zero"), 44, 20, Mode("zero")),
        (DECAYS, 45, 0, Mode("decay", 1)),
        (DECAYS, 74, 0, Mode("decay", 1)),
        (DECAYS, 75, 0, Mode("decay", 2)),
        (DECAYS, 60 * 24 * 7, 0, Mode("decay", 30)),
        (BOTH, 45, 20, Mode("decay", 1)),
        (BOTH.without(stale_orders="zero"), 75, 20, Mode("zero")),
        (BOTH.without(blackouts=(SALE,)), 75, 20, Mode("blackout")),
        (Rules(blackouts=(Window(name="later", starts=NOON + timedelta(minutes=1), ends=SALE.ends),)), 0, 0, NORMAL),
        (Rules(blackouts=(Window(name="over", starts=NOON - timedelta(hours=1), ends=NOON),)), 0, 0, NORMAL),
    ],
)
def test_the_most_careful_mode_that_is_called_for_is_taken(rules: Rules, shop: int | None, orders: int | None, mode: Mode) -> None:
    read = [None if minutes is None else NOON - timedelta(minutes=minutes) for minutes in (shop, orders)]
    found, because = mode_at(NOON, rules, shop_at=read[0], orders_at=read[1])
    assert found == mode
    assert (because == "") == (mode == NORMAL)


def test_all_that_calls_for_it_is_said_and_does_not_change_with_the_minute() -> None:
    rules, at = BOTH.without(blackouts=(SALE,)), NOON - timedelta(hours=2)
    said = [mode_at(NOON + timedelta(minutes=minute), rules, shop_at=at, orders_at=at)[1] for minute in (0, 1)]
    assert (
        said[0]
        == said[1]
        == (
            "blackout: our own sale; Shopify's stock has not been read since 2026-11-20 10:00; "
            "the channel's orders have not been polled since 2026-11-20 10:00"
        )
    )


def test_a_later_step_of_a_decay_is_more_careful_and_a_hold_is_less() -> None:
    assert is_more_careful(Mode("decay", 2), Mode("decay", 1)) and is_more_careful(Mode("zero"), Mode("decay", 9))
    assert not is_more_careful(Mode("hold"), Mode("decay", 1)) and not is_more_careful(NORMAL, NORMAL)
