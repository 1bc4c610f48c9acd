"""A file of any size is read line by line, from where a marketplace put it, without our key; its address is shown to nobody."""

import asyncio
from contextlib import aclosing

import pytest
from aiohttp import web

from adapters.download import LONGEST_LINE, Download
from engine.errors import AdapterError, RejectedError, UnavailableError
from engine.ports import TcpNet
from tests.loopback import Answer, loopback

pytestmark = pytest.mark.anyio


def served(body: bytes, status: int = 200, **headers: str) -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers={name.replace("_", "-"): text for name, text in headers.items()})

    return answer


async def lines(answer: Answer) -> list[bytes]:
    async with loopback(answer) as server:
        files = Download(target="shopify", home=f"{server.url}/admin", net=TcpNet())
        async with aclosing(files.lines(f"{server.url}/r/1.jsonl?sig=a%2Fsecret")) as found:
            read = [line async for line in found]
        [call] = server.calls
        assert "Authorization" not in call.headers and not any("Shopify" in name for name in call.headers)
        assert call.query == (("sig", "a/secret"),)
        return read


async def test_lines_come_as_they_are_blank_ones_left_out_and_the_last_one_too():
    assert await lines(served(b'{"a":1}\n\n{"b":2}\r\n{"c":3}')) == [b'{"a":1}', b'{"b":2}\r', b'{"c":3}']
    assert await lines(served(b"")) == []
    long = b"x" * 500_000
    assert await lines(served(long + b"\n" + long)) == [long, long]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (served(b"", status=404), UnavailableError),
        (served(b"", status=302, Location="https://elsewhere.example/"), UnavailableError),
        (served(b"packed", Content_Encoding="br"), UnavailableError),
        (served(b"x" * (LONGEST_LINE + 2)), RejectedError),
    ],
)
async def test_what_is_no_such_file_is_an_error_that_says_nothing_of_its_address(answer, error):
    with pytest.raises(error) as caught:
        await lines(answer)
    assert "secret" not in str(caught.value) and "127.0.0.1" not in str(caught.value)


async def test_a_file_that_is_cut_short_is_one_too():
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"one\ntwo")
        assert request.transport is not None
        request.transport.abort()
        return response

    with pytest.raises(UnavailableError, match="cut short"):
        await lines(cut)


async def test_whoever_stops_early_lets_the_connection_go():
    gone = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 1000 + b"\n")
        finally:
            gone.set()

    async with loopback(endless) as server:
        files = Download(target="shopify", home=server.url, net=TcpNet())
        async with aclosing(files.lines(f"{server.url}/1")) as found:
            assert await anext(found)
        await asyncio.wait_for(gone.wait(), 60.0)


@pytest.mark.parametrize("address", ["http://elsewhere.example/1", "ftp://x/1", "file:///etc/passwd", "https://", "", "//x", "http://[::1"])
async def test_a_file_lies_on_an_encrypted_host_or_at_home(address):
    files = Download(target="shopify", home="http://127.0.0.1:1", net=TcpNet())
    with pytest.raises(AdapterError, match="where we do not go"):
        async for _ in files.lines(address):
            pass
