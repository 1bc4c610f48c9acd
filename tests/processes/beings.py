"""`crossdock` commands as processes: begun, watched, and ended by a signal. See tests/processes/nursery.py for how they come to life."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Nursery:
    """See tests/processes/nursery.py. One for the run: it takes as long to come up as one command."""

    def __init__(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CROSSDOCK_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.processes.nursery"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def _ask(self, wish: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(wish) + "\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told

    def begin(self, said: Path, *args: str, pace: dict[str, Any] | None = None) -> "Being":
        return Being(self, self._ask({"args": list(args), "said": str(said), "pace": pace})["pid"], said)

    def code(self, pid: int) -> int | None:
        """None while it lives; to be asked until it does not."""
        code: int | None = self._ask({"look": pid})["code"]
        return code

    def close(self) -> None:
        """It, and all that it gave birth to."""
        self._process.kill()
        self._process.communicate()


@dataclass
class Being:
    """A `crossdock` command in a process of its own."""

    nursery: Nursery
    pid: int
    said: Path  # what it writes
    _code: int | None = None

    @property
    def code(self) -> int | None:
        """Its exit code, or minus the signal that it died of; None while it lives."""
        if self._code is None:
            self._code = self.nursery.code(self.pid)
        return self._code

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Blocks until it is gone, which takes no time."""
        if self.code is None:
            self.send(signal.SIGKILL)
        while self.code is None:
            time.sleep(0.001)

    async def ended(self) -> int:
        while (code := self.code) is None:
            await asyncio.sleep(0.02)
        return code

    async def terminated(self) -> int:
        """Asked to go, it has gone; with this code."""
        self.send(signal.SIGTERM)
        return await self.ended()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What it has logged."""
        if not self.said.exists():
            return []
        return [json.loads(line) for line in self.said.read_text().splitlines() if line.startswith("{")]


@dataclass
class Engine:
    """One that serves; its addresses, once it is up."""

    being: Being
    began: float
    webhooks: str = ""
    operations: str = ""

    @property
    def up(self) -> bool:
        if not self.webhooks:
            started = next((line for line in self.being.lines if line["what"] == "started"), None)
            if started is not None:
                self.webhooks, self.operations = started["webhooks"], started["operations"]
        return bool(self.webhooks)
