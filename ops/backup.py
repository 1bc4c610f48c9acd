"""A backup of the whole database at one moment, and of the keys apart; written while the engine goes on, and put back into an empty server.

    DIR/backup.json   what it must be when it is back: the last hash, a digest of each projection, of each table
    DIR/log/          everything but the keys, as pg_dump writes a directory
    DIR/keys/         the keys of what is sealed, each wrapped by the master key, which is in neither

The keys have a directory of their own because they need a shorter life: whoever was erased since is erased from `log/` too, as long as
no old copy of `keys/` is at hand.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import anyio
import msgspec
from msgspec import Struct

from engine.errors import EngineError, StartupError
from engine.ports import PostgresDb, SystemClock
from engine.projection import Projection
from engine.rebuild import digest
from engine.runner import STANDS, Table
from ops.postgres import EmbeddedError, program
from schemas.values import TenantId

PATIENCE = 600.0  # seconds of the event loop for a statement about a whole table
MANIFEST, LOG, KEYS = "backup.json", "log", "keys"
TABLE_OF_CONTENTS = "toc.dat"  # of what pg_dump writes as a directory
OWNER = "crossdock_owner"  # as migrations/0001_log.sql makes it
JOBS = "2"  # of pg_dump and pg_restore: the log is one table, everything else goes beside it

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
WAIT_LONG = "SET LOCAL idle_in_transaction_session_timeout = 0"  # for pg_dump, while we hold the moment that it writes down
THIS_MOMENT = "SELECT pg_export_snapshot()"
HEAD = "SELECT position, hash FROM crossdock.heads WHERE tenant = $1"
READABLE = """
SELECT count(*) AS sealed, count(k.wrapped) AS readable
FROM crossdock.events e LEFT JOIN crossdock.keys k ON k.tenant = e.tenant AND k.subject = e.subject
WHERE e.tenant = $1 AND e.sealed IS NOT NULL
"""
# The log has its chain, and the keys their own backup.
TABLES = """
SELECT quote_ident(c.relname) AS name FROM pg_class c
WHERE c.relnamespace = 'crossdock'::regnamespace AND c.relkind = 'r' AND c.relname NOT IN ('events', 'keys')
ORDER BY c.relname COLLATE "C"
"""
ROLES = """
SELECT DISTINCT pg_get_userbyid(named.role) AS name
FROM (
    SELECT nspowner AS owner, nspacl AS acl, oid AS namespace FROM pg_namespace
    UNION ALL SELECT relowner, relacl, relnamespace FROM pg_class
    UNION ALL SELECT proowner, proacl, pronamespace FROM pg_proc
) things, LATERAL (SELECT things.owner UNION SELECT grantee FROM aclexplode(things.acl)) named (role)
WHERE things.namespace IN ('crossdock'::regnamespace, 'projections'::regnamespace) AND named.role <> 0
ORDER BY 1
"""
EXISTS = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)"
MAKE_ROLE = "SELECT format('CREATE ROLE %I NOLOGIN', $1::text)"


class Folded(Struct, frozen=True):
    """A projection's rows."""

    position: int  # as far as they were folded
    rows: int
    digest: str  # as engine.rebuild.digest makes it


class Manifest(Struct, frozen=True, kw_only=True):
    """What a backup holds, all of one moment."""

    made_at: datetime
    tenant: TenantId
    position: int  # of the tenant's last event
    hash: str  # of that event, in hexadecimal
    sealed: int  # events beside which something is sealed …
    readable: int  # … and of these, those whose key was there
    projections: dict[str, Folded]
    tables: dict[str, str]  # each but the log and the keys -> SHA-256 of its rows
    roles: list[str]  # who owns or may do something in it: an empty server needs them first
    log_bytes: int  # on disk
    keys_bytes: int


