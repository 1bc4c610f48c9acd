"""A large house, for measuring: sandboxes and `crossdock serve`, each a process of its own, on a Postgres that is there.

Nothing is taken out of the engine's way: it is the command that a merchant runs, and what it takes is read from the system.
"""

import base64
import contextlib
import signal
import sys
import tomllib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import psutil
from anyio.streams.buffered import BufferedByteReceiveStream

from engine.ports import SystemClock, TcpNet
from ops.sandbox.systems import API_KEY, TOKEN, WEBHOOK_SECRET

clock = SystemClock()
MASTER_KEY = base64.b64encode(bytes(32)).decode()
LONGEST_LINE = 1_000
DOMAIN = "harbour-and-thread.myshopify.com"


@dataclass
class Serving:
    """A `crossdock serve` under way."""

    process: Any
    began: float = field(default_factory=clock.monotonic)
    _peak: float = 0.0

    def memory(self) -> float:
        """MiB at most, so far."""
        with contextlib.suppress(psutil.Error, OSError):
            status = Path(f"/proc/{self.process.pid}/status")
            if status.exists():
                self._peak = float(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM"))) / 1024
            else:
                self._peak = max(self._peak, psutil.Process(self.process.pid).memory_info().rss / 2**20)
        return self._peak

    def cpu(self) -> float:
        """Seconds of a processor, so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)


@dataclass
class Large:
    """One shop, and as many marketplaces as channels: of each sandbox one half is used, but of the first."""

    directory: Path
    sandboxes: list[tuple[str, int]]  # URL, and the shop's number on that marketplace
    database: str  # by whom the engine runs as
    session: aiohttp.ClientSession

    def configure(self, tenant: str) -> Path:
        """A new tenant's crossdock.toml."""
        secrets = {
            "token": TOKEN,
            "secret": WEBHOOK_SECRET,
            "path": "measured" * 4,
            "key": API_KEY,
            "url": self.database,
            "master": MASTER_KEY,
        }
        for name, text in secrets.items():
            file = self.directory / name
            file.touch(mode=0o600)
            file.write_text(text)
        channels = "".join(
            f"""
[[channel]]
id = "c{number}"
base_url = "{url}/mirakl"
api_key = {{ file = "{self.directory / "key"}" }}
shop_id = {shop_id}
[channel.rules]
accept_hours = 48.0
"""
            for number, (url, shop_id) in enumerate(self.sandboxes)
        )
        text = f"""
[tenant]
id = "{tenant}"
[database]
url = {{ file = "{self.directory / "url"}" }}
[vault]
master_key = {{ file = "{self.directory / "master"}" }}
[shopify]
shop = "{DOMAIN}"
base_url = "{self.sandboxes[0][0]}/shopify"
access_token = {{ file = "{self.directory / "token"}" }}
webhook_secret = {{ file = "{self.directory / "secret"}" }}
webhook_path = {{ file = "{self.directory / "path"}" }}
[web]
webhooks = "127.0.0.1:0"
operations = "127.0.0.1:0"
{channels}"""
        tomllib.loads(text)
        path = self.directory / f"{tenant}.toml"
        path.write_text(text)
        return path

    @contextlib.asynccontextmanager
    async def serving(self, settings: Path) -> AsyncIterator[Serving]:
        """The engine, killed at the end: what it has committed is what counts."""
        with (self.directory / "serve.log").open("ab") as log:
            process = await anyio.open_process([sys.executable, "-m", "ops", "serve", "--config", str(settings)], stdout=log, stderr=log)
            try:
                yield Serving(process)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGKILL)
                with anyio.CancelScope(shield=True):
                    await process.wait()


@contextlib.asynccontextmanager
async def large(directory: Path, database: str, scenario: str, *, channels: int = 1, seed: int = 1) -> AsyncIterator[Large]:
    """`scenario`: the text of one, for each of the sandboxes."""
    (directory / "scenario.toml").write_text(scenario)
    timeout = aiohttp.ClientTimeout(total=600.0)
    async with contextlib.AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(_sandbox(directory / "scenario.toml", seed)) for _ in range(channels)]
        session = await stack.enter_async_context(TcpNet().session(timeout=timeout))
        yield Large(directory, urls, database, session)


@contextlib.asynccontextmanager
async def _sandbox(scenario: Path, seed: int) -> AsyncIterator[tuple[str, int]]:
    command: Sequence[str] = (sys.executable, "-m", "ops", "sandbox", "--scenario", str(scenario), "--seed", str(seed), "--port", "0")
    process = await anyio.open_process(command, stderr=None)
    try:
        assert process.stdout is not None
        lines = BufferedByteReceiveStream(process.stdout)
        while not (line := (await lines.receive_until(b"\n", LONGEST_LINE)).decode()).startswith("Mirakl "):
            pass
        words = line.split()
        yield words[1].removesuffix("/mirakl"), int(words[-1])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        with anyio.CancelScope(shield=True):
            await process.wait()
