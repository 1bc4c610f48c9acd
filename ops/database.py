"""Where the log is: a server that was named, or one of our own in a directory, started for as long as it is needed."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from engine.errors import StartupError
from engine.log import Log
from engine.metrics import Metrics
from engine.migrate import check_schema
from engine.ports import Clock, PostgresDb, SystemClock, SystemRng
from engine.vault import Vault, key_file, key_of, master_key_from
from ops.postgres import DATABASE, ENGINE, EmbeddedPostgres, InUseError
from ops.settings import Settings, reveal

VARIABLE = "CROSSDOCK_DATABASE_URL"
DAY = re.compile(r"\d{4}-\d\d-\d\dZ?")
FIRST_AFTER = "SELECT min(position) FROM crossdock.events WHERE tenant = $1 AND recorded_at > $2"


@dataclass(frozen=True)
class Database:
    """Two ways into one database; both hold a password, perhaps, and are printed nowhere."""

    owner_url: str  # migrates
    engine_url: str  # appends and reads
    directory: Path | None  # of the embedded server

    def __repr__(self) -> str:
        return f"Database({self.directory or 'by URL'})"


@contextmanager
def open_database(settings: Settings, environment: Mapping[str, str], *, url: str = "") -> Iterator[Database]:
    """The database of the settings, or the one at `url`. StartupError says what is missing.

    Raises ops.postgres.InUseError where the directory's server is run by another process: `share_database` reads along with it.
    """
    if named := _named(settings, environment, url):
        yield named
        return
    directory = Path(settings.database.directory)
    with EmbeddedPostgres(directory) as server:
        yield _embedded(server)


@contextmanager
def share_database(settings: Settings, environment: Mapping[str, str], *, url: str = "") -> Iterator[Database]:
    """As open_database, of one that is there; beside an engine that runs the directory's server, that server is used and left running."""
    if _named(settings, environment, url) is None:
        require_directory(settings)
    try:
        with open_database(settings, environment, url=url) as database:
            yield database
    except InUseError:
        yield _embedded(EmbeddedPostgres(Path(settings.database.directory)))


def require_directory(settings: Settings) -> None:
    """StartupError unless a database is in the directory of the settings: whoever only looks makes none where a name was mistyped."""
    server = EmbeddedPostgres(Path(settings.database.directory))
    if not server.is_made:
        raise StartupError(f"no database is in {server.directory}: `crossdock migrate` and `crossdock serve` make one")


def _named(settings: Settings, environment: Mapping[str, str], url: str) -> Database | None:
    """The server that was named, if one was: on the command line, in the settings, in the environment."""
    section = settings.database
    if not url and section.url is not None:
        url = reveal(section.url, "database.url", environment).reveal()
    if not url and not section.directory:
        url = environment.get(VARIABLE, "")
        if not url:
            raise StartupError(f"no database: set [database] url or directory, the variable {VARIABLE}, or give --database URL")
    if not url:
        return None
    owner = section.owner_url
    if owner is None or (owner.env and owner.env not in environment):  # the engine runs without the owner's login
        return Database(url, as_engine(url), None)
    return Database(reveal(owner, "database.owner_url", environment).reveal(), as_engine(url), None)


def _embedded(server: EmbeddedPostgres) -> Database:
    return Database(server.url(), server.url(DATABASE, ENGINE), server.directory)


def as_engine(url: str) -> str:
    """The same address, taking the engine's role on connecting: a login of the owner's steps down to it, the engine's own stays."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), ("role", ENGINE)])))


def reading_only(url: str) -> str:
    """The same address, for a session in which the server writes nothing."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), ("default_transaction_read_only", "on")])))


# ---------------------------------------------------------------- the log in it


@dataclass(frozen=True)
class Opened:
    """A log, ready to be read: what every command but `serve` needs."""

    pool: Any
    log: Log
    vault: Vault
    clock: Clock


@asynccontextmanager
async def open_log(
    settings: Settings, environment: Mapping[str, str], url: str, clock: Clock | None = None, *, read_only: bool = False
) -> AsyncIterator[Opened]:
    """The log of the settings, as the engine's role sees it. StartupError if the database is not at this version."""
    clock = clock or SystemClock()
    with share_database(settings, environment, url=url) as database:
        address = reading_only(database.engine_url) if read_only else database.engine_url
        pool = await PostgresDb(address, size=4, command_timeout=120.0).pool()  # a long read may take a while
        try:
            async with pool.acquire() as conn:
                await check_schema(conn)
            vault = Vault(pool, settings.tenant_id, master_key_of(settings, environment))
            yield Opened(pool, Log(pool, settings.tenant_id, vault, clock, Metrics()), vault, clock)
        finally:
            await pool.close()


async def position_at(opened: Opened, text: str, option: str) -> int:
    """A position of the log, given as such or as a time: the last one before anything was recorded later. StartupError: it is neither.

    Clocks differ, and that of a demo runs ahead of whoever does something in its log: nothing is shown that was not known by then.
    """
    head = await opened.log.head()
    if text.isdecimal():
        return min(int(text), head)
    if DAY.fullmatch(text):
        raise StartupError(f"{option} {text}: say at which hour of that day, as in {text[:10]}T12:00:00Z")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise StartupError(f"{option} {text}: a position, or a time such as 2026-11-20T12:00:00Z") from None
    if moment.tzinfo is None:
        raise StartupError(f"{option} {text}: say in which zone, as in {moment.isoformat()}Z")
    later: int | None = await opened.pool.fetchval(FIRST_AFTER, opened.log.tenant, moment)
    return head if later is None else later - 1


def master_key_of(settings: Settings, environment: Mapping[str, str], *, looking: bool = False) -> bytes:
    """From where the settings say, else from the environment; beside an embedded database one is made, when `looking` only if that is."""
    if settings.vault.master_key is not None:
        return key_of(reveal(settings.vault.master_key, "vault.master_key", environment).reveal(), "vault.master_key")
    if (found := master_key_from(environment)) is not None:
        return found
    if settings.database.directory:
        path = Path(settings.database.directory) / "master.key"
        if looking and not path.exists():
            require_directory(settings)
        return key_file(path, SystemRng())
    raise StartupError(
        "no master key: set [vault] master_key, or the variable CROSSDOCK_MASTER_KEY (openssl rand -base64 32). Keep it outside the"
        " database and its backups: without it nothing personal can be read again"
    )


async def prove_master_key(conn: Any, settings: Settings, environment: Mapping[str, str]) -> None:
    """Raise StartupError, naming the option, unless the master key is the one that this database's keys were wrapped with."""
    vault = Vault(conn, settings.tenant_id, master_key_of(settings, environment))
    try:
        await vault.prove()
    except StartupError as error:
        variables = [name for name in ("CROSSDOCK_MASTER_KEY", "CROSSDOCK_MASTER_KEY_FILE") if environment.get(name)]
        beside = str(Path(settings.database.directory) / "master.key")
        raise StartupError(f"{'vault.master_key' if settings.vault.master_key else (variables or [beside])[0]}: {error}") from None
