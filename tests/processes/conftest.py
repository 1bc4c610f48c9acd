"""What the tests with real processes may ask for; and their figures, at the end of the run."""

import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.migrate import migrate
from ops.postgres import EmbeddedPostgres
from tests.processes.beings import Nursery
from tests.processes.rig import Rig, rig

told = pytest.StashKey[dict[str, dict[str, Any]]]()  # test -> its figures


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    built = Nursery()
    yield built
    built.close()


@pytest.fixture(scope="session")
async def cluster(anyio_backend: str) -> AsyncIterator[Path]:
    """The directory of a server that was migrated once, to be copied."""
    with tempfile.TemporaryDirectory(prefix="crossdock-") as path:
        Path(path).chmod(0o711)  # as its copies are to be: the database's own user passes through
        with EmbeddedPostgres(Path(path)) as server:
            await migrate(server.url())
        yield Path(path)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path: sockets live in it."""
    with tempfile.TemporaryDirectory(prefix="crossdock-") as path:
        Path(path).chmod(0o711)  # the database's own user passes through
        yield Path(path)


@pytest.fixture
def server(directory: Path, cluster: Path) -> Iterator[EmbeddedPostgres]:
    """As durable as in earnest, and running."""
    subprocess.run(["cp", "-a", str(cluster), str(directory / "postgres")], check=True)
    with EmbeddedPostgres(directory / "postgres") as built:
        yield built


@pytest.fixture
async def house(directory: Path, nursery: Nursery, server: EmbeddedPostgres, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    async with rig(directory, nursery, server) as built:
        yield built
        request.config.stash.setdefault(told, {})[request.node.name] = built.figures


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for name, figures in config.stash.get(told, {}).items():
        if figures:
            terminalreporter.write_line(f"{name}: " + ", ".join(f"{what}: {number}" for what, number in figures.items()))
