"""The sandbox's page: in a browser, as a person sees it; what it is told; and who may move the levers."""

import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from playwright.async_api import Page, async_playwright, expect

from ops.sandbox.people import person
from ops.sandbox.plan import Past, Plan, Warehouse
from ops.sandbox.steps import SteppedClock
from tests.unit.sandbox.caller import PLAN, Caller, served
from tests.unit.sandbox.desk import CREATE, DEFINE, DEFINITION, START, an_order, marketplace_id, money

pytestmark = pytest.mark.anyio

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
CANARY = "<img src=x onerror=\"document.title='bitten'\"><script>document.title='bitten'</script>\"'>"
PAID = [{"kind": "SALE", "status": "SUCCESS", "gateway": "marketplace", "amountSet": money("48.00")}]


@asynccontextmanager
async def watched(caller: Caller, *, provoked: bool = False, **kind: Any) -> AsyncIterator[Page]:
    """The page in a browser that nobody has used before. What the browser complains of is a failure, unless it is provoked."""
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = await (await browser.new_context(**kind)).new_page()
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(caller.sandbox.url)
        await expect(page.locator("#stock-rows tr").first).to_be_visible()
        yield page
        await browser.close()
    assert provoked == bool(complaints), complaints


async def placed(caller: Caller, buyer: dict[str, Any] | None = None) -> str:
    """An order on the marketplace, of one line of two units."""
    known = msgspec.to_builtins(person(1, 7)) | (buyer or {})
    sku = next(iter(caller.sandbox.world.account.offers))
    _, answer = await caller.lever("act", system="mirakl", do="place", lines=[[sku, 2]], buyer=known)
    order: str = answer["result"]
    return order


async def created(caller: Caller, order: str, **changed: Any) -> str:
    """Its copy in the shop, as a connector makes it. Returns its global id."""
    await caller.graph(DEFINE, definition=DEFINITION)
    address = {"firstName": "Ann", "lastName": "Smith", "address1": "1 Long Lane", "city": "Leeds", "zip": "LS1 4AP", "countryCode": "GB"}
    wanted = an_order(caller.variant, metafields=marketplace_id(order), transactions=PAID, shippingAddress=address)
    made = await caller.graph(CREATE, order=wanted | changed)
    assert made["data"]["orderCreate"]["userErrors"] == [], made
    known: str = made["data"]["orderCreate"]["order"]["id"]
    return known


async def accept(caller: Caller, order: str) -> None:
    lines = [{"id": line.id, "accepted": True} for line in caller.sandbox.world.account.orders[order].lines]
    assert (await caller.mirakl("PUT", f"/api/orders/{order}/accept", json={"order_lines": lines}))[0] == 204


async def tell_shipped(caller: Caller, order: str, number: str) -> None:
    told = {"carrier_name": "Royal Mail", "tracking_number": number}
    assert (await caller.mirakl("PUT", f"/api/orders/{order}/tracking", json=told))[0] == 204
    assert (await caller.mirakl("PUT", f"/api/orders/{order}/ship"))[0] == 204


# ---------------------------------------------------------------------------------------------------------- in a browser


