"""The sandbox on a real port: both systems, webhooks that arrive, faults that hurt, levers that move the world."""

import base64
import hashlib
import hmac
import json
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import anyio
import pytest

from ops.sandbox.face import WEBHOOK_SECRET
from ops.sandbox.plan import Plan, Warehouse
from tests.unit.sandbox.caller import receiver, served
from tests.unit.sandbox.desk import CREATE, LOOK_UP, START, SUBSCRIBE, an_order

pytestmark = pytest.mark.anyio


async def test_both_systems_answer_on_one_port() -> None:
    async with served() as caller:
        assert (await caller.graph("query { shop { currencyCode } }"))["data"]["shop"]["currencyCode"] == "GBP"
        assert (await caller.mirakl("GET", "/api/version"))[0] == 200
        async with caller.session.get(f"{caller.sandbox.url}/nowhere") as reply:
            assert reply.status == 404


async def test_a_webhook_arrives_signed() -> None:
    async with receiver() as (url, heard), served() as caller:
        await caller.graph(SUBSCRIBE, topic="ORDERS_CREATE", subscription={"uri": url})
        await caller.graph(CREATE, order=an_order(caller.variant))
        with anyio.fail_after(60):
            body, headers = await heard.receive()
        expected = base64.b64encode(hmac.new(WEBHOOK_SECRET.encode(), body, hashlib.sha256).digest()).decode()
        assert headers["X-Shopify-Hmac-SHA256"] == expected and headers["X-Shopify-Topic"] == "orders/create"
        assert json.loads(body)["id"] == next(iter(caller.sandbox.world.shop.orders))


async def test_a_webhook_that_is_not_taken_comes_again_the_same() -> None:
    async with receiver(500, 302) as (url, heard), served() as caller:
        await caller.graph(SUBSCRIBE, topic="ORDERS_CREATE", subscription={"uri": url})
        await caller.graph(CREATE, order=an_order(caller.variant))
        with anyio.fail_after(60):
            attempts = [await heard.receive() for _ in range(3)]
        assert len({body for body, _ in attempts}) == len({headers["X-Shopify-Webhook-Id"] for _, headers in attempts}) == 1


async def test_a_receiver_that_never_answers_loses_its_subscription_after_four_hours() -> None:
    async with served(speed=20_000) as caller:
        await caller.graph(SUBSCRIBE, topic="ORDERS_CREATE", subscription={"uri": "http://127.0.0.1:9/hooks"})
        await caller.graph(CREATE, order=an_order(caller.variant))
        with anyio.fail_after(60):
            while caller.sandbox.world.shop.subscriptions:
                await anyio.sleep(0.02)
        assert (caller.sandbox.clock.now() - START).total_seconds() > 4 * 3600


async def test_an_effect_whose_reply_is_dropped_has_taken_place() -> None:
    async with served() as caller:
        await caller.lever("faults", operation="orderCreate", action="drop", takes_effect=True)
        with pytest.raises(aiohttp.ClientError):
            await caller.graph(CREATE, order=an_order(caller.variant, name="lost"))
        assert [order.name for order in caller.sandbox.world.shop.orders.values()] == ["lost"]
        await caller.graph(CREATE, order=an_order(caller.variant, name="heard"))
        assert len(caller.sandbox.world.shop.orders) == 2, "one fault hits one call"


async def test_one_dropped_before_has_not() -> None:
    async with served() as caller:
        await caller.lever("faults", operation="OrderCreate", action="drop")
        with pytest.raises(aiohttp.ClientError):
            await caller.graph(CREATE, order=an_order(caller.variant))
        assert caller.sandbox.world.shop.orders == {}


async def test_a_reply_can_break_off_in_its_middle() -> None:
    async with served() as caller:
        await caller.lever("faults", operation="orderCreate", action="cut")
        with pytest.raises(aiohttp.ClientError):
            await caller.graph(CREATE, order=an_order(caller.variant))
        assert len(caller.sandbox.world.shop.orders) == 1


async def test_another_reply_can_be_given_before_and_after_the_effect() -> None:
    async with served() as caller:
        number = (await caller.lever("buy"))[1]["order"]
        line = caller.sandbox.world.account.orders[number].lines
        accept = {"order_lines": [{"id": one.id, "accepted": True} for one in line]}
        page: dict[str, Any] = {"action": "reply", "status": 503, "body": "<html>down</html>", "headers": {"Retry-After": "7"}}
        await caller.lever("faults", operation="OR21", skip=0, **page)
        status, body = await caller.mirakl("PUT", f"/api/orders/{number}/accept", json=accept)
        assert (status, body) == (503, b"<html>down</html>") and caller.sandbox.world.account.orders[number].state == "WAITING_ACCEPTANCE"
        await caller.lever("faults", operation="OR21", takes_effect=True, **page)
        assert (await caller.mirakl("PUT", f"/api/orders/{number}/accept", json=accept))[0] == 503
        assert caller.sandbox.world.account.orders[number].state != "WAITING_ACCEPTANCE"


