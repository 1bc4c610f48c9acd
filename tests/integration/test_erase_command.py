"""`crossdock erase`, `disclose` and `mark`: who is meant, what is refused, and that no answer names anybody."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from adapters.mirakl.translate.buyers import buyer_mark
from engine.errors import StartupError
from engine.vault import blocklist_key
from ops.desk import DeskError
from ops.erase import Receipt, disclose, erase_named
from ops.service import PROJECTIONS
from schemas.events.orders import DeliveryAddress
from schemas.events.privacy import PrivacyAnswered, SubjectDisclosed
from tests.conftest import Database
from tests.house import settings_of
from tests.integration.test_erasure import ANN, asked, given, privacy
from tests.machine import TENANT, Machine, machine

pytestmark = pytest.mark.anyio

CANARY = "canary"  # in every field of ANN


class Terminal:
    """A shell, and a log with an order or two in it."""

    def __init__(self, engine: Machine, url: str, settings: Path) -> None:
        self.engine, self.url, self.settings = engine, url, settings
        self.common: dict[str, Any] = {"path": settings, "url": url, "environment": {}, "actor": "cx"}

    async def erase(self, name: str, reason: str = "asked for", *, unfinished: bool = False) -> None:
        await erase_named(name, **self.common, reason=reason, unfinished=unfinished, as_json=True)

    async def disclose(self, name: str, out: Path) -> list[Any]:
        await disclose(name, **self.common, reason="asked for", out=out)
        held: list[Any] = json.loads(out.read_text("utf-8"))["held"]
        return held

    async def __call__(self, *arguments: str, said: str = "", expect: int = 0) -> str:
        """Both outputs of the real command."""
        command = [sys.executable, "-m", "ops", *arguments, "--config", str(self.settings), "--database", self.url]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CROSSDOCK_")}
        done = await anyio.run_process(command, check=False, env=environment, input=said.encode(), stderr=subprocess.STDOUT)
        assert done.returncode == expect, done.stdout.decode()
        return done.stdout.decode()


@pytest.fixture
async def crossdock(database: Database, tmp_path: Path) -> AsyncIterator[Terminal]:
    async with machine(database, projections=PROJECTIONS) as engine:
        yield Terminal(engine, database.engine_url, settings_of(database, tmp_path))


async def in_the_rows(engine: Machine, order: str, **more: Any) -> None:
    document = json.dumps({"channel": "asos", "order_id": order, **more})
    await engine.pool.execute("INSERT INTO projections.orders VALUES ($1, $2, $3::text::json, 1)", TENANT, f"asos:{order}", document)


async def test_a_receipt_can_be_kept_and_checked_and_names_nobody(crossdock: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    await given(crossdock.engine, "1")
    await in_the_rows(crossdock.engine, "1", shop_order="gid://shopify/Order/7", shop_name="#1007", state="SHIPPED")
    for name in ("#1007", "1"):
        await crossdock.erase(name)
    first, again = (json.loads(f"{text}}}") for text in capsys.readouterr().out.replace("\n}\n", "\n\0").split("\0")[:2])
    assert first["shop_orders"] == {"order-asos:1": "gid://shopify/Order/7"} and "Shopify" in first["copies"]
    [erased] = first["erased"]
    [told] = [each for each in await crossdock.engine.log.read(0) if each.position == erased["position"]]
    assert erased["digest"] == told.hash.hex() and erased["by"] == "person:cx" and erased["sealed"] == 1
    assert (erased["before"], again["erased"][0]["before"]) == (False, True)
    receipt = msgspec.convert(first, Receipt)
    assert receipt.with_digest() == receipt and msgspec.structs.replace(receipt, tenant="x").with_digest().digest != receipt.digest
    assert CANARY not in str(first).casefold()


async def test_what_is_not_in_shopify_yet_is_left_unless_told_otherwise(crossdock: Terminal) -> None:
    await given(crossdock.engine, "1")
    await in_the_rows(crossdock.engine, "1", state="SHIPPING")
    with pytest.raises(DeskError, match="--unfinished"):
        await crossdock.erase("1")
    assert await crossdock.engine.pool.fetchval("SELECT count(wrapped) FROM crossdock.keys") == 1
    await crossdock.erase("1", unfinished=True)
    assert await crossdock.engine.pool.fetchval("SELECT count(wrapped) FROM crossdock.keys") == 0


@pytest.mark.parametrize("reason", ["Ann asked", "for ann.canary@example.com", "lives at 1 CANARY wharf", "a@b"])
async def test_a_reason_that_names_who_it_is_about_is_refused(crossdock: Terminal, reason: str) -> None:
    await given(crossdock.engine, "1", DeliveryAddress(first_name="Ann", last_name="Li", street_1=ANN.street_1, email=ANN.email))
    with pytest.raises(DeskError, match="names the person") as raised:
        await crossdock.erase("1", reason)
    assert CANARY not in str(raised.value).casefold()
    await crossdock.erase("1", "she plies the law")


async def test_whoever_is_not_there_is_not_named_either(crossdock: Terminal) -> None:
    await given(crossdock.engine, "1")
    for name in ("nobody.canary@example.com", "ann.canary@example.co"):
        with pytest.raises(DeskError) as raised:
            await crossdock.erase(name)
        assert CANARY not in str(raised.value)
    with pytest.raises(DeskError, match="no order is called 2"):
        await crossdock.erase("2")


async def test_all_that_is_held_is_written_for_its_owner_alone_and_that_is_told(crossdock: Terminal, tmp_path: Path) -> None:
    await given(crossdock.engine, "1")
    await given(crossdock.engine, "2")
    [one, _two] = await crossdock.disclose("Ann.Canary@example.com", tmp_path / "held")
    assert (tmp_path / "held").stat().st_mode & 0o777 == 0o600
    assert one["events"][0]["personal"] == {"type": "delivery_address", **{k: v for k, v in _plain(ANN).items() if v}}
    told = [each for each in await crossdock.engine.events() if isinstance(each, SubjectDisclosed)]
    assert [each.subject for each in told] == ["order-asos:1", "order-asos:2"]
    with pytest.raises(StartupError, match="File exists"):
        await crossdock.disclose("1", tmp_path / "held")
    await crossdock.erase("1")
    [left] = await crossdock.disclose("1", tmp_path / "left")
    assert left["events"][0]["personal"] == "erased" and CANARY not in str(left).casefold()


def _plain(address: DeliveryAddress) -> dict[str, str]:
    return {name: str(getattr(address, name)) for name in address.__struct_fields__}


async def test_a_request_is_answered_by_disclosing_and_who_asked_is_forgotten(crossdock: Terminal, tmp_path: Path) -> None:
    engine = crossdock.engine
    await given(engine, "1")
    await engine.log.append(asked("disclose", email=ANN.email))
    await privacy(engine).look()
    [held] = await crossdock.disclose("privacy-1", tmp_path / "held")
    assert held["subject"] == "order-asos:1"
    assert PrivacyAnswered(request="privacy-1", subjects=1, reason="asked for") in await engine.events()
    assert (await engine.tags())[-2:] == ["privacy_answered", "exception_closed"]
    assert await engine.vault.erased(["privacy-1", "order-asos:1"]) == {"privacy-1"}
    await privacy(engine).look()
    assert engine.metrics.registry.get_sample_value("crossdock_erasure_oldest_seconds", {"tenant": TENANT}) == 0


async def test_the_commands_themselves(crossdock: Terminal) -> None:
    await given(crossdock.engine, "1")
    said = await crossdock("erase", "-", "--reason", "asked for", said="ann.canary@example.com\n")
    assert "order-asos:1" in said and "receipt " in said and CANARY not in said.casefold()
    await crossdock("erase", "1", expect=2)
    assert "(sealed), erased" in await crossdock("trace", "1")
    marked = await crossdock("mark", "-", said=" Ann.Canary@example.com \n")
    assert marked.strip() == buyer_mark(blocklist_key(bytes(32)), "ann.canary@example.com")
