"""What the `crossdock` command says when it cannot do what was asked: one line that its reader can act on, and no secret in it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
import uvloop
from click.testing import CliRunner, Result

from engine.ports import PostgresDb
from ops import checks, preflight, rush
from ops.__main__ import main
from ops.demo import begun_otherwise
from ops.sandbox.plan import Plan
from ops.sandbox.world import World
from tests.examples import NOON

SETTINGS = Path(__file__).parents[2] / "ops" / "crossdock.example.toml"


def asked(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def assert_refused(told: Result, said: str) -> None:
    assert (told.exit_code, told.output.count("\n")) == (3, 1), told.output
    assert said in told.output
    assert "sesame" not in told.output


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://a:sesame@127.0.0.1:1/b", "cannot be reached: Connection refused"),
        ("postgresql://a:ses/sesame@127.0.0.1/b", "cannot be read: write it as"),
        ("sesame", "cannot be read: write it as"),
    ],
)
@pytest.mark.parametrize("command", ["status", "migrate"])
def test_a_database_that_cannot_be_reached(command: str, url: str, said: str) -> None:
    assert_refused(asked(command, "--config", str(SETTINGS), "--database", url), said)


@pytest.mark.parametrize("words", [("status",), ("trace", "1"), ("exceptions",), ("drill",), ("verify",), ("mark", "x")])
def test_who_looks_into_a_directory_makes_no_database_there(words: tuple[str, ...], tmp_path: Path) -> None:
    settings = configured(tmp_path)
    assert_refused(asked(*words, "--config", str(settings)), f"no database is in {tmp_path / 'nowhere'}")
    assert not (tmp_path / "nowhere").exists()


def test_a_check_makes_no_database_and_finds_that_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "adapters_of", lambda *_: [])
    told = asked("check", "--config", str(configured(tmp_path)))
    assert told.exit_code == 1 and f"no database is in {tmp_path / 'nowhere'}" in told.output
    assert not (tmp_path / "nowhere").exists()


def configured(directory: Path) -> Path:
    """Settings whose database is in a directory that is not there."""
    path = directory / "crossdock.toml"
    url, owner_url, key = "url = { env", "owner_url = { env", "master_key = { file"
    lines = [line for line in SETTINGS.read_text().splitlines() if not line.startswith((url, owner_url, key))]
    path.write_text("\n".join(lines).replace("[database]", f'[database]\ndirectory = "{directory / "nowhere"}"'))
    return path


def test_what_a_database_adds_about_rows_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object, **__: object) -> None:
        error = asyncpg.UniqueViolationError("duplicate key value violates unique constraint")
        error.detail = "Key (subject)=(sesame) already exists."
        raise error

    monkeypatch.setattr(PostgresDb, "pool", refused)
    assert_refused(asked("status", "--config", str(SETTINGS), "--database", "postgresql://a@127.0.0.1:1/b"), "duplicate key value")


def test_an_address_that_somebody_listens_on_already() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert_refused(asked("sandbox", "--port", str(taken.getsockname()[1])), "Address already in use. Give another port")


@pytest.mark.parametrize(
    "words",
    [
        ("demo", "--speed", "-3"),
        ("demo", "--speed", "nan"),
        ("sandbox", "--speed", "nan"),
        ("sandbox", "--soak", "0"),
        ("sandbox", "--soak", "-1"),
        ("rush", "--hours", "nan"),
        ("referee", "http://127.0.0.1:1", "--staleness", "nan"),
        ("referee", "http://127.0.0.1:1", "--staleness", "inf"),
        ("referee", "http://127.0.0.1:1", "--staleness", "-5"),
        ("referee", "http://127.0.0.1:1", "--buffer", "-5"),
    ],
)
def test_a_number_that_is_out_of_range(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvloop, "run", lambda work: work.close())  # what is let through
    monkeypatch.setattr(rush, "play", lambda *_, **__: 0)
    told = asked(*words)
    assert told.exit_code == 2 and "is not in the range" in told.output


def test_an_interruption_says_nothing_of_what_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(rush, "play", interrupted)
    told = asked("rush")
    assert (told.exit_code, told.output) == (130, "")


@pytest.mark.parametrize("words", [("--help",), ("sandbox", "--list")])
def test_a_reader_who_went_away_says_nothing_of_what_holds(words: tuple[str, ...]) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        done = subprocess.run([sys.executable, "-m", "ops", *words], stdout=theirs, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(theirs)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_certificate_that_is_none() -> None:
    assert_refused(asked("sandbox", "--port", "0", "--certificate", str(SETTINGS)), f"--certificate {SETTINGS}: it holds no certificate")


def test_tests_want_tools_that_only_their_lock_installs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "TOOLS", tmp_path)
    assert_refused(asked("test"), "./ops/run test installs")


def test_a_demo_that_was_begun_otherwise_plays_on_and_says_so(tmp_path: Path) -> None:
    twenty, journal = Plan(marketplace_orders=20), tmp_path / "sandbox.journal"
    World.open(journal, twenty, 1, NOON).close()
    world = World.open(journal, Plan(marketplace_orders=5), 1, NOON)
    assert begun_otherwise(world, Plan(marketplace_orders=5), 1) == begun_otherwise(world, twenty, 2) == "20 orders with seed 1"
    assert begun_otherwise(world, twenty, 1) is None
    world.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mark", " "), "say something"),
        (("mark", "-"), "standard input was empty"),
        (("erase", "-", "--reason", "asked for"), "standard input was empty"),
        (("disclose", "-", "--reason", "asked for", "--out", "nowhere"), "standard input was empty"),
    ],
)
def test_nobody_is_called_nothing(words: tuple[str, ...], said: str) -> None:
    told = asked(*words, "--config", str(SETTINGS))
    assert told.exit_code == 2 and said in told.output


def test_a_reason_that_says_nothing() -> None:
    assert "say something" in asked("hold", "1", "--reason", " ", "--data", "nowhere").output
    assert "say something" in asked("exceptions", "assign", "X1", "", "--reason", "ill", "--data", "nowhere").output


def test_live_rows_are_not_compared_with_those_of_another_moment() -> None:
    told = asked("replay", "--verify", "--until", "100", "--data", "nowhere")
    assert told.exit_code == 2 and "leave out --until" in told.output
