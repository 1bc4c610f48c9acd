"""Black Friday in small: an hour of it. `crossdock rush` plays all of it."""

import pytest

from ops.rush import claims, compare
from ops.rush.connectors import Ours
from ops.rush.market import GRACE, Market, Plan, summary
from schemas.events.orders import OrderPlaced
from tests.thorough import THOROUGH

SHORT = Plan(hours=1.0, skus=600, changes=10.0, lost=0.0, refused=0.0)  # of so few files, one that is refused would be many


@pytest.mark.parametrize("plan", [SHORT, *([Plan()] if THOROUGH > 1 else [])], ids=lambda plan: f"{plan.hours:g} hours")
def test_nothing_is_oversold_by_our_doing_and_what_is_sold_out_is_shown_so_in_time(plan):
    found = compare(plan, seed=1)
    ours = found["crossdock"]
    assert all(claims(found).values()), claims(found)
    assert ours["changes"] > 0.9 * plan.hours * 3600 * plan.changes and ours["zeros"] > 100
    assert found["snapshot"]["ours"] > 0


def test_the_same_seed_is_the_same_day():
    plan = Plan(hours=0.1, skus=200, changes=10.0)
    assert compare(plan, seed=2) == compare(plan, seed=2) != compare(plan, seed=3)


class Forgetful(Ours):
    """Keeps no units for orders that it has seen."""

    def _tell(self, event):
        if not isinstance(event, OrderPlaced):
            super()._tell(event)


class Sluggish(Ours):
    """Says what has gone with the file after the next."""

    def _publish(self):
        self._skipped = not getattr(self, "_skipped", False)
        if not self._skipped:
            super()._publish()
        else:
            self._next = self._market.now + 60.0


def of(kind, plan=SHORT, seed=1):
    market = Market(plan, seed)
    market.connector = kind(market)
    return summary(market.run())


def test_a_connector_that_is_late_or_forgets_is_found_out():
    assert of(Sluggish)["zero_p99"] > GRACE
    assert of(Forgetful)["ours"] > 0