@pytest.mark.needs(program="chromium")
async def test_a_person_takes_an_order_all_the_way_round() -> None:
    plan = replace(PLAN, warehouse=Warehouse(pick_seconds=86400))  # nobody is quicker than the person
    async with served(plan, clock=SteppedClock(START)) as caller, watched(caller) as page:
        world = caller.sandbox.world
        sku = next(iter(world.account.offers))
        said, row = page.locator("#said"), page.locator("#order-rows tr").first
        buy = page.get_by_role("form", name="A buyer comes")
        await buy.get_by_label("SKU").fill(sku)
        await buy.get_by_label("Units").fill("2")
        await buy.get_by_label("Units").press("Enter")
        await expect(row).to_contain_text("WAITING_ACCEPTANCE")
        await expect(row).to_contain_text("not there")
        [order] = world.account.orders
        await expect(said).to_have_text(f"Bought: order {order}.")

        await accept(caller, order)  # the connector's part
        await page.get_by_role("button", name="A minute passes").click()
        await page.get_by_role("button", name="A minute passes").click()
        await expect(row).to_contain_text("SHIPPING")
        await created(caller, order, name="#7001")
        await expect(row).to_contain_text("#7001 UNFULFILLED PAID")
        await expect(page.locator("#counted")).to_have_text("1 order on the marketplace, 1 in the shop, 1 matched")

        await row.get_by_role("button", name=order).focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name=f"Order {order}")).to_be_focused()
        await page.get_by_role("button", name="A minute passes").click()
        await expect(page.get_by_label("Fulfilment order")).to_contain_text("2 left, OPEN")
        hand = page.get_by_role("form", name="Fulfil by hand")
        await hand.get_by_label("Number").fill("AB123456789GB")
        await hand.get_by_role("button", name="Fulfil").click()
        await expect(row).to_contain_text("#7001 FULFILLED")
        await expect(row).to_contain_text("Royal Mail AB123456789GB")
        await tell_shipped(caller, order, "AB123456789GB")
        await expect(row).to_contain_text("SHIPPED")
        assert await page.locator("#order-rows td", has_text="AB123456789GB").count() == 2
        await expect(page.locator("#order-calls")).to_contain_text("OR24")

        await page.get_by_role("button", name="Operator refunds").click()
        await expect(said).to_have_text("The operator has refunded it.")
        shop = page.get_by_role("form", name="Refund in the shop")
        await shop.get_by_role("button", name="Refund").click()
        await expect(said).to_have_text("Refunded in the shop.")
        await expect(page.locator("#shop-facts")).to_contain_text("48.00 by a person")
        await expect(row.get_by_text(re.compile(r"^\d+\.\d\d in 1$"))).to_have_count(2)
        [copy] = world.shop.orders.values()
        assert [line.refunded for line in copy.lines] == [2] and world.account.orders[order].lines[0].refunds


@pytest.mark.needs(program="chromium")
async def test_a_person_sells_counts_cancels_and_lets_things_go_wrong() -> None:
    async with served(clock=SteppedClock(START)) as caller, watched(caller) as page:
        world = caller.sandbox.world
        sku = next(iter(world.account.offers))
        said, row = page.locator("#said"), page.locator("#order-rows tr").first
        await page.get_by_label("A buyer comes to").select_option("the shop's website")
        await page.get_by_role("button", name="Buy", exact=True).click()
        await expect(said).to_have_text("Bought on the website.")
        await page.get_by_role("button", name="An hour").click()
        await page.get_by_role("button", name="Warehouse sends all that waits").click()
        await expect(row).to_contain_text("FULFILLED")
        await page.get_by_label("A buyer comes to").select_option("the marketplace")
        await page.get_by_role("button", name="Buy", exact=True).click()
        await expect(row).to_contain_text("WAITING_ACCEPTANCE")
        await row.get_by_role("button").click()
        await page.get_by_role("button", name="Seller accepts").click()
        await expect(row).to_contain_text("WAITING_DEBIT")
        await page.get_by_role("button", name="Buyer cancels").click()
        await expect(row).to_contain_text("CANCELED")

        await page.get_by_role("button", name=sku, exact=True).click()
        count = page.get_by_role("form", name="The merchant counts")
        await expect(count.get_by_label("Count SKU")).to_have_value(sku)
        await count.get_by_label("For sale").fill("77")
        await count.get_by_role("button", name="Count").click()
        await expect(page.locator("#stock-rows tr").first.locator("td").first).to_have_text("77")

        fault = page.get_by_role("form", name="A fault")
        await fault.get_by_label("Operation").fill("OR11")
        await fault.get_by_label("Fault").select_option("http_503")
        await fault.get_by_role("button").click()
        await expect(page.locator("#asked-for")).to_have_text("http_503 for OR11, 1 time")
        for _ in range(3):
            await caller.mirakl("GET", "/api/orders")
        await expect(page.locator("#met")).to_have_text("http_503: 1")
        await expect(page.locator("#asked-for")).to_have_text("None.")
        await expect(page.locator("#call-rows")).to_contain_text("503, fault: http_503")
        await expect(page.locator("#ceiling-rows tr", has_text="OR11")).to_contain_text("2 of 1")
        await page.get_by_label("only what was refused or met a fault").check()
        await expect(page.locator("#call-rows tr")).to_have_count(1)


