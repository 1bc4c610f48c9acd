"""The marketplace's configuration: read once a day, kept over a restart, told when it is another."""

from datetime import timedelta
from typing import Any

import pytest

from engine.adapter import Endpoint, Sight
from engine.errors import ThrottledError, UnavailableError
from schemas.events.channels import PlatformSeen
from tests.contract.mirakl.marketplace import Account, account
from tests.loopback import OpenDoor

pytestmark = pytest.mark.anyio

ANSWERS: dict[str, Any] = {
    "PC01": {
        "features": {
            "shipment": {"multi_shipment": True},
            "order_workflows": {"order_acceptance": "BOTH"},
            "order_tax_mode": "TAX_EXCLUDED",
            "returns": {"marketplace": True},
            "disable_seller_alternative_carrier": True,
        }
    },
    "RE01": {
        "reasons": [
            {"code": "17", "type": "REFUND", "is_shop_right": True},
            {"code": 15, "type": "REFUND", "is_shop_right": True},
            {"code": "9", "type": "REFUND", "is_shop_right": False},
            {"code": "30", "type": "CANCELATION", "is_shop_right": True},
        ]
    },
    "SH21": {"carriers": [{"code": "RM"}, {"code": "DPDUK"}, {"code": None}]},
    "SH12": {"shipping_types": [{"code": "STD", "mandatory_tracking": False}, {"code": "EXP", "mandatory_tracking": True}]},
}
SEEN = PlatformSeen(
    channel="asos",  # type: ignore[arg-type]
    multi_shipment=True,
    acceptance="BOTH",
    tax_mode="TAX_EXCLUDED",
    returns=True,
    own_carriers=False,
    carriers=("DPDUK", "RM"),
    tracked_methods=("EXP",),
    methods=("EXP", "STD"),
    refund_reasons=("15", "17"),
)


async def read(it: Account, cursor: str | None = None, **answers: Any) -> Sight:
    for code, answer in (ANSWERS | answers).items():
        it.marketplace.says(code, answer)
    sight: Sight = await it.source("platform").poll(cursor)
    while sight.again is not None:
        assert (sight.heard, sight.again) == ((), 0.0)
        sight = await it.source("platform").poll(sight.cursor)
    return sight


async def test_what_decides_the_flow_of_orders_is_told():
    async with account() as it:
        sight = await read(it)
        [told] = sight.heard
        assert told.fact.event == SEEN == it.mirakl.client.platform and told.stream == "channel-asos"
        assert told.same is not None and told.same(SEEN)
        assert it.source("platform").every == 86400.0
        assert [asked.code for asked in it.marketplace.asked] == ["SH21", "SH12", "PC01", "RE01"]


async def test_it_is_read_once_a_day_and_known_again_after_a_restart():
    async with account() as it:
        cursor = (await read(it)).cursor
        it.clock.time += timedelta(hours=20)
        sight = await read(it, cursor)
        assert (sight.heard, sight.cursor, len(it.marketplace.asked)) == ((), cursor, 4)
        assert it.source("platform").every == 4 * 3600.0
    async with account() as it:
        it.clock.time += timedelta(hours=20)
        await read(it, cursor)
        assert it.mirakl.client.platform == SEEN and it.marketplace.asked == []
        it.clock.time += timedelta(hours=4)
        await read(it, cursor)
        assert len(it.marketplace.asked) == 4


async def test_a_list_that_may_be_asked_for_once_a_day_is_kept_before_anything_else_is_asked():
    """Each with a commit of its own: whoever is killed a moment later has not lost it for the day."""
    async with account() as it:
        for code, answer in ANSWERS.items():
            it.marketplace.says(code, answer)
        cursor = None
        for number, code in enumerate(("SH21", "SH12"), 1):
            sight = await it.source("platform").poll(cursor)
            assert (sight.heard, sight.again, it.marketplace.asked[-1].code, len(it.marketplace.asked)) == ((), 0.0, code, number)
            cursor = sight.cursor
    async with account() as it:  # another process
        sight = await read(it, cursor)
        assert [asked.code for asked in it.marketplace.asked] == ["PC01", "RE01"] and sight.heard[0].fact.event == SEEN


async def test_nothing_said_is_nothing_assumed():
    async with account() as it:
        sight = await read(it, PC01={"features": {}}, RE01={}, SH21={"carriers": None}, SH12={})
        assert sight.heard[0].fact.event == PlatformSeen(channel=SEEN.channel, multi_shipment=False)
        with pytest.raises(UnavailableError):
            await read(it, PC01=503)


async def test_a_list_that_may_not_be_asked_for_again_today_is_as_it_was(monkeypatch: pytest.MonkeyPatch):
    class Tomorrow(OpenDoor):
        async def admit(self, endpoint: Endpoint) -> None:
            if endpoint.per > 60:
                raise ThrottledError("its turn is much later", retry_after=40_000.0)
            await super().admit(endpoint)

    async with account() as it:
        cursor = (await read(it)).cursor
        it.clock.time += timedelta(days=1)
        monkeypatch.setattr(it.mirakl.client.http, "_admission", Tomorrow(it.door.admitted))
        sight = await read(it, cursor, RE01={"reasons": []})
        event = sight.heard[0].fact.event
        assert isinstance(event, PlatformSeen)
        assert (event.carriers, event.methods, event.refund_reasons) == (SEEN.carriers, SEEN.methods, ())
        assert it.source("platform").every == 3600.0, "and asked for again soon"
        it.clock.time += timedelta(minutes=59)
        assert (await read(it, sight.cursor)).heard == () and len(it.marketplace.of("PC01")) == 2
        it.clock.time += timedelta(minutes=1)
        await read(it, sight.cursor)
        assert len(it.marketplace.of("PC01")) == 3
