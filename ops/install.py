"""Makes the virtual environment that ops/run hands on to. Runs before anything is installed, on the standard library alone.

A run that is killed half-way leaves no mark, and the next one goes over it again; two at once take turns.
"""

import fcntl
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

UNREACHABLE = ("NewConnectionError", "NameResolutionError", "ConnectTimeout", "ReadTimeout", "ProxyError", "Max retries exceeded")
SETTINGS = {"PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}  # whatever the user's own pip is set to


def main(repo: Path, venv: Path, lock: str) -> None:
    if any(importlib.util.find_spec(module) is None for module in ("venv", "ensurepip")):
        sys.exit(f"crossdock: {sys.executable} has no venv module. On Debian or Ubuntu: apt-get install python3-venv")
    try:
        venv.mkdir(parents=True, exist_ok=True)
        fcntl.flock(os.open(venv, os.O_RDONLY), fcntl.LOCK_EX)  # given up when we end
        words = os.fsencode(repo) + b"\n" + (repo / "pyproject.toml").read_bytes() + (repo / "ops" / lock).read_bytes()
        mark = venv / lock
        if mark.exists() and mark.read_bytes() == words and (venv / "bin" / "python").exists():
            return  # somebody else did it while we waited
        print(f"crossdock: setting up in {venv} (once; about half a minute)", file=sys.stderr, flush=True)
        install(repo, venv, lock)
        written = mark.with_suffix(".new")
        written.write_bytes(words)
        written.replace(mark)
    except OSError as error:
        sys.exit(f"crossdock: cannot set up in {venv}: {error.strerror}")


def install(repo: Path, venv: Path, lock: str) -> None:
    """What the lock says, then ourselves, built with what the lock brought."""
    python = venv / "bin" / "python"
    if not python.exists() or subprocess.run([python, "-I", "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        run(venv, [sys.executable, "-I", "-m", "venv", "--clear", venv])
    pip: list[str | Path] = [python, "-I", "-m", "pip", "install"]
    run(venv, [*pip, "--require-hashes", "--requirement", repo / "ops" / lock])
    run(venv, [*pip, "--no-index", "--no-deps", "--no-build-isolation", "--editable", repo])


def run(venv: Path, command: list[str | Path]) -> None:
    """Quietly, unless it fails: then one line, and the rest in a file."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | SETTINGS, check=False
    )
    if done.returncode:
        log = venv / "setup.log"
        log.write_bytes(done.stdout)
        sys.exit(f"crossdock: {reason(done.stdout.decode(errors='replace'))} (all of it in {log})")


def reason(output: str) -> str:
    lines = output.splitlines() or ["nothing was said"]
    error = next((line.removeprefix("ERROR: ") for line in reversed(lines) if line.startswith("ERROR: ")), lines[-1])
    if error.startswith(("No matching distribution", "Could not")) and any(sign in output for sign in UNREACHABLE):
        return "the set-up needs a package index, and none can be reached"
    return f"the set-up failed: {error}"


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
    except KeyboardInterrupt:
        sys.exit(130)