async def test_faults_can_skip_calls_hit_all_and_be_taken_back() -> None:
    async with served() as caller:
        await caller.lever("faults", operation="V01", action="reply", status=500, count=None, skip=1)
        statuses = [(await caller.mirakl("GET", "/api/version"))[0] for _ in range(3)]
        assert statuses == [200, 500, 500]
        await caller.lever("faults", "DELETE")
        assert (await caller.mirakl("GET", "/api/version"))[0] == 200
        assert (await caller.lever("faults", operation="V01", action="explode"))[0] == 400


async def test_a_reply_can_be_late_in_simulated_time() -> None:
    async with served() as caller:
        await caller.lever("faults", operation="V01", action="delay", seconds=60)
        before = caller.sandbox.clock.now()
        assert (await caller.mirakl("GET", "/api/version"))[0] == 200
        assert (caller.sandbox.clock.now() - before).total_seconds() >= 60


async def test_the_world_goes_on_by_itself() -> None:
    plan = Plan(skus=4, offers_open="at_stock", marketplace_orders=5, buyer_gap=10, warehouse=Warehouse(pick_seconds=30))
    async with served(plan) as caller:
        with anyio.fail_after(60):
            while caller.sandbox.world.actors.placed < 5:
                await anyio.sleep(0.01)
        assert (await caller.lever("state", "GET"))[1]["actors"]["marketplace_orders_placed"] == 5


async def test_the_levers_buy_count_and_ship() -> None:
    async with served(speed=1.0) as caller:
        world = caller.sandbox.world
        sku = next(iter(world.account.offers))
        assert (await caller.lever("buy", sku=sku, quantity=2))[1]["order"] in world.account.orders
        assert (await caller.lever("buy", website=True))[1]["order"] in world.shop.orders
        assert (await caller.lever("buy", sku="nobody"))[0] == 409 and (await caller.lever("buy", colour="red"))[0] == 400
        assert (await caller.lever("stock", sku=sku, available=3))[0] == 200
        assert (await caller.lever("stock", sku="nobody", available=3))[0] == 409
        assert (await caller.lever("switches", shopify={"routing_delay": 0.0}))[0] == 200
        made = await caller.graph(CREATE, order=an_order(caller.variant))
        order = made["data"]["orderCreate"]["order"]["id"]
        assert (await caller.lever("ship", order=order))[0] == 200
        state = (await caller.lever("state", "GET"))[1]
        assert next(one for one in state["shopify"]["orders"] if one["id"] == order)["fulfillment_status"] == "FULFILLED"
        assert (await caller.lever("switches", shopify={"nonsense": 1}))[0] == 400


async def test_people_can_do_by_hand_whatever_they_can() -> None:
    async with served(speed=1.0) as caller:
        number = (await caller.lever("buy"))[1]["order"]
        line = caller.sandbox.world.account.orders[number].lines[0].id
        assert (await caller.lever("act", system="mirakl", do="operator_cancel", order_id=number))[0] == 200
        assert caller.sandbox.world.account.orders[number].state in ("CANCELED", "REFUSED")
        assert (await caller.lever("act", system="mirakl", do="operator_refund", order_line_id=line))[0] == 409
        for wrong in ({"order": 3}, {}, {"order_id": None}):
            status, answer = await caller.lever("act", system="mirakl", do="operator_cancel", **wrong)
            assert status == 409 and answer["error"]
        assert (await caller.lever("act", system="ebay", do="operator_cancel"))[0] == 400
        assert (await caller.lever("act", system="mirakl", do="dance"))[0] == 400
        async with caller.session.get(f"{caller.sandbox.url}/sandbox/act") as reply:
            assert "operator_cancel" in await reply.text()


async def test_a_stranger_is_told_what_there_is() -> None:
    async with served() as caller:
        for path in ("/", "/sandbox", "/sandbox/"):
            async with caller.session.get(caller.sandbox.url + path) as reply:
                text = await reply.text()
                assert reply.status == 200 and f"{caller.sandbox.mirakl_url}/api/" in text and "/sandbox/step" in text
        for path in ("switches", "faults", "calls"):
            assert (await caller.lever(path, "GET"))[0] == 200
        order = (await caller.lever("buy"))[1]["order"]
        lines = [{"id": line.id, "accepted": True} for line in caller.sandbox.world.account.orders[order].lines]
        await caller.mirakl("PUT", f"/api/orders/{order}/accept", json={"order_lines": lines})
        async with caller.session.get(f"{caller.sandbox.url}/sandbox/calls", params={"order": order}) as reply:
            assert [call["operation"] for call in (await reply.json())["calls"]] == ["OR21"]
        async with caller.session.get(f"{caller.sandbox.url}/sandbox/state", params={"since": "yesterday"}) as reply:
            assert reply.status == 400


