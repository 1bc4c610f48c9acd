"""What a newcomer meets first: the locks, the words for a set-up that fails, and the line that says which tests did not run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ops import checks
from ops.checks import SHARES, written_in_memory
from ops.install import reason

REPOSITORY = Path(__file__).resolve().parents[2]


def pins(lock: str) -> dict[str, str]:
    """Name to version; each with at least one hash."""
    text = (REPOSITORY / "ops" / lock).read_text()
    blocks = re.findall(r"^(\S+)==(\S+)[^\n]*\\\n((?:\s+--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.MULTILINE)
    assert len(blocks) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)), "a line that is not a pin with hashes"
    return {name: version for name, version, _ in blocks}


def test_the_locks_agree_and_name_no_place():
    run, test = pins("requirements.lock"), pins("requirements-test.lock")
    assert run.items() <= test.items()
    for lock in ("requirements.lock", "requirements-test.lock"):
        assert "://" not in (REPOSITORY / "ops" / lock).read_text()


@pytest.mark.parametrize("wanted", ["requirements", "requirements-test"])
def test_everything_asked_for_is_locked(wanted: str):
    asked = re.findall(r"^[a-z][a-z0-9-]*", (REPOSITORY / "ops" / f"{wanted}.in").read_text(), re.MULTILINE)
    assert asked
    assert set(asked) <= pins(f"{wanted}.lock").keys()


def test_a_failed_set_up_is_one_line():
    offline = "WARNING: Retrying after connection broken by 'NewConnectionError(…)'\nERROR: No matching distribution found for aiohttp==3"
    assert reason(offline) == "the set-up needs a package index, and none can be reached"
    elsewhere = "Looking in indexes\nERROR: No matching distribution found for aiohttp==3\nWARNING: new pip"
    assert reason(elsewhere) == "the set-up failed: No matching distribution found for aiohttp==3"
    assert reason("") == "the set-up failed: nothing was said"


def test_a_missing_program_leaves_a_test_out_and_the_last_line_says_so(tmp_path: Path):
    done = pytest_on_a_test_that_needs_promtool(tmp_path, CROSSDOCK_REQUIRE_PROGRAMS="")
    assert done.returncode == 0
    assert "1 passed, 1 deselected" in done.stdout
    assert done.stdout.splitlines()[-1] == "Not run, for want of promtool: test_needy. To run them too: apt-get install prometheus"


def test_a_missing_program_is_a_failure_where_it_is_required(tmp_path: Path):
    done = pytest_on_a_test_that_needs_promtool(tmp_path, CROSSDOCK_REQUIRE_PROGRAMS="1")
    assert done.returncode == 1
    assert "there is no promtool here: apt-get install prometheus" in done.stdout


def test_a_program_that_is_there_is_used(tmp_path: Path):
    (tmp_path / "promtool").touch(mode=0o755)
    done = pytest_on_a_test_that_needs_promtool(tmp_path, PATH=str(tmp_path), CROSSDOCK_REQUIRE_PROGRAMS="")
    assert "2 passed" in done.stdout.splitlines()[-1]


def pytest_on_a_test_that_needs_promtool(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    marked = 'import pytest\n@pytest.mark.needs(program="promtool")\ndef test_needy(): pass\ndef test_modest(): pass\n'
    (folder / "test_planted.py").write_text(marked)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    settings = os.environ | {"PATH": "/nowhere", "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1"} | environment
    return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)


def test_every_test_has_its_share() -> None:
    """`crossdock test` runs several shares at once; a folder in none would never run."""
    tests = Path(__file__).parents[1]
    folders = {f"tests/{path.relative_to(tests).parts[0]}" for path in tests.rglob("test_*.py")}
    given = [what for share in SHARES for what in share if not what.startswith("--")]
    apart = {what.removeprefix("--ignore=") for share in SHARES for what in share if what.startswith("--")}
    assert sorted([*folders, *apart]) == sorted(given), "each once"


@pytest.mark.parametrize(
    ("room", "told", "there"),
    [
        pytest.param(1, None, True, id="roomy"),
        pytest.param(1 << 60, None, False, id="too small"),
        pytest.param(1, "elsewhere", False, id="told otherwise"),
    ],
)
def test_tests_write_in_memory_where_it_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, told: str | None, *, there: bool
):
    monkeypatch.setattr(checks, "MEMORY", tmp_path)
    monkeypatch.setattr(checks, "ROOM", room)
    monkeypatch.setenv("TMPDIR", "elsewhere")  # so that it is put back
    if told is None:
        monkeypatch.delenv("TMPDIR")
    with written_in_memory():
        place = os.environ.get("TMPDIR", "")
        assert (Path(place).parent == tmp_path) is there
        assert there or place == (told or "")
        assert not there or Path(place).stat().st_mode & 0o777 == 0o777
    assert os.environ.get("TMPDIR") == told
    assert not there or not Path(place).exists()


def test_what_a_killed_run_left_in_memory_is_removed_and_nobody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checks, "MEMORY", tmp_path)
    monkeypatch.setattr(checks, "ROOM", 1)
    monkeypatch.setenv("TMPDIR", "elsewhere")  # so that it is put back
    monkeypatch.delenv("TMPDIR")
    killed = tmp_path / "crossdock-tests-killed"
    killed.mkdir()
    (killed / "lock").touch()
    (tmp_path / "something").mkdir()
    with written_in_memory():
        first = Path(os.environ.pop("TMPDIR"))
        with written_in_memory():
            assert first.exists() and not killed.exists()
        os.environ["TMPDIR"] = str(first)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "something"]
