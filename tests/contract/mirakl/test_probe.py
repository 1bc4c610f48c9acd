"""What `check` finds in a seller account, and what it says to do about it."""

from typing import Any

import anyio
import pytest

from adapters.http import Secret
from adapters.mirakl import MiraklSettings
from engine.adapter import Endpoint, Finding
from engine.errors import StartupError
from schemas.values import ChannelId
from tests.contract.mirakl.marketplace import SHOP, Account, account, refusal, text
from tests.loopback import OpenDoor

pytestmark = pytest.mark.anyio

SOUND: dict[str, Any] = {
    "V01": {"version": "3.412"},
    "A01": {"shop_id": SHOP, "shop_name": "Harbour", "shop_state": "OPEN", "currency_iso_code": "GBP"},
    "PC01": {
        "features": {
            "shipment": {"multi_shipment": False},
            "order_workflows": {"order_acceptance": "NOT_AUTOMATIC"},
            "order_tax_mode": "TAX_INCLUDED",
        }
    },
    "SH21": {"carriers": [{"code": "RM", "label": "Royal Mail"}, {"code": "DPDUK", "label": "DPD"}]},
    "RE01": {"reasons": [{"code": "17", "type": "REFUND", "is_shop_right": True}, {"code": "9", "type": "REFUND", "is_shop_right": False}]},
}


async def probed(it: Account, **answers: Any) -> dict[str, Finding]:
    for code, answer in (SOUND | answers).items():
        it.marketplace.says(code, answer)
    return {finding.what: finding for finding in await it.mirakl.probe()}


async def test_a_sound_account_has_no_findings_to_mend():
    async with account() as it:
        found = await probed(it)
        assert all(finding.ok for finding in found.values())
        assert set(found) == {
            "address", "clock", "key and shop", "shop state", "shipment", "acceptance", "tax mode", "returns", "carrier Royal Mail",
            "carrier DPD", "reason refund",
        }  # fmt: skip
        assert [asked.code for asked in it.marketplace.asked] == ["V01", "A01", "PC01", "SH21", "RE01"]


@pytest.mark.parametrize(
    ("code", "answer", "what", "hint"),
    [
        ("A01", SOUND["A01"] | {"shop_id": 7}, "key and shop", "to 7, not 2024"),
        ("A01", {}, "key and shop", "shop_id"),
        ("A01", SOUND["A01"] | {"shop_state": "SUSPENDED"}, "shop state", "open the shop"),
        ("A01", refusal(401, "Unauthorized"), "key and shop", "role"),
        ("A01", 500, "key and shop", "base_url"),
        ("A01", {"shop_id": []}, "key and shop", "base_url"),
        ("PC01", {"features": {"disable_seller_alternative_carrier": True}}, "carriers by name", "listed carriers"),
        ("RE01", {"reasons": [{"code": "17", "type": "INCIDENT_OPEN", "is_shop_right": True}]}, "reason refund", "none"),
        ("RE01", {"reasons": [{"code": "17", "type": "REFUND", "is_shop_right": False}]}, "reason refund", "none"),
        ("PC01", refusal(403, "no"), "platform", "role"),
        ("SH21", {"carriers": [{"code": "rm"}, {"code": "DPDUK"}]}, "carrier Royal Mail", "DPDUK, rm"),
        ("SH21", {"carriers": None}, "carrier DPD", "none"),
        ("SH21", 503, "carriers", "base_url"),
    ],
)
async def test_what_is_wrong_is_found_and_mended(code: str, answer: Any, what: str, hint: str):
    async with account() as it:
        finding = (await probed(it, **{code: answer}))[what]
        assert not finding.ok and hint in finding.fix and "the-key" not in repr(finding)


async def test_where_nobody_answers_nothing_else_is_asked():
    async with account() as it:
        found = await probed(it, V01=text(b"<html>", "text/html"))
        assert list(found) == ["address"] and not found["address"].ok
        assert [asked.code for asked in it.marketplace.asked] == ["V01"]


async def test_a_clock_that_differs_is_found():
    async with account() as it:
        it.clock.time = it.clock.time.replace(hour=8)
        assert not (await probed(it, V01=200))["clock"].ok
        assert (await probed(it, V01=text(b"{}", "application/json")))["clock"].ok is False


async def test_a_cancelation_has_reasons_of_its_own():
    reasons = [{"code": "30", "type": "CANCELATION", "is_shop_right": True}, {"code": "17", "type": "REFUND", "is_shop_right": True}]
    async with account(reasons={"cancelation": "30", "cancel": "30", "refund": "17"}) as it:
        found = await probed(it, RE01={"reasons": reasons})
    assert {name: finding.ok for name, finding in found.items() if name.startswith("reason")} == {
        "reason cancel": False, "reason cancelation": True, "reason refund": True,
    }  # fmt: skip


async def test_both_ways_of_shipping_are_told():
    async with account() as it:
        several = await probed(it, PC01={"features": {"shipment": {"multi_shipment": True}, "returns": {"marketplace": True}}})
        assert "ST01" in several["shipment"].detail and several["shipment"].ok and "RT11" in several["returns"].detail
        assert "OR24" in (await probed(it))["shipment"].detail


async def test_no_carriers_is_a_finding():
    async with account(carriers={}) as it:
        finding = (await probed(it))["carriers"]
        assert not finding.ok and "DPDUK, RM" in finding.fix


async def test_a_check_does_not_wait_for_tomorrow(monkeypatch: pytest.MonkeyPatch):
    class Patient(OpenDoor):
        async def admit(self, endpoint: Endpoint) -> None:
            if endpoint.per > 60:
                await anyio.Event().wait()
            await super().admit(endpoint)

    monkeypatch.setattr("adapters.mirakl.probe.PATIENCE", 0.01)
    async with account() as it:
        monkeypatch.setattr(it.mirakl.client.http, "_admission", Patient(it.door.admitted))
        found = await probed(it)
    assert found["key and shop"].ok and "lately" in found["key and shop"].detail and found["shipment"].ok


async def test_what_is_asked_too_often_is_no_fault_of_the_settings():
    async with account() as it:
        finding = (await probed(it, SH21=429))["carriers"]
        assert finding.ok and "may not be asked again yet" in finding.detail


def test_carriers_that_differ_by_case_are_refused():
    with pytest.raises(StartupError, match="dpd"):
        MiraklSettings(
            channel=ChannelId("asos"), base_url="https://a.test", api_key=Secret("k"), shop_id=1, carriers={"DPD": "A", " dpd": "B"}
        )
