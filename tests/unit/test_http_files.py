"""Files at an address that the marketplace names: asked of our own host, never of another; and queries that are said when a call leaves."""

import gzip

import pytest
from aiohttp import web

from engine.adapter import Endpoint
from engine.errors import RejectedError, UnavailableError
from tests.loopback import OpenDoor, calling, json_answer, loopback

pytestmark = pytest.mark.anyio

FILE = Endpoint("F1", "GET", "/a-place-that-is-not-asked", calls=1, per=1, reads=True)


@pytest.mark.parametrize("base", ["", "/mirakl", "/mirakl/"])
@pytest.mark.parametrize("host", ["https://other.test", "http://127.0.0.1:1", ""])
async def test_a_file_is_asked_of_our_own_host(base: str, host: str):
    async with loopback(json_answer({})) as server, calling(server.url + base) as http:
        await http.send(FILE, at=f"{host}{base.rstrip('/')}/api/x/5715?file=of52%2F0.json&sig=a+b", query=[("shop_id", "7")], expect="json")
        [call] = server.calls
    assert call.path == f"{base.rstrip('/')}/api/x/5715"
    assert call.query == (("file", "of52/0.json"), ("sig", "a b"), ("shop_id", "7"))


@pytest.mark.parametrize(
    "at", ["javascript:1", "//other.test", "https://other.test", "https://other.test/a/../b", "/a b", "/é", "http://["]
)
async def test_what_is_no_address_is_not_asked_for(at: str):
    async with loopback(json_answer({})) as server, calling(server.url) as http:
        with pytest.raises(RejectedError):
            await http.send(FILE, at=at, expect="json")
        assert server.calls == []


async def test_a_file_may_be_larger_than_an_answer():
    body = b'{"orders":["' + b"x" * (9 * 1024 * 1024) + b'"]}'

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    async def packed(_request: web.Request) -> web.StreamResponse:
        noise = bytes((number * 7919) % 251 + 1 for number in range(20_000)) * 5
        whole = b'{"orders":["' + noise.hex().encode() + b'"]}'
        return web.Response(body=gzip.compress(whole), content_type="application/json", headers={"Content-Encoding": "gzip"})

    async with loopback(answer) as server, calling(server.url, total_seconds=10.0) as http:
        assert len((await http.send(FILE, most=10 * 1024 * 1024, expect="json")).body) == len(body)
        with pytest.raises(UnavailableError, match="longer than 8 MiB"):
            await http.send(FILE, expect="json")
        server.answer = packed
        with pytest.raises(UnavailableError, match="longer than 0 MiB"):
            await http.send(FILE, most=100_000, expect="json")


async def test_a_query_is_said_when_the_call_leaves():
    class Slow(OpenDoor):
        async def admit(self, endpoint: Endpoint) -> None:
            asked.append("late")
            await super().admit(endpoint)

    asked: list[str] = []
    async with loopback(json_answer({})) as server, calling(server.url, admission=Slow()) as http:
        await http.send(FILE, query=lambda: [("who", each) for each in asked], expect="json")
    assert server.calls[0].query == (("who", "late"),)