# ---------------------------------------------------------------- connections that are as bad as they are called


async def test_a_door_that_is_shut_refuses_connections_for_a_while() -> None:
    async with served(speed=60.0) as caller:
        await caller.lever("faults", operation="V01", action="refused")
        with pytest.raises(aiohttp.ClientError):
            await caller.mirakl("GET", "/api/version")
        async with aiohttp.ClientSession() as fresh:
            with pytest.raises(aiohttp.ClientConnectorError):
                await fresh.get(caller.sandbox.url)
            with anyio.fail_after(60):
                while True:
                    try:
                        async with fresh.get(f"{caller.sandbox.url}/sandbox/") as reply:
                            assert reply.status == 200
                            break
                    except aiohttp.ClientConnectorError:
                        await anyio.sleep(0.02)


async def test_a_black_hole_swallows_the_reply_and_the_connection() -> None:
    async with served(speed=6000.0) as caller:
        await caller.lever("faults", operation="V01", action="black_hole", count=None)  # a client may ask again by itself
        before = caller.sandbox.clock.now()
        with pytest.raises(aiohttp.ClientError):
            await caller.mirakl("GET", "/api/version")
        assert (caller.sandbox.clock.now() - before).total_seconds() >= 60


async def test_a_trickle_comes_in_pieces_and_is_whole() -> None:
    async with served(speed=6000.0) as caller:
        await caller.lever("faults", operation="OF21", action="trickle")
        before = caller.sandbox.clock.now()
        status, body = await caller.mirakl("GET", "/api/offers")
        assert status == 200 and json.loads(body)["total_count"] == 4
        assert (caller.sandbox.clock.now() - before).total_seconds() >= 60


async def test_a_flood_is_two_hundred_megabytes_for_whoever_reads_them_all() -> None:
    async with served() as caller:
        await caller.lever("faults", operation="V01", action="huge_body")
        async with caller.session.get(f"{caller.sandbox.mirakl_url}/api/version", headers={"Authorization": caller.sandbox.key}) as reply:
            assert int(reply.headers["Content-Length"]) > 200 * 1024 * 1024 and await reply.content.read(10) == b" " * 10
        assert (await caller.mirakl("GET", "/api/version"))[0] == 200


async def test_a_connection_can_be_closed_after_the_reply_without_a_word() -> None:
    async with served() as caller:
        await caller.lever("faults", operation="V01", action="keep_alive_closed")
        for _ in range(3):
            async with caller.session.get(
                f"{caller.sandbox.mirakl_url}/api/version", headers={"Authorization": caller.sandbox.key}
            ) as reply:
                assert reply.status == 200 and reply.headers.get("Connection") != "close" and json.loads(await reply.read())


async def test_a_bomb_and_another_date_reach_the_caller() -> None:
    async with served() as caller:
        await caller.lever("faults", operation="V01", action="gzip_bomb")
        _, body = await caller.mirakl("GET", "/api/version")
        assert len(body) > 64 * 1024 * 1024 and json.loads(body)["version"]
        await caller.lever("faults", operation="V01", action="clock_behind")
        async with caller.session.get(f"{caller.sandbox.mirakl_url}/api/version", headers={"Authorization": caller.sandbox.key}) as reply:
            told = parsedate_to_datetime(reply.headers["Date"])
        assert 500 < (caller.sandbox.clock.now() - told).total_seconds() < 1300


async def test_a_stock_file_comes_in_as_a_form() -> None:
    async with served() as caller:
        sku = next(iter(caller.sandbox.world.account.offers))
        form = aiohttp.FormData()
        form.add_field("file", f"offer-sku;quantity\n{sku};77\n", filename="stock.csv", content_type="text/csv")
        status, body = await caller.mirakl("POST", "/api/offers/stock/imports", data=form)
        assert status == 201 and json.loads(body)["import_id"] in caller.sandbox.world.account.imports
        with anyio.fail_after(60):
            while caller.sandbox.world.account.offers[sku].quantity != 77:
                await anyio.sleep(0.01)


async def test_a_look_up_after_a_lost_reply_finds_the_order() -> None:
    definition = {"name": "x", "namespace": "$app", "key": "mirakl_order_id", "ownerType": "ORDER", "type": "id"}
    define = "mutation D($d: MetafieldDefinitionInput!) { metafieldDefinitionCreate(definition: $d) { userErrors { code } } }"
    async with served() as caller:
        await caller.graph(define, d=definition)
        metafields = [{"namespace": "$app", "key": "mirakl_order_id", "type": "id", "value": "A-1"}]
        await caller.lever("faults", operation="orderCreate", action="drop", takes_effect=True)
        with pytest.raises(aiohttp.ClientError):
            await caller.graph(CREATE, order=an_order(caller.variant, metafields=metafields))
        assert (await caller.graph(LOOK_UP, value="A-1"))["data"]["orderByIdentifier"]["marketplaceOrderId"] == {"value": "A-1"}
