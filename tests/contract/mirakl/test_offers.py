"""What a channel shows, read back: asked for at the published rates, followed file by file, what cannot be read hides nothing else."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from adapters.mirakl.inbound import offers
from engine.adapter import Sight
from schemas.events import Event
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened
from schemas.events.inventory import OffersRead
from schemas.values import Money, Sku
from tests.contract.mirakl.marketplace import FILES, Account, account, refusal
from tests.contract.mirakl.round_trip import Round, round_trip
from tests.loopback import NOW

pytestmark = pytest.mark.anyio


def offer(sku: Any, quantity: Any = 3, **more: Any) -> dict[str, Any]:
    price = {"origin_price": 12.5, "volume_prices": []}
    return {"shop_sku": sku, "quantity": quantity, "active": True, "deleted": False, "currency_iso_code": "GBP", "prices": [price]} | more


class Reading:
    """The source with its cursor, and what it has heard."""

    def __init__(self, it: Account) -> None:
        self.it, self.source = it, it.source("offers")
        self.cursor: str | None = None
        self.heard: list[Event] = []

    async def poll(self, **after: float) -> Sight:
        self.it.clock.time += timedelta(**after)
        sight: Sight = await self.source.poll(self.cursor)
        self.cursor = sight.cursor
        self.heard += [each.fact.event for each in sight.heard]
        return sight

    async def whole(self) -> list[Event]:
        """One reading to its end."""
        self.heard.clear()
        await self.poll()
        while "asked" in self.at:
            await self.poll(seconds=15)
        return self.heard

    @property
    def at(self) -> Any:
        return msgspec.json.decode(self.cursor or "{}")


def ready(it: Account, *files: list[Any]) -> None:
    """An export that is there at once."""
    it.marketplace.says("OF52", {"tracking_id": "t-1"})
    it.marketplace.says("OF53", {"status": "COMPLETED", "urls": [f"https://other.test{FILES}{n}" for n in range(len(files))]})
    it.marketplace.says("OF54", *files)
    it.marketplace.files = "OF54"


async def test_all_is_read_once_a_day_and_what_changed_every_few_minutes():
    async with account() as it:
        ready(it)
        them = Reading(it)
        for wait, since in ((0, None), (300, "2026-08-13T08:45:00Z"), (86400, None), (300, "2026-08-14T08:50:30Z")):
            it.clock.time += timedelta(seconds=wait)
            await them.whole()
            body = it.marketplace.of("OF52")[-1].body
            assert (body.get("last_request_date"), body.get("include_inactive_offers")) == (since, True if since is None else None)
        assert it.door.admitted.count("OF52 full") == 2


async def test_nothing_is_read_before_the_shop_is_known():
    known = False

    async def shop_known() -> bool:
        return known

    async with account() as it:
        ready(it)
        them = Reading(it)
        them.source.shop_known = shop_known
        await them.poll()
        assert it.marketplace.asked == []
        known = True
        await them.poll()
        assert [asked.code for asked in it.marketplace.asked] == ["OF52"]


async def test_an_export_is_told_file_by_file_with_what_nobody_can_buy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(offers, "AT_ONCE", 2)
    async with account() as it:
        ready(it, [offer("A"), offer("B", 0, active=False), offer("C", 5, deleted=True, active=False)], [offer("D", prices=None)])
        told = await Reading(it).whole()
        assert [event.quantities for event in told] == [{"A": 3, "B": 0}, {"C": 5}, {"D": 3}]  # type: ignore[attr-defined]
        first, second, _ = told
        assert first == OffersRead(
            channel=first.channel,  # type: ignore[attr-defined]
            read_at=NOW,
            quantities={Sku("A"): 3, Sku("B"): 0},
            inactive=(Sku("B"),),
            prices={Sku("A"): Money(1250, "GBP"), Sku("B"): Money(1250, "GBP")},
        )
        assert isinstance(second, OffersRead) and (second.deleted, second.inactive) == (("C",), ())
        assert len(it.marketplace.of("OF54")) == 2, "each file is downloaded once"


async def test_an_offer_that_cannot_be_read_is_named_and_hides_no_other():
    async with account() as it:
        ready(it, [offer("A"), offer("B", -1), offer(None), 7, offer("C", 2.0)])
        them = Reading(it)
        trouble, read = await them.whole()
        assert isinstance(trouble, ExceptionOpened) and trouble.summary == "3 offers of asos cannot be read: quantity, shop_sku, the whole"
        assert isinstance(read, OffersRead) and read.quantities == {"A": 3, "C": 2}
        ready(it, [offer("A")])
        it.clock.time += timedelta(minutes=5)
        _, closed = await them.whole()
        assert closed == ExceptionClosed(key=trouble.key, reason="every offer could be read", subject=trouble.subject)


@pytest.mark.parametrize(
    ("code", "answer"),
    [("OF53", {"status": "FAILED"}), ("OF53", refusal(404, "no such export")), ("OF54", refusal(410, "gone"))],
)
async def test_an_export_that_is_lost_begins_anew_from_where_the_last_one_ended(code: str, answer: Any):
    async with account() as it:
        ready(it, [offer("A")])
        it.marketplace.says(code, answer)
        them = Reading(it)
        await them.whole()
        assert them.heard == [] and "read" not in them.at
        ready(it, [offer("A")])
        it.clock.time += timedelta(minutes=5)
        assert len(await them.whole()) == 1
        since = it.marketplace.of("OF52")[-1].body["last_request_date"]
        assert since == "1999-12-31T23:45:00Z", "a whole one may be asked for once a day"


# ---------------------------------------------------------------- against a marketplace that has a state


async def read(it: Round, **after: float) -> dict[str, OffersRead]:
    """What one whole reading says of each SKU."""
    told: dict[str, OffersRead] = {}
    it.clock.time += timedelta(**after)
    while True:
        for event in await it.poll("offers", seconds=15):
            assert isinstance(event, OffersRead)
            told |= dict.fromkeys(event.quantities, event)
        if "asked" not in it.cursors["offers"]:
            return told


async def test_what_others_change_is_seen_and_all_else_is_not_told_again():
    async with round_trip() as it:
        shown = it.world.account.offers
        told = await read(it)
        assert {sku: event.quantities[Sku(sku)] for sku, event in told.items()} == {sku: each.quantity for sku, each in shown.items()}
        await read(it, hours=1)
        sku, gone, *_ = sorted(shown)
        it.happens("edit_offer", sku=sku, quantity=77)
        it.happens("delete_offer", sku=gone)
        told = await read(it, hours=1)
        assert set(told) == {sku, gone}
        assert told[sku].quantities[Sku(sku)] == 77 and told[gone].deleted == (gone,)
        assert it.world.account.violations == []


async def test_a_reading_is_dated_before_it_was_asked_for():
    async with round_trip() as it:
        [event] = {event.read_at for event in (await read(it)).values()}
        assert event <= datetime(2026, 8, 13, 9, 0, 15, tzinfo=UTC)
