"""Where the foreign clients are installed: once for each lock, in the checkout's own virtual environment; never beside our own packages."""

import functools
import hashlib
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).parent
INSTALLED = Path(sys.prefix) / "foreign-clients"


@functools.cache
def python_clients() -> Path | None:
    """An interpreter that can import them; None: they cannot be had."""
    place = _place("requirements.lock")
    python = place / "venv" / Path(sysconfig.get_path("scripts")).name / "python"
    pip = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--no-input",
        "-r",
        str(HERE / "requirements.lock"),
    ]
    return python if _done(place, [sys.executable, "-m", "venv", str(place / "venv")], pip) else None


@functools.cache
def node_clients() -> Path | None:
    """A folder with the scripts and what they import; None: it cannot be had."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return None
    place = _place("package-lock.json")
    place.mkdir(parents=True, exist_ok=True)
    for file in (HERE / "package.json", HERE / "package-lock.json", *HERE.glob("*.mjs")):
        shutil.copy(file, place)
    return (
        place
        if _done(place, ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries", "0", "--prefix", str(place)])
        else None
    )


INSTALLERS = {"python-clients": python_clients, "node-clients": node_clients}


def _place(lock: str) -> Path:
    return INSTALLED / hashlib.sha256((HERE / lock).read_bytes()).hexdigest()[:16]


def _done(place: Path, *commands: list[str]) -> bool:
    """Carries the commands out, unless that was done before."""
    done = place / "done"
    if not done.exists():
        for command in commands:
            if subprocess.run(command, capture_output=True, check=False, timeout=300).returncode != 0:
                return False
        done.touch()
    return True
