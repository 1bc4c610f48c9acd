"""`crossdock test`: everything that must hold of a change, in the order in which it is quickest to learn of."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from engine.errors import StartupError

REPOSITORY = Path(__file__).resolve().parent.parent
TOOLS = Path(sys.executable).parent
CRASHES, BUGS, STOCK = (f"tests/simulation/test_{name}.py" for name in ("crash", "bugs", "stock_model"))
HUNDREDS, DAY = (f"tests/trade/test_{name}.py" for name in ("orders", "causes"))
SHARES = (
    ["tests/integration"],
    ["tests/trade", *(f"--ignore={elsewhere}" for elsewhere in (HUNDREDS, DAY))],
    ["tests/processes", HUNDREDS, DAY],
    [CRASHES, STOCK],
    ["tests/contract", "tests/unit", BUGS],
    ["tests/simulation", *(f"--ignore={elsewhere}" for elsewhere in (CRASHES, BUGS, STOCK))],
)
PATIENT = SHARES[4:]  # those whose time is their own: they take what the others leave of the machine
LAST = 19  # how nice a process can be
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
FOLDER = "crossdock-tests-"  # and some letters; the lock in it is held by whoever made it, and let go of by the kernel
ROOM = 4 << 30  # bytes; under 1 GiB of it was in use at a time
CACHE = Path(sys.prefix) / "cache"  # beside the tools: the checkout may belong to somebody else


def run_checks(argv: list[str]) -> int:
    """Run all of them, even if one fails; `argv` goes to pytest. Returns 0 if everything holds, else 1.

    Tests that want a missing program do not fail; the last line names them (tests/conftest.py). StartupError: there is nothing to run with.
    """
    if missing := [tool for tool in ("ruff", "lint-imports", "mypy", "pytest") if not (TOOLS / tool).exists()]:
        raise StartupError(f"{TOOLS} has no {', '.join(missing)}: ./ops/run test installs what tests need")
    types = begin(["mypy"])  # takes as long as many tests do: beside them
    others = {
        "formatting": ["ruff", "format", "--check"],
        "lint": ["ruff", "check"],
        "import rules": ["lint-imports", "--cache-dir", str(CACHE / "import-linter")],
    }
    failed = [name for name, command in others.items() if not holds(name, begin(command))]
    print("── tests", flush=True)
    with written_in_memory():
        if not (start(pytest(argv)).wait() == 0 if argv else all_pass()):
            failed.append("tests")
    if not holds("types", types):
        failed.append("types")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def all_pass() -> bool:
    """All tests, in several processes: those that play with time wait for most of theirs. The first is heard as it runs, each other when
    it is over.
    """
    with ExitStack() as stack:
        told = [stack.enter_context(tempfile.TemporaryFile()) for _ in SHARES[1:]]
        others = [start(pytest(share), stdout=file, stderr=subprocess.STDOUT) for share, file in zip(SHARES[1:], told, strict=True)]
        for share, other in zip(SHARES[1:], others, strict=True):
            if share in PATIENT:
                os.setpriority(os.PRIO_PROCESS, other.pid, LAST)
        ends = [start(pytest(SHARES[0])).wait()]
        for other, file in zip(others, told, strict=True):
            ends.append(other.wait())
            file.seek(0)
            shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.flush()
    return not any(ends)


@contextmanager
def written_in_memory() -> Iterator[None]:
    """Where there is room for it, unless TMPDIR says otherwise: hundreds of databases are made, of four hundred files each."""
    if "TMPDIR" in os.environ or not _has_room():
        yield
        return
    _clear_up()
    with tempfile.TemporaryDirectory(prefix=FOLDER, dir=MEMORY) as directory, Path(directory, "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        Path(directory).chmod(0o1777)  # as any place for temporary files: root's servers run as somebody else
        os.environ["TMPDIR"] = directory
        try:
            yield
        finally:
            del os.environ["TMPDIR"]


def _has_room() -> bool:
    if not os.access(MEMORY, os.W_OK):
        return False
    status = os.statvfs(MEMORY)
    return status.f_bavail * status.f_frsize >= ROOM and not status.f_flag & os.ST_NOEXEC


def _clear_up() -> None:
    """What killed runs left behind takes memory."""
    for left in MEMORY.glob(f"{FOLDER}*/lock"):
        with suppress(OSError), left.open() as lock:  # BlockingIOError: somebody is at work there
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left.parent, ignore_errors=True)


def pytest(argv: list[str]) -> list[str]:
    cache = CACHE / "pytest" / "-".join(Path(each).name for each in argv if argv in SHARES)  # one each: both write in it
    return ["pytest", "-o", f"cache_dir={cache}", *argv]


def begin(command: list[str]) -> subprocess.Popen[bytes]:
    return start(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def holds(name: str, begun: subprocess.Popen[bytes]) -> bool:
    """One line if it does; all that the tool has to say if it does not."""
    print(f"── {name}", end="", flush=True)
    told, _ = begun.communicate()
    print(": ok" if begun.returncode == 0 else f"\n{told.decode()}", flush=True)
    return begun.returncode == 0


def start(command: list[str], stdout: int | IO[bytes] | None = None, stderr: int | None = None) -> subprocess.Popen[bytes]:
    caches = {
        "RUFF_CACHE_DIR": str(CACHE / "ruff"),
        "MYPY_CACHE_DIR": str(CACHE / "mypy"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(CACHE / "hypothesis"),
    }
    tool, *arguments = command
    return subprocess.Popen([TOOLS / tool, *arguments], cwd=REPOSITORY, env=os.environ | caches, stdout=stdout, stderr=stderr)
