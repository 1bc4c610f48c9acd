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
        "tests": ["pytest", "-o", f"cache_dir={CACHE / 'pytest'}", *argv],
    }
    caches = {
        "RUFF_CACHE_DIR": str(CACHE / "ruff"),
        "MYPY_CACHE_DIR": str(CACHE / "mypy"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(CACHE / "hypothesis"),
    }
    failed = []
    for name, (tool, *arguments) in checks.items():
        print(f"── {name}", flush=True)
        if subprocess.run([TOOLS / tool, *arguments], cwd=REPOSITORY, env=os.environ | caches, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0
