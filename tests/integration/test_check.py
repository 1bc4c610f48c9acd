"""What `crossdock serve` refuses to run with: it says so in one line, and `crossdock check` says it before."""

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.conftest import Database
from tests.house import settings_of
from tests.integration.test_vault import append, heard
from tests.machine import machine

pytestmark = pytest.mark.anyio

NOT_THE_ONE = "the master key is not the one that the keys in this database were wrapped with"


def settings_of_nobody(database: Database, directory: Path) -> Path:
    """Neither system answers there."""
    path = settings_of(database, directory)
    nowhere = 'base_url = "http://127.0.0.1:1/"'
    text = path.read_text().replace('base_url = "https://asos.example.com"', nowhere)
    path.write_text(text.replace("[[channel]]", f"{nowhere}\n[[channel]]"))
    return path


async def said(command: str, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Exit code and both outputs of the real command."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CROSSDOCK_")}
    with anyio.fail_after(120):
        done = await anyio.run_process([sys.executable, "-m", "ops", command, *arguments], check=False, env=ours | environment)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def findings(told: str) -> dict[str, dict[str, Any]]:
    return {finding["what"]: finding for group in json.loads(told)["findings"].values() for finding in group}


@pytest.mark.parametrize("where", ["vault.master_key", "CROSSDOCK_MASTER_KEY"])
async def test_under_another_master_key_nothing_is_sealed(database: Database, tmp_path: Path, where: str) -> None:
    path, other = settings_of_nobody(database, tmp_path), base64.b64encode(bytes(31) + b"\1").decode()
    config, environment = ("--config", str(path)), {}
    assert findings((await said("check", *config, "--json"))[1])["master key"]["ok"], "nothing is sealed: there is nothing to compare with"
    async with machine(database) as engine:
        await append(engine, heard())
    assert findings((await said("check", *config, "--json"))[1])["master key"]["ok"]
    if where == "vault.master_key":
        (tmp_path / "key").write_text(other)
    else:
        path.write_text(path.read_text().replace("master_key = {", "# {"))
        environment = {"CROSSDOCK_MASTER_KEY": other}
    code, _, told = await said("serve", *config, **environment)
    assert (code, told) == (3, f"crossdock: {where}: {NOT_THE_ONE}\n")
    finding = findings((await said("check", *config, "--json", **environment))[1])["master key"]
    assert not finding["ok"] and finding["detail"] == f"{where}: {NOT_THE_ONE}"
