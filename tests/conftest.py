"""What every test may ask for: a server, a migrated database of its own, the event loop. And which tests want a program that is missing.

`pytest --database postgresql://…` (or CROSSDOCK_DATABASE_URL) runs the suite against that server, by a login that may create databases
and roles. Without it, a server is embedded in a temporary directory.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from ops.postgres import ENGINE, EmbeddedPostgres
from tests.contract.clients.install import INSTALLERS

WAYS = {  # what a test may want: how to get it
    "promtool": "apt-get install prometheus",
    "chromium": "apt-get install chromium",
    "node-clients": "apt-get install nodejs npm",  # and the npm registry, once
    "python-clients": "apt-get install python3-venv",  # and the Python package index, once
    "root": "run them as root",
}


# A busy machine makes no test wrong.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


# ---------------------------------------------------------------- the event loop


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


# ---------------------------------------------------------------- databases


@dataclass(frozen=True)
class Server:
    """A Postgres for the length of the run."""

    admin_url: str  # of a database that is always there, by a login that may create others
    embedded: EmbeddedPostgres | None

    def url(self, database: str) -> str:
        """That database, by the same login."""
        return urlunsplit(urlsplit(self.admin_url)._replace(path=f"/{database}"))

    def engine_url(self, database: str) -> str:
        """That database, as the engine: by its own login; on a server whose logins are not ours, by taking its role on connecting."""
        if self.embedded:
            return self.embedded.url(database, ENGINE)
        from ops.database import as_engine  # noqa: PLC0415 - as below

        return as_engine(self.url(database))

    async def execute(self, *statements: str) -> None:
        admin = await asyncpg.connect(self.admin_url)
        try:
            for statement in statements:
                await admin.execute(statement)
        finally:
            await admin.close()


@dataclass(frozen=True)
class Database:
    """A migrated database that one test has to itself."""

    name: str
    admin_url: str  # by the server's own login: may do anything
    owner_url: str  # the same login, who also migrates
    engine_url: str  # by whom the engine runs as: may append and read


def pytest_addoption(parser: pytest.Parser) -> None:
    given = os.environ.get("CROSSDOCK_DATABASE_URL", "")
    parser.addoption("--database", default=given, metavar="URL", help="run against this server instead of an embedded one")


def _plainly(url: str) -> str:
    """A server on this machine is spoken to without TLS: asyncpg, cancelled while it asks for TLS, leaves an error that nobody awaits."""
    parts = urlsplit(url)
    if parts.hostname not in ("127.0.0.1", "::1", "localhost") or "sslmode" in parts.query:
        return url
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), ("sslmode", "disable")])))


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The server of `--database`, or one of our own."""
    if url := request.config.getoption("--database"):
        yield Server(_plainly(url), embedded=None)
        return
    with tempfile.TemporaryDirectory(prefix="crossdock-") as directory, EmbeddedPostgres(Path(directory), durable=False) as server:
        yield Server(server.url("postgres"), embedded=server)


@pytest.fixture(scope="session")
async def template(postgres: Server, anyio_backend: str) -> AsyncIterator[str]:
    """A database migrated once, to be copied."""
    from engine.migrate import migrate  # noqa: PLC0415 - a test of something else runs while this is being worked on

    name = f"crossdock_template_{secrets.token_hex(4)}"
    await postgres.execute(f"CREATE DATABASE {name}")
    try:
        await migrate(postgres.url(name))
        yield name
    finally:
        await postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(postgres: Server, template: str) -> AsyncIterator[Database]:
    name = f"crossdock_test_{secrets.token_hex(4)}"
    await postgres.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield Database(name, postgres.url(name), postgres.url(name), postgres.engine_url(name))
    finally:
        await postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


# ---------------------------------------------------------------- programs of the system

not_run = pytest.StashKey[dict[str, list[str]]]()  # program: the tests left out for want of it


def programs(item: pytest.Item) -> list[str]:
    """The programs that a test needs and this machine lacks; and what it needs installed that cannot be."""
    marks = list(item.iter_markers("needs"))
    missing = [str(mark.kwargs["program"]) for mark in marks if "program" in mark.kwargs and shutil.which(mark.kwargs["program"]) is None]
    missing += ["root" for mark in marks if mark.kwargs.get("root") and os.geteuid() != 0]
    return missing + [
        mark.kwargs["installed"] for mark in marks if "installed" in mark.kwargs and not INSTALLERS[mark.kwargs["installed"]]()
    ]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a program that is not here; with CROSSDOCK_REQUIRE_PROGRAMS=1, as in .ci/run, let it fail instead."""
    config.stash[not_run] = {}
    if os.environ.get("CROSSDOCK_REQUIRE_PROGRAMS") == "1":
        return
    left_out = [item for item in items if programs(item)]
    for item in left_out:
        for program in programs(item):
            config.stash[not_run].setdefault(program, []).append(item.name)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_runtest_setup(item: pytest.Item) -> None:
    for program in programs(item):
        pytest.fail(f"there is no {program} here: {WAYS[program]}")


# ---------------------------------------------------------------- figures

figures = pytest.StashKey[list[str]]()  # what tests have to show, once they have passed


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Have a line printed at the end of the run, whether or not anybody looks at what tests print."""
    return request.config.stash.setdefault(figures, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(figures, []):
        terminalreporter.write_line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last line of all: what did not run, and how to get it."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal and (absent := config.stash.get(not_run, {})):
        tests = ", ".join(name for names in absent.values() for name in names)
        ways = "; ".join(WAYS[program] for program in absent)
        terminal.write_line(f"Not run, for want of {', '.join(absent)}: {tests}. To run them too: {ways}")
