"""Bugs to be planted in what is real, each with the invariant that it breaks."""

import dataclasses
import sys
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from adapters.mirakl.inbound.orders import Cursor
from adapters.mirakl.translate.stock import stock_file
from adapters.shopify.translate import stock as shop_stock
from engine.adapter import Heard
from ops import publisher as publishing
from projections import desired as arithmetic
from projections import publications as files
from projections import stock as rows
from projections.desired import NORMAL, Mode
from projections.publications import Publication
from projections.stock import Stock, without
from projections.stock_modes import mode_at
from schemas.events.inventory import StockFileLost, StockModeSet
from tests.examples import NOON
from tests.simulation import dispatcher, readers
from tests.simulation.book import Book
from tests.simulation.trade import ASOS


def forget_what_is_sold(patch: pytest.MonkeyPatch) -> None:
    """I1: units of orders that Shopify does not show yet are sold again."""
    patch.setattr(arithmetic, "_owed", lambda *_: 0)


def free_what_left_too_soon(patch: pytest.MonkeyPatch) -> None:
    """I1: as above, between the dispatch of an order and the count that does not contain it any more."""
    patch.setattr(rows, "LEFT", frozenset())


def believe_the_last_to_arrive(patch: pytest.MonkeyPatch) -> None:
    """I2: a count overwrites one that was read later, on its way into the log and in the fold."""

    async def all_of_them(_: Any, heard: Any) -> Any:
        return heard

    counted = rows._counted
    patch.setattr(readers, "news", all_of_them)
    patch.setattr(rows, "_counted", lambda stock, event: counted(replace(stock, read_at=None), event))


def send_without_waiting(patch: pytest.MonkeyPatch) -> None:
    """I3: the next file is made while one is under way."""
    patch.setattr(publishing, "_publication", SimpleNamespace(decode=lambda _: Publication(channel=ASOS)))


def believe_what_we_told(patch: pytest.MonkeyPatch) -> None:
    """I4: what the marketplace shows is not looked at."""
    patch.setattr(rows, "_seen", lambda stock, _: stock)


def say_a_file_once(patch: pytest.MonkeyPatch) -> None:
    """I4: one that was refused is taken for applied, and not told anew."""

    def lost(stock: Stock, event: StockFileLost) -> Stock:
        told = {event.channel: event.quantities[stock.sku]}
        return replace(stock, sent=without(stock.sent, event.channel), shown=stock.shown | told)

    patch.setattr(rows, "_lost", lost)


def take_what_settles_for_stale(patch: pytest.MonkeyPatch) -> None:
    """I4: that an order is out of the shelf is dropped where a later count came first."""
    counted = shop_stock.counted

    def told(*arguments: Any, **more: Any) -> Heard:
        return dataclasses.replace(counted(*arguments, **more), same=lambda last: False)

    patch.setattr(shop_stock, "counted", told)


def tell_prices(patch: pytest.MonkeyPatch) -> None:
    """I5: a file of quantities says something else as well."""

    def file(quantities: Any) -> bytes:
        head, *lines = stock_file(quantities).decode().splitlines()
        return "\r\n".join([f'{head};"price"', *(f'{line};"0.01"' for line in lines)]).encode()

    patch.setattr(dispatcher, "stock_file", file)


def go_on_as_ever(patch: pytest.MonkeyPatch) -> None:
    """I6: for want of news nothing is done."""
    patch.setattr(arithmetic, "_moded", lambda units, *_: units)


def overlook_the_clock(patch: pytest.MonkeyPatch) -> None:
    """I6: nobody notices that news is missing, or that nothing is to be on offer."""
    patch.setattr(publishing, "mode_at", lambda *_, **__: (NORMAL, ""))


def take_what_is_begun_for_whole(patch: pytest.MonkeyPatch) -> None:
    """I6: the shop counts as read whenever some of it was, and its cursor committed."""
    patch.setattr(publishing, "whole_at", lambda _: NOON + timedelta(days=365))


def stay_careful(patch: pytest.MonkeyPatch) -> None:
    """I6: once careful, always careful, though everything is read again."""
    ever = [(NORMAL, "")]

    def called(*arguments: Any, **more: Any) -> tuple[Mode, str]:
        ever.append(mode_at(*arguments, **more))
        return max(ever, key=lambda each: each[0] != NORMAL)

    patch.setattr(publishing, "mode_at", called)


def rise_without_news(patch: pytest.MonkeyPatch) -> None:
    """I6: in a mode in which nothing may rise, it does."""
    patch.setattr(Mode, "rises", True)


def keep_nothing_back(patch: pytest.MonkeyPatch) -> None:
    """I7: there is no buffer against what we have not heard of yet."""
    patch.setattr(arithmetic, "_kept", lambda *_: 0)


def rise_without_a_poll(patch: pytest.MonkeyPatch) -> None:
    """I7: what was sold meanwhile is put on offer again."""
    patch.setattr(files, "rests_on_less_than_polled", lambda *_: True)


def take_what_is_found_for_folded(patch: pytest.MonkeyPatch) -> None:
    """I7: a poll counts as soon as it is over, before what it found is in the rows."""
    heard = publishing.Publisher._heard
    patch.setattr(publishing.Publisher, "_heard", lambda self, _: heard(self, sys.maxsize))


def take_a_poll_for_its_end(patch: pytest.MonkeyPatch) -> None:
    """I7: what was sold while it lasted is taken for heard of."""
    patch.setattr(publishing, "polled_at", lambda cursor: msgspec.json.decode(cursor, type=Cursor).until)


def take_a_sweep_for_its_beginning(patch: pytest.MonkeyPatch) -> None:
    """I7: of what is counted by the time it ends, some may have been sold since it began."""
    counted = rows._counted
    patch.setattr(rows, "_counted", lambda stock, event: counted(stock, replace(event, read_by=None)))


def forget_the_mode(patch: pytest.MonkeyPatch) -> None:
    """I6: one that has just started does not ask in which mode it is."""
    last = Book.last

    async def told(self: Any, places: Any, kind: Any, field: str = "") -> Any:
        return {} if kind is StockModeSet else await last(self, places, kind, field)

    patch.setattr(Book, "last", told)


PLANTED = [
    ("I1", forget_what_is_sold),
    ("I1", free_what_left_too_soon),
    ("I2", believe_the_last_to_arrive),
    ("I3", send_without_waiting),
    ("I4", believe_what_we_told),
    ("I4", say_a_file_once),
    ("I4", take_what_settles_for_stale),
    ("I5", tell_prices),
    ("I6", go_on_as_ever),
    ("I6", overlook_the_clock),
    ("I6", take_what_is_begun_for_whole),
    ("I6", stay_careful),
    ("I6", forget_the_mode),
    ("I6", rise_without_news),
    ("I7", keep_nothing_back),
    ("I7", rise_without_a_poll),
    ("I7", take_what_is_found_for_folded),
    ("I7", take_a_poll_for_its_end),
    ("I7", take_a_sweep_for_its_beginning),
]
