"""What people do at the command line, beside a running engine: it takes effect, it is kept with who and why, and errors name the mend."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from ops.sandbox.plan import Plan, Warehouse
from schemas.events.exceptions import ExceptionAssigned, ExceptionResolved, ExceptionRetried
from schemas.events.people import MappingSet, OrderHeld, OrderRefusalAsked, OrderReleased
from tests.conftest import Database
from tests.house import MASTER, House, house

pytestmark = pytest.mark.anyio

PLAN = Plan(skus=6, offers_open="at_stock", warehouse=Warehouse(pick_seconds=1e8))
KEY = {"CROSSDOCK_MASTER_KEY": base64.b64encode(MASTER).decode(), "COLUMNS": "200"}
WHY = ("--as", "ines", "--reason", "seen by hand")


class Terminal:
    """A shell beside the engine."""

    def __init__(self, directory: Path, url: str) -> None:
        self._of = ("--data", str(directory), "--database", url)

    async def __call__(self, *arguments: str, expect: int = 0) -> str:
        """What it prints; of a failure, what it complains of."""
        command = [sys.executable, "-m", "ops", *arguments, *self._of]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CROSSDOCK_")} | KEY
        with anyio.fail_after(180):
            done = await anyio.run_process(command, check=False, env=environment, stdin=subprocess.DEVNULL)
        said, complained = done.stdout.decode(), done.stderr.decode()
        assert done.returncode == expect, f"{arguments}: {done.returncode}\n{said}\n{complained}"
        assert "Traceback" not in complained
        return complained if expect > 1 else said


def bought(built: House, sku: int, **options: Any) -> str:
    """An order of one unit."""
    return built.place((list(built.sandbox.world.account.offers)[sku], 1), **options)


def state(built: House, order: str) -> str:
    return built.sandbox.world.account.orders[order].state


async def test_people_at_the_command_line_are_heard_by_the_engine(database: Database, tmp_path: Path) -> None:
    async with house(database.engine_url, tmp_path, plan=PLAN) as built:
        crossdock = Terminal(tmp_path, database.engine_url)

        async def exceptions(*options: str, expect: int = 1) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = json.loads(await crossdock("exceptions", "--json", *options, expect=expect))["exceptions"]
            return found

        await built.until_on_offer()
        taken, unwanted = bought(built, 0, test=True), bought(built, 1, test=True)
        with anyio.fail_after(180):
            while {order for order in (taken, unwanted) if any(order in said for said in await built.open_exceptions())} != {
                taken,
                unwanted,
            }:
                await anyio.sleep(0.1)

        # what waits is shown, given to somebody, and let go on
        found = await exceptions("--code", "X95")
        assert {each["summary"].split()[1] for each in found} == {taken, unwanted} and {each["owner"] for each in found} == {"OPS"}
        assert await exceptions("--owner", "FIN", expect=0) == []
        shown = await crossdock("exceptions", "show", taken)
        assert "a test order" in shown and "crossdock release" in shown and "deadline" in shown
        assert "is with warehouse" in await crossdock("exceptions", "assign", taken, "warehouse", *WHY)
        assert json.loads(await crossdock("exceptions", "show", taken, "--json"))["open"] is True
        assert f"order {taken} goes on" in await crossdock("release", taken, *WHY)
        said = await crossdock("refuse", unwanted, *WHY)
        assert f"order {unwanted} is refused" in said and "Noted" not in said
        await built.until(lambda: state(built, unwanted) == "REFUSED", "it is refused")
        await built.until(
            lambda: any(one.source_identifier == taken and one.fulfillment_orders for one in built.ours()), "it is in Shopify"
        )
        copy = built.ours_of(taken)

        # a hold reaches the warehouse, and its end too; by Shopify's own number
        def holds() -> list[Any]:
            return [hold for one in copy.fulfillment_orders for hold in built.sandbox.world.shop.fulfillment_orders[one].holds]

        await crossdock("hold", copy.name, *WHY)
        await built.until(holds, "the warehouse waits")
        await crossdock("release", taken, *WHY)
        await built.until(lambda: not holds(), "the warehouse goes on")

        # a carrier nobody knows: tried again in vain, then mapped
        built.pack(copy, "Pigeon & Sons", "PS-1")
        with anyio.fail_after(180):
            while not any(said.startswith("X36") for said in await built.open_exceptions()):
                await anyio.sleep(0.1)
        await crossdock("exceptions", "retry", f"X36:order-asos:{taken}", *WHY)
        refused = await built.count("command_refused")
        with anyio.fail_after(180):
            while (await built.count("command_refused")) == refused and not refused > 1:
                await anyio.sleep(0.1)
        [waits] = await exceptions("--code", "X36")
        assert waits["waits_for"] == "carrier:asos:Pigeon & Sons" and waits["at_stake"]
        said = await crossdock("map", "carrier", "pigeon & sons", "name:Pigeon & Sons", "--channel", "asos", *WHY)
        assert "it lets 1 exception go on" in said
        await built.until(lambda: state(built, taken) == "SHIPPED", "it is shipped")

        # settled elsewhere: closed, and not asked again
        astray = bought(built, 2)
        await built.until(lambda: any(one.source_identifier == astray and one.fulfillment_orders for one in built.ours()), "in Shopify")
        built.pack(built.ours_of(astray), "Dad's van", "1")
        with anyio.fail_after(180):
            while not any(astray in said for said in await built.open_exceptions()):
                await anyio.sleep(0.1)
        await crossdock("exceptions", "resolve", f"X36:order-asos:{astray}", *WHY)
        await built.clock.sleep(120)
        assert not any(astray in said for said in await built.open_exceptions()) and state(built, astray) == "SHIPPING"
        [closed] = [each for each in await exceptions("--closed", "--code", "X36", expect=0) if astray in each["key"]]
        assert closed["closed_because"] == "settled by a person: seen by hand"
        assert "Pigeon" in await crossdock("map", "list") and "the marketplace was told it left" in await crossdock("trace", taken)

        # what cannot be is said with its mend
        for arguments, code, mend in (
            (("map", "carrier", "Royal Mail", "EVRI", "--channel", "asos", *WHY), 3, "--replace"),
            (("map", "carrier", "Royal Mail", "RM", "--channel", "zalando", *WHY), 3, "there are asos"),
            (("map", "carrier", "Royal Mail", "--channel", "asos", *WHY), 2, "--remove"),
            (("exceptions", "--code", "foo"), 2, "there are X01, X02"),
            (("exceptions", "show", "nothing"), 3, "crossdock exceptions list"),
            (("exceptions", "retry", f"X36:order-asos:{astray}", *WHY), 3, "crossdock exceptions list"),
            (("hold", "nobody", *WHY), 3, "of either side"),
            (("hold", taken), 2, "--reason"),
        ):
            assert mend in await crossdock(*arguments, expect=code), arguments

        # without an engine, nothing is said to be done that is not
        late = bought(built, 3, test=True)
        with anyio.fail_after(180):
            while not any(late in said for said in await built.open_exceptions()):
                await anyio.sleep(0.1)
        for engine in built.engines:
            engine.stop()
        said = await crossdock("exceptions", "resolve", late, *WHY)
        assert "is settled" in said and "once an engine runs" in said

        # all of it is in the log, with who and why
        done = [each for each in await built.log.read(0) if each.actor == "person:ines"]
        kinds = (OrderReleased, OrderHeld, OrderRefusalAsked, MappingSet, ExceptionAssigned, ExceptionRetried, ExceptionResolved)
        assert {type(each.event) for each in done} == set(kinds)
        assert all(getattr(each.event, "reason") == "seen by hand" for each in done)  # noqa: B009 - each kind has one
