"""What `serve` would refuse to run with, `check` finds: all of it at once, each with its name, its line and the mend."""

import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner

from adapters.shopify import Shopify
from engine.adapter import Finding
from ops.__main__ import main

EXAMPLE = (Path(__file__).parents[2] / "ops" / "crossdock.example.toml").read_text()
NOWHERE = "http://127.0.0.1:1/"
KEY = base64.b64encode(bytes(range(32))).decode()
SECRETS = {"crossdock_master_key": KEY, "crossdock_signing_key": KEY, "crossdock_webhook_path": "0123456789abcdef" * 2}
ENVIRONMENT = {
    "CROSSDOCK_DATABASE_URL": "postgresql://a@127.0.0.1:1/b",
    "SHOPIFY_ACCESS_TOKEN": "shpat_sesame",
    "SHOPIFY_WEBHOOK_SECRET": "sesame",
    "ASOS_API_KEY": "sesame",
}


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """Ours, with every secret in its place; neither system answers."""
    for name, text in SECRETS.items():
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(text)
    text = EXAMPLE.replace("/run/secrets", str(tmp_path)).replace("/mnt/evidence", str(tmp_path / "evidence"))
    text = text.replace("https://example.mirakl.net", NOWHERE).replace(
        '# base_url = "http://127.0.0.1:8800/shopify"', f'base_url = "{NOWHERE}"'
    )
    path = tmp_path / "crossdock.toml"
    path.write_text(text)
    return path


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def checked(path: Path, **environment: str | None) -> dict[str, list[dict[str, Any]]]:
    told = CliRunner().invoke(main, ["check", "--config", str(path), "--json"], env=dict(ENVIRONMENT) | environment)
    assert told.exit_code == 1, told.output
    assert "sesame" not in told.output and KEY not in told.output
    found: dict[str, list[dict[str, Any]]] = json.loads(told.stdout)["findings"]
    assert all(finding["fix"] == "" for findings in found.values() for finding in findings if finding["ok"])
    return found


def test_what_is_missing_is_told_all_at_once(example: Path) -> None:
    example.write_text(EXAMPLE)
    found = {finding["what"]: finding for finding in checked(example, **dict.fromkeys(ENVIRONMENT))["settings"]}
    lines = EXAMPLE.splitlines()
    for name, key, mend in (
        ("database.url", "url", "the variable CROSSDOCK_DATABASE_URL"),
        ("vault.master_key", "master_key", "32 bytes in base64 (openssl rand -base64 32) into /run/secrets/crossdock_master_key"),
        ("evidence.signing_key", "signing_key", "chmod 600 /run/secrets/crossdock_signing_key"),
        ("shopify.access_token", "access_token", "the variable SHOPIFY_ACCESS_TOKEN"),
        ("shopify.webhook_secret", "webhook_secret", "the variable SHOPIFY_WEBHOOK_SECRET"),
        ("shopify.webhook_path", "webhook_path", "chmod 600 /run/secrets/crossdock_webhook_path"),
        ("channel asos: api_key", "api_key", "the variable ASOS_API_KEY"),
    ):
        finding = found.pop(name)
        line = next(number for number, line in enumerate(lines, 1) if line.startswith(f"{key} ="))
        assert not finding["ok"] and finding["detail"].startswith(f"line {line}: ") and mend in finding["fix"]
    assert found == {}


def test_with_every_secret_in_its_place_only_what_does_not_answer_is_found(example: Path, tmp_path: Path) -> None:
    found = checked(example)
    assert all(finding["ok"] for group in ("settings", "evidence") for finding in found[group])
    assert not (tmp_path / "evidence").exists(), "a check makes nothing"
    assert {"shopify", "mirakl:asos"} < found.keys()


@pytest.mark.parametrize(
    ("file", "text", "mode", "says"),
    [
        ("crossdock_master_key", "c2hvcnQ=", 0o600, "give 32 bytes in base64"),
        ("crossdock_signing_key", "!!", 0o600, "give 32 bytes in base64"),
        ("crossdock_signing_key", KEY, 0o644, "can be read or written by everybody"),
    ],
)
def test_a_key_of_another_form_is_found(example: Path, file: str, text: str, mode: int, says: str) -> None:
    (example.parent / file).write_text(text)
    (example.parent / file).chmod(mode)
    [finding] = checked(example)["settings"]
    assert finding["what"].split(".")[1] == file.removeprefix("crossdock_") and says in finding["detail"]


@pytest.mark.parametrize(
    ("instead", "says"),
    [
        ('directory = "/proc/ev"', "evidence.directory: /proc/ev/example: No such file or directory"),
        ('directory = "/dev/null/ev"', "evidence.directory: /dev/null/ev/example: Not a directory"),
        ("", "set [evidence] directory and signing_key"),
    ],
)
def test_checkpoints_that_could_not_be_kept_are_found(example: Path, tmp_path: Path, instead: str, says: str) -> None:
    example.write_text(example.read_text().replace(f'directory = "{tmp_path / "evidence"}"', instead))
    [finding] = checked(example)["evidence"]
    assert not finding["ok"] and says in finding["detail"] + finding["fix"]


def test_a_secret_that_an_adapter_does_not_take_is_found(example: Path, tmp_path: Path) -> None:
    (tmp_path / "crossdock_webhook_path").write_text("short")
    [finding] = checked(example)["systems"]
    assert "shopify.webhook_path: at least 32 characters" in finding["detail"]


def test_what_is_logged_on_the_way_is_not_in_the_answer(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def probe(_: Shopify) -> list[Finding]:
        structlog.get_logger().warning("another API version is served")
        return [Finding("api version", ok=True, detail="2026-10", fix="set another")]

    monkeypatch.setattr(Shopify, "probe", probe)
    assert [finding["what"] for finding in checked(example)["shopify"]] == ["api version"]
