"""`crossdock test`: everything that must hold of a change, in the order in which it is quickest to learn of."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
TOOLS = Path(sys.executable).parent
CACHE = Path(sys.prefix) / "cache"  # beside the tools: the checkout may belong to somebody else


def run_checks(argv: list[str]) -> int:
    """Run all of them, even if one fails; `argv` goes to pytest. Returns 0 if everything holds, else 1.

    Tests that want a missing program do not fail; the last line names them (tests/conftest.py).
    """
    checks = {
        "formatting": ["ruff", "format", "--check"],
        "lint": ["ruff", "check"],
        "types": ["mypy"],
        "import rules": ["lint-imports", "--cache-dir", str(CACHE / "import-linter")],
    }
    failed = [name for name, command in checks.items() if not holds(name, command)]
    print("── tests", flush=True)
    if run(["pytest", "-o", f"cache_dir={CACHE / 'pytest'}", *argv]).returncode:
        failed.append("tests")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def holds(name: str, command: list[str]) -> bool:
    """One line if it does; all that the tool has to say if it does not."""
    print(f"── {name}", end="", flush=True)
    done = run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(": ok" if done.returncode == 0 else f"\n{done.stdout.decode()}", flush=True)
    return done.returncode == 0


def run(command: list[str], stdout: int | None = None, stderr: int | None = None) -> subprocess.CompletedProcess[bytes]:
    caches = {
        "RUFF_CACHE_DIR": str(CACHE / "ruff"),
        "MYPY_CACHE_DIR": str(CACHE / "mypy"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(CACHE / "hypothesis"),
    }
    tool, *arguments = command
    return subprocess.run([TOOLS / tool, *arguments], cwd=REPOSITORY, env=os.environ | caches, stdout=stdout, stderr=stderr, check=False)