@pytest.mark.needs(program="chromium")
async def test_what_buyers_write_is_text_and_nothing_else() -> None:
    async with served(clock=SteppedClock(START)) as caller:
        variant = next(iter(caller.sandbox.world.shop.variants.values()))
        await caller.lever("act", system="shopify", do="staffRename", variant=variant.id, sku=CANARY)
        order = await placed(caller, {"first_name": CANARY, "city": CANARY})
        address = {"firstName": CANARY, "lastName": CANARY, "address1": CANARY, "city": CANARY, "zip": "LS1 4AP", "countryCode": "GB"}
        await created(caller, order, name=CANARY, shippingAddress=address)
        async with watched(caller) as page:
            await page.get_by_role("button", name=order).click()
            await expect(page.locator("#marketplace-facts")).to_contain_text(CANARY)
            await expect(page.locator("#shop-facts")).to_contain_text(CANARY)
            await expect(page.locator("#order-rows")).to_contain_text(CANARY)
            await page.get_by_label("Find").last.fill("onerror")
            await expect(page.locator("#stock-rows tr")).to_have_count(1)
            await page.get_by_role("button", name=CANARY).last.click()
            await expect(page.locator("#said")).to_contain_text(CANARY)
            assert await page.title() == "Sandbox" and await page.locator("img, main script").count() == 0


@pytest.mark.needs(program="chromium")
async def test_the_page_may_run_nothing_that_is_not_its_own() -> None:
    async with served(clock=SteppedClock(START)) as caller, watched(caller, provoked=True) as page:
        refused = await page.evaluate(
            """async () => {
                const said = [];
                addEventListener("securitypolicyviolation", (event) => said.push(event.effectiveDirective));
                const script = document.createElement("script");
                try { script.textContent = "document.title = 'bitten'"; document.body.append(script); } catch { said.push("text"); }
                try { document.body.innerHTML += "<b>bitten</b>"; } catch { said.push("markup"); }
                await fetch("http://127.0.0.1:9/").catch(() => said.push("elsewhere"));
                await new Promise((done) => setTimeout(done, 100));
                return said;
            }"""
        )
        assert {"text", "markup", "elsewhere", "connect-src"} <= set(refused) and await page.title() == "Sandbox"


CONTRAST = """() => {
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((one) => one / 255).map((one) => one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, n) => sum + one * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = (one) => { for (; one; one = one.parentElement) { const found = parts(getComputedStyle(one).backgroundColor);
    if (found.length === 3 || found[3] === 1) return found; } return [255, 255, 255]; };
  const poor = [];
  for (const one of document.querySelectorAll("body *")) {
    if (!one.checkVisibility() || one.disabled || ![...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    const [front, back] = [light(parts(getComputedStyle(one).color)), light(behind(one))].sort((a, b) => b - a);
    if ((front + 0.05) / (back + 0.05) < 4.5) poor.push(`${one.tagName} ${one.className}: ${one.textContent.slice(0, 30)}`);
  }
  return poor;
}"""
UNNAMED = (
    """() => [...document.querySelectorAll("input, select, textarea")].filter((one) => !one.labels.length).map((one) => one.outerHTML)"""
)