async def back_up(url: str, tenant: TenantId, projections: Sequence[Projection[Any]], directory: Path, *, sync: bool = True) -> Manifest:
    """Write a backup into a directory that is not there yet, or empty. `url`: of a login that may read everything, the owner's.

    The engine goes on meanwhile: everything is read as of one moment. Raises EngineError, StartupError.
    """
    if directory.exists() and any(directory.iterdir()):
        raise StartupError(f"{directory} is not empty: a backup takes a directory of its own")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    conn = await PostgresDb(url, command_timeout=PATIENCE).connect()
    try:
        await conn.execute(BEGIN)
        await conn.execute(WAIT_LONG)
        moment = await conn.fetchval(THIS_MOMENT)
        whole = ["--format=directory", f"--jobs={JOBS}", "--compress=gzip:1", f"--snapshot={moment}", *([] if sync else ["--no-sync"])]
        log, keys = directory / LOG, directory / KEYS
        left_out = ["--exclude-table-data=crossdock.keys", "--exclude-table=projections.shadow_*"]
        await run_program("pg_dump", url, *whole, "--schema=crossdock", "--schema=projections", *left_out, f"--file={log}")
        await run_program("pg_dump", url, *whole, "--data-only", "--table=crossdock.keys", f"--file={keys}")
        manifest = await _manifest(conn, tenant, projections, _size(log), _size(keys))
    finally:
        await conn.close()
    (directory / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    return manifest


def read_manifest(directory: Path) -> Manifest:
    """What was written there. StartupError: it is no backup."""
    try:
        return msgspec.json.decode((directory / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        why = getattr(error, "strerror", None) or "not what `crossdock drill --keep` writes"
        raise StartupError(f"{directory} holds no backup that can be read: {MANIFEST}: {why}") from None


def require_keys(directory: Path) -> None:
    """StartupError unless keys were written there."""
    if not (directory / TABLE_OF_CONTENTS).exists():
        raise StartupError(f"{directory} holds no keys: `crossdock drill --keep` writes a directory of them, {KEYS}/")


async def restore(url: str, directory: Path, keys: Path, manifest: Manifest) -> None:
    """Put a backup into an empty database, with keys of its own time or of a later one. `url`: of a login that may make roles.

    Raises EngineError where it does not go in.
    """
    conn = await PostgresDb(url).connect()
    try:
        for role in (OWNER, *manifest.roles):
            if not await conn.fetchval(EXISTS, role):
                await conn.execute(await conn.fetchval(MAKE_ROLE, role))
    finally:
        await conn.close()
    await run_program("pg_restore", url, "--format=directory", f"--jobs={JOBS}", "--exit-on-error", directory / LOG)
    await run_program("pg_restore", url, "--format=directory", "--data-only", "--exit-on-error", keys)


async def _manifest(conn: Any, tenant: TenantId, projections: Sequence[Projection[Any]], log_bytes: int, keys_bytes: int) -> Manifest:
    head = await conn.fetchrow(HEAD, tenant)
    if head is None:
        raise StartupError(f"the log of {tenant} is empty: there is nothing to back up")
    seals = await conn.fetchrow(READABLE, tenant)
    return Manifest(
        made_at=SystemClock().now(),
        tenant=tenant,
        position=head["position"],
        hash=head["hash"].hex(),
        sealed=seals["sealed"],
        readable=seals["readable"],
        projections=await folded(conn, tenant, projections),
        tables=await tables(conn),
        roles=[row["name"] for row in await conn.fetch(ROLES)],
        log_bytes=log_bytes,
        keys_bytes=keys_bytes,
    )


async def folded(conn: Any, tenant: TenantId, projections: Sequence[Projection[Any]]) -> dict[str, Folded]:
    """Each projection that has begun, as its rows stand."""
    found = dict[str, Folded]()
    for projection in projections:
        stands = await conn.fetchval(STANDS, tenant, projection.name)
        if stands is not None:
            rows = await conn.fetchval(Table(projection.name).count, tenant)
            found[projection.name] = Folded(stands, rows, await digest(conn, projection.name, tenant))
    return found


async def tables(conn: Any) -> dict[str, str]:
    """A digest of every table's rows, whoever's they are; the log and the keys apart."""
    found = dict[str, str]()
    for row in await conn.fetch(TABLES):
        rows = hashlib.sha256()
        query = f'SELECT t::text FROM crossdock.{row["name"]} t ORDER BY t::text COLLATE "C"'  # noqa: S608 - quoted by the database
        await conn.copy_from_query(query, output=_into(rows.update), timeout=PATIENCE)
        found[row["name"]] = rows.hexdigest()
    return found


def _into(update: Callable[[bytes], None]) -> Callable[[bytes], Any]:
    async def take(lines: bytes) -> None:
        update(lines)

    return take


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*"))


# ---------------------------------------------------------------- the programs


async def run_program(name: str, url: str, *options: str | Path) -> None:
    """Run one of Postgres's own programs on a database. EngineError tells the first thing it had to say."""
    dbname, environment = _without_password(url)
    words = [str(program(name)), f"--dbname={dbname}", "--no-password", *map(str, options)]
    try:
        await anyio.run_process(words, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", **environment})
    except FileNotFoundError:
        raise EmbeddedError(f"{name} is not installed here. Install ops/requirements.lock.") from None
    except CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise EngineError(f"{name} failed: {said[0].removeprefix(f'{name}: ').removeprefix('error: ')}") from None


def _without_password(url: str) -> tuple[str, dict[str, str]]:
    """The address as libpq takes it, and the environment that it takes the password from: arguments can be read by everybody."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    password = query.pop("password", "") or unquote(parts.password or "")
    query.pop("role", None)  # asyncpg's way of saying it
    netloc = parts.netloc
    if parts.password is not None:
        user, _, host = netloc.rpartition("@")
        netloc = f"{user.split(':', 1)[0]}@{host}"
    environment = {"PGPASSWORD": password} if password else {}
    if home := os.environ.get("HOME"):
        environment["HOME"] = home  # where libpq looks for certificates
    return urlunsplit(parts._replace(netloc=netloc, query=urlencode(query))), environment
