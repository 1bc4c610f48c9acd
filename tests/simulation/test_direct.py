"""What is handed over as it is keeps aiohttp's promises: who falls silent is given up, in a play in memory as on the wire."""

from collections.abc import AsyncIterator, Callable

import anyio
import pytest
from aiohttp import web

from adapters.download import Download
from engine.errors import UnavailableError
from engine.ports import Net
from ops.simulate.direct import DirectNet
from ops.simulate.loop import SimLoop
from ops.simulate.net import Network, SimNet

NETS: dict[str, Callable[[Network], Net]] = {"handed over": DirectNet, "HTTP": lambda _: SimNet()}


@pytest.mark.parametrize("name", NETS)
def test_a_file_of_which_no_more_comes_is_given_up(name: str) -> None:
    loop = SimLoop(1)
    net, read, seconds = NETS[name](Network(loop, 1)), list[bytes](), list[float]()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first\n")
        await anyio.sleep(20.0)
        await response.write(b"second\n")
        await anyio.sleep(10_000.0)
        return response

    async def reading(lines: AsyncIterator[bytes]) -> None:
        async for line in lines:
            read.append(line)
            seconds.append(loop.time())

    async def work() -> None:
        runner = web.AppRunner(app := web.Application())
        app.router.add_get("/", answer)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        home = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        with pytest.raises(UnavailableError, match="cut short"):
            await reading(Download(target="shopify", home=home, net=net).lines(home))
        assert read == [b"first", b"second"]
        assert 19.0 < seconds[1] - seconds[0] < 21.0 and 29.0 < loop.time() - seconds[1] < 32.0
        with anyio.move_on_after(1.0):
            await runner.cleanup()

    try:
        loop.run_until_complete(work())
    finally:
        loop.bury()