@pytest.mark.needs(program="chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 360])
async def test_everybody_can_read_it(scheme: str, width: int) -> None:
    async with served(clock=SteppedClock(START)) as caller:
        order = await placed(caller)
        await created(caller, order)
        await caller.lever("buy", website=True)
        for _ in range(2):
            await caller.mirakl("GET", "/api/orders")
        async with watched(caller, color_scheme=scheme, viewport={"width": width, "height": 900}) as page:
            await page.get_by_role("button", name=order).click()
            await expect(page.locator("#order")).to_be_visible()
            assert await page.evaluate(CONTRAST) == []
            assert await page.evaluate(UNNAMED) == []
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            levels = await page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((one) => Number(one.tagName[1]))")
            assert levels[0] == 1 and all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.needs(program="chromium")
async def test_thousands_of_orders_are_looked_at_page_by_page() -> None:
    plan = Plan(skus=300, offers_open="at_stock", past=Past(orders=2000))
    async with served(plan, clock=SteppedClock(START)) as caller, watched(caller) as page:
        rows, pages = page.locator("#order-rows tr"), page.locator("#order-pages")
        await expect(rows).to_have_count(20)
        await expect(pages).to_contain_text(re.compile(r"Page 1 of \d\d+: [\d,]{5} orders"))
        first = await rows.first.inner_text()
        await pages.get_by_role("button", name="Next page").click()
        await expect(pages).to_contain_text("Page 2 of")
        assert await rows.first.inner_text() != first
        last = next(iter(caller.sandbox.world.account.orders))
        await page.get_by_role("search", name="Orders").get_by_label("Find").fill(last)
        await expect(rows).to_have_count(1)
        await expect(rows.first).to_contain_text(last)


# ------------------------------------------------------------------------------------------------------ what it is told


async def test_both_sides_of_an_order_stand_in_one_row() -> None:
    async with served(clock=SteppedClock(START)) as caller:
        alone, once, twice = [await placed(caller) for _ in range(3)]
        await created(caller, once)
        await created(caller, twice)
        await created(caller, twice, metafields=[], tags=[twice])
        stray = await created(caller, "nobody's", metafields=marketplace_id("gone"))

        async def shown(query: str) -> dict[str, int]:
            status, board = await caller.lever(f"board?{query}", "GET")
            assert status == 200
            return {row["key"]: len(row["shop"]) for row in board["orders"]["rows"]}

        assert await shown("") == {alone: 0, once: 1, twice: 2, stray: 1}
        assert await shown("show=missing") == {alone: 0}
        assert await shown("show=twice") == {twice: 2}
        assert await shown("show=website") == {stray: 1}
        assert await shown(f"find={once}") == {once: 1} and await shown("page=99") == await shown("")
        assert await shown("show=cancelled") == await shown("show=refunded") == {}
        await caller.lever("act", system="mirakl", do="customer_cancel", order_id=alone)
        assert await shown("show=cancelled") == {alone: 0} and await shown("show=missing") == {}
        assert (await caller.lever("board?page=first", "GET"))[0] == 400


async def test_stock_that_differs_is_found() -> None:
    async with served(clock=SteppedClock(START)) as caller:
        assert (await caller.lever("board?differs=true", "GET"))[1]["stock"]["rows"] == []
        sku = next(iter(caller.sandbox.world.account.offers))
        await caller.lever("stock", sku=sku, available=321)
        [row] = (await caller.lever("board?differs=true", "GET"))[1]["stock"]["rows"]
        assert (row["sku"], row["available"]) == (sku, 321) and row["offered"] != 321


async def test_looking_moves_nothing_but_time() -> None:
    async with served(clock=SteppedClock(START)) as caller:
        await created(caller, await placed(caller))
        before = caller.sandbox.world.digest()
        await caller.lever("board?find=a&differs=true&wrong=true", "GET")
        assert caller.sandbox.world.digest() == before


async def test_people_may_say_global_ids_for_numbers() -> None:
    """Numbers are larger than JavaScript can write."""
    async with served(clock=SteppedClock(START)) as caller:
        copy = await created(caller, await placed(caller))
        assert int(copy.rpartition("/")[2]) > 2**53
        status, _ = await caller.lever("act", system="shopify", do="staffTag", order=copy, tags=["seen"])
        assert status == 200 and next(iter(caller.sandbox.world.shop.orders.values())).tags == ["seen"]
        assert (await caller.lever("act", system="shopify", do="staffTag", order="gid://shopify/Order/x", tags=[]))[0] == 409


async def test_whoever_asks_for_no_html_is_told_in_text() -> None:
    async with served() as caller:
        for accept, kind in (("text/html,*/*;q=0.8", "text/html"), ("*/*", "text/plain")):
            async with caller.session.get(caller.sandbox.url, headers={"Accept": accept}) as reply:
                assert reply.content_type == kind and ("Content-Security-Policy" in reply.headers) == (kind == "text/html")


# -------------------------------------------------------------------------------------------- who may move the levers

FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://evil.example", "Host": "evil.example", "Sec-Fetch-Site": "same-origin"},  # its name leads to loopback now
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_another_site_moves_no_lever(headers: dict[str, str]) -> None:
    async with served(PLAN, clock=SteppedClock(START)) as caller:
        before = caller.sandbox.world.digest()
        for method, lever in (
            ("POST", "buy"),
            ("POST", "act"),
            ("POST", "faults"),
            ("DELETE", "faults"),
            ("POST", "step"),
            ("POST", "switches"),
        ):
            body = json.dumps({"operation": "*", "action": "drop"}) if lever == "faults" else "{}"
            async with caller.session.request(method, f"{caller.sandbox.url}/sandbox/{lever}", data=body, headers=headers) as reply:
                assert reply.status == 403, lever
        assert caller.sandbox.world.digest() == before and not caller.sandbox.faults.armed


async def test_the_page_and_programs_do() -> None:
    async with served(PLAN, clock=SteppedClock(START)) as caller:
        url = caller.sandbox.url
        for headers in ({}, {"Origin": url, "Sec-Fetch-Site": "same-origin"}, {"Origin": url.replace("127.0.0.1", "localhost")}):
            host = {"Host": headers["Origin"].removeprefix("http://")} if "Origin" in headers else {}
            async with caller.session.post(f"{url}/sandbox/buy", headers=headers | host) as reply:
                assert reply.status == 200
