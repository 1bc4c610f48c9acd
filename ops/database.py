"""Where the log is: a server that was named, or one of our own in a directory, started for as long as it is needed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from engine.errors import StartupError
from ops.postgres import DATABASE, ENGINE, EmbeddedPostgres, InUseError
from ops.settings import Settings, reveal

VARIABLE = "CROSSDOCK_DATABASE_URL"


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
    """As open_database; beside an engine that runs the directory's server, that server is used and left running."""
    try:
        with open_database(settings, environment, url=url) as database:
            yield database
    except InUseError:
        yield _embedded(EmbeddedPostgres(Path(settings.database.directory)))


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
