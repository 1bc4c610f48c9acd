"""What is in a database, as a thief of its backup would read it: dumped by Postgres's own programs, with everything hexadecimal decoded."""

import os
import re
import subprocess
from pathlib import Path

from ops.postgres import program

KEYS = "crossdock.keys"  # kept apart from the log: see README, "Erase a person"
HEXADECIMAL = re.compile(rb"\\\\x([0-9a-f]+)")


def run(name: str, *arguments: str) -> bytes:
    """One of Postgres's programs; of the wheel, as the server is."""
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    done = subprocess.run([str(program(name)), *arguments], capture_output=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, f"{name}: {done.stderr.decode(errors='replace')[-2000:]}"
    return done.stdout


def dumped(url: str) -> bytes:
    """Every table, and what stands in its binary columns beside it."""
    text = run("pg_dump", "--dbname", url)
    return text + b"\n".join(bytes.fromhex(found[1].decode()) for found in HEXADECIMAL.finditer(text))


def back_up(url: str, file: Path) -> None:
    """All but the keys."""
    run("pg_dump", "--dbname", url, "--format", "custom", "--exclude-table-data", KEYS, "--file", str(file))


def back_up_keys(url: str, file: Path) -> None:
    run("pg_dump", "--dbname", url, "--format", "custom", "--data-only", "--table", KEYS, "--file", str(file))


def restore(file: Path, url: str) -> None:
    """Into a database without anything in it, or the keys into one where there is all the rest."""
    run("pg_restore", "--dbname", url, "--exit-on-error", "--single-transaction", str(file))
