"""Which polls of the orders let a number rise: any that began after the count it rests on, whoever made it; but for an absence."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.simulation.engine import PACE, Engine
from tests.simulation.readers import SHOP
from tests.simulation.trade import ASOS, BOX, MUG, NEAR, Trade


@pytest.fixture
def engine() -> Iterator[Engine]:
    """A shop that has just been counted, and of which the channel shows nothing yet."""
    engine = Engine(Trade())
    for sku in (MUG, BOX):
        engine.trade.move(sku, NEAR, 3)
    engine.readers.sweep()
    engine.arrive("sweep")
    yield engine
    engine.close()


def poll(engine: Engine) -> None:
    engine.poll(ASOS)
    engine.arrive(ASOS)


def publish(engine: Engine) -> bool:
    engine.fold_all()
    engine.trade.tick(PACE)
    return engine.publish(ASOS)


def test_a_poll_of_which_nobody_told_the_publisher_is_enough(engine: Engine) -> None:
    assert not publish(engine), "nobody has heard of what was sold before the count"
    poll(engine)
    engine.crash()
    assert publish(engine), "a successor asks for no other poll"


def test_a_poll_by_a_clock_that_was_ahead_waits_for_the_next(engine: Engine) -> None:
    poll(engine)
    engine.readers.began[ASOS] = engine.trade.now + timedelta(minutes=2)
    engine.crash()
    assert not publish(engine)
    poll(engine)
    assert publish(engine)


def sweep(engine: Engine) -> None:
    engine.readers.sweep()
    engine.arrive("sweep")


def test_after_an_absence_the_orders_and_the_shop_are_read_anew(engine: Engine) -> None:
    poll(engine)
    engine.trade.tick(360)
    engine.crash()
    assert not publish(engine), "nobody has heard of what was sold meanwhile"
    poll(engine)
    assert not publish(engine), "nor of what was sold in the shop"
    sweep(engine)
    poll(engine)
    assert publish(engine)


def test_a_reading_that_was_begun_before_an_absence_is_not_enough_after_it(engine: Engine) -> None:
    poll(engine)
    begun = engine.trade.now
    engine.trade.tick(360)
    engine.crash()
    sweep(engine)
    engine.readers.began[SHOP] = begun  # taken over from whoever asked for it
    poll(engine)
    assert not publish(engine)
    sweep(engine)
    assert publish(engine)
