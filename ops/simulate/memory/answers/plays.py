"""What a play itself asks, from beside: is something in the log yet."""

import re
from functools import partial

from ops.simulate import store
from ops.simulate.memory.events import TYPE
from ops.simulate.memory.registry import MAKERS, answers, register
from ops.simulate.memory.transaction import Transaction

IS_HEARD_OF = re.compile(r"SELECT 1 FROM crossdock\.events WHERE stream = '([^']*)' LIMIT 1")


@answers(store, "AT_WORK", "at_work")
def at_work(tx: Transaction) -> list[tuple[int]]:
    kinds = {event[TYPE] for log in tx.database.logs.values() for event in log.events[: log.ends]}
    return [(1,)] if {"stock_import_finished", "platform_seen"} <= kinds else []


def _is_heard_of(tx: Transaction, *, stream: str) -> list[tuple[int]]:
    heard = any(place <= log.ends for log in tx.database.logs.values() for place in log.streams.get(stream, ())[:1])
    return [(1,)] if heard else []


def _find(text: str) -> None:
    if found := IS_HEARD_OF.fullmatch(text):
        register(text, "ops.simulate.crash heard of", partial(_is_heard_of, stream=found[1]), "heard")


MAKERS.append(_find)
