"""Real processes: the demo killed and started again; the engine and both systems apart; every command on what they leave behind."""

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import ops
from engine.ports import SystemRng
from tests.conftest import Server

CROSSDOCK = [sys.executable, "-m", "ops"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("CROSSDOCK_")} | {"COLUMNS": "160"}
PATIENCE = 300.0  # seconds for whatever is waited for: orders are polled once a minute, and a poll or two may come to nothing
CLAIMS = {"duplicates": 0, "oversold_units": 0, "stock_mismatches": 0, "commands_unknown": 0, "exceptions_open": 0}


@pytest.fixture
def where(postgres: Server) -> Iterator[list[str]]:
    """Where the processes keep their log: in a database of their own on the server the suite was given, or in one they bring along."""
    if postgres.embedded is not None:
        yield []
        return
    name = f"crossdock_apart_{SystemRng().token(4).hex()}"
    asyncio.run(postgres.execute(f"CREATE DATABASE {name}"))
    yield ["--database", postgres.url(name)]
    asyncio.run(postgres.execute(f"DROP DATABASE {name} WITH (FORCE)"))


def crossdock(*arguments: str, expect: int = 0, timeout: float = 120.0) -> str:
    done = subprocess.run([*CROSSDOCK, *arguments], capture_output=True, text=True, env=ENVIRONMENT, timeout=timeout, check=False)
    assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([*CROSSDOCK, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.loads(answer.read())


def post(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def until(holds: Any, what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(0.2)
    return found


# Nobody calls anything off here, so that each order must be in Shopify and leave.
MORNING = """
skus = 40
buyer_gap = 8.0
restocks = 3
restock_gap = 120.0
[warehouse]
pick_seconds = 240.0
"""
PROJECTIONS = {"orders", "aftercare", "inventory", "publications", "mappings", "tracking", "strays", "coverage", "exceptions"}


def test_a_demo_killed_three_times_loses_nothing_and_doubles_nothing(tmp_path: Path, where: list[str]) -> None:
    """And every command that reads a log reads what it left behind. (R3, R104; T6)"""
    (tmp_path / "morning.toml").write_text(MORNING)
    # Killed, it is away for as long as a start takes: 45 times as fast, a busy machine needs more than the ten minutes for which a quantity
    # may stand on offer after it has ceased to be true.
    how = ["--scenario", str(tmp_path / "morning.toml"), "--orders", "12", "--speed", "30"]
    demo = ["demo", *how, "--data", str(tmp_path), "--json", *where]
    chance = random.Random(str(tmp_path))
    for _ in range(3):
        with running(*demo) as process:
            time.sleep(chance.uniform(2.0, 7.0))
            process.send_signal(signal.SIGKILL)
    result = json.loads(crossdock(*demo, timeout=600))
    assert result["orders_placed"] == result["orders_in_shopify"] == result["shipped_in_mirakl"] == 12
    assert {name: result[name] for name in CLAIMS} == CLAIMS
    assert result["chain_verified"] and result["rebuild_equal"] and result["rules_broken"] == []

    of = ["--data", str(tmp_path), *where]
    status = json.loads(crossdock("status", *of, "--json"))
    assert status["log_position"] == result["events"] and status["exceptions_open"] == []
    assert {row["target"] for row in status["outbox"]} <= {"clock"}, "nothing waits but reminders of later moments"
    assert json.loads(crossdock("verify", *of, "--json"))["events"] == result["events"]
    replayed = json.loads(crossdock("replay", *of, "--verify", "--jobs", "2", "--json"))
    assert replayed["equal"] is True and set(replayed["projections"]) == PROJECTIONS
    early = json.loads(crossdock("replay", *of, "--until", "50", "--projection", "orders", "--json"))["projections"]["orders"]
    assert early["position"] == 50 and early["rows"] <= replayed["projections"]["orders"]["rows"]
    assert "equal to the live rows" in crossdock("replay", *of, "--verify", "--swap")
    journal = (tmp_path / "sandbox.journal").read_text()
    order = re.findall(r'"OR24".*?"order_id":"([^"]+)"', journal) or re.findall(r"(\d+-[A-Z]+-\d+-A)", journal)
    told = json.loads(crossdock("trace", order[0], *of, "--json"))
    assert {"order_placed", "order_accepted", "shop_order_created", "fulfilment_seen", "order_shipped"} <= {
        step["type"] for step in told["steps"]
    }
    assert "the marketplace was told it left" in crossdock("trace", order[0], *of)
    crossdock("trace", "nobody-knows-this", *of, expect=1)
    evidence, keys = tmp_path / "evidence.json", next((tmp_path / "postgres" / "evidence").glob("*/key.txt"))
    assert "To verify it anywhere" in crossdock("evidence", order[0], "--out", str(evidence), *of)
    verifier = [sys.executable, "-I", str(Path(ops.__file__).parent / "evidence" / "verify.py"), "--key", str(keys)]
    assert f"events of {order[0]}" in subprocess.run([*verifier, evidence], capture_output=True, text=True, check=True).stdout
    oldest, *_, newest = sorted((keys.parent / "checkpoints").glob("*/*.note"))
    assert "It holds" in crossdock("evidence", "--consistency", str(oldest), str(newest), *of)
    crossdock("resume", "--reason", "nothing to resume", *of, expect=1)
    everything = json.loads(crossdock("explain", "--all", *of, "--json"))
    assert everything["agrees"] and everything["numbers"] > 0 and everything["differences"] == []


def test_what_is_wrong_is_said_in_one_line(tmp_path: Path) -> None:
    for arguments, code in (
        (["serve"], 2),
        (["status", "--config", str(tmp_path / "none.toml")], 3),
        (["replay", "--config", "x", "--swap", "--until", "5"], 2),
        (["no-such-command"], 2),
    ):
        done = subprocess.run([*CROSSDOCK, *arguments], capture_output=True, text=True, env=ENVIRONMENT, timeout=240, check=False)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr and done.stderr.strip()


def config(tmp_path: Path, url: str) -> Path:
    secrets = {"TOKEN": "shpat_sandbox", "HOOK": "hush-sandbox", "PIECE": "0123456789abcdef" * 2, "KEY": "mirakl-sandbox-key"}
    for name, text in secrets.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    path = tmp_path / "crossdock.toml"
    path.write_text(f"""
[tenant]
id = "apart-{os.getpid()}"
[database]
directory = "{tmp_path / "postgres"}"
[shopify]
shop = "harbour-and-thread.myshopify.com"
base_url = "{url}/shopify"
access_token = {{ file = "{tmp_path / "TOKEN"}" }}
webhook_secret = {{ file = "{tmp_path / "HOOK"}" }}
webhook_path = {{ file = "{tmp_path / "PIECE"}" }}
[[channel]]
id = "asos"
base_url = "{url}/mirakl"
api_key = {{ file = "{tmp_path / "KEY"}" }}
shop_id = 2024
buffer = 3
[channel.carriers]
"Royal Mail" = "RM"
"Evri" = "EVRI"
"DPD UK" = "DPDUK"
"UPS" = "ups-gb"
"DHL Express" = "DHLX"
[web]
webhooks = "127.0.0.1:0"
operations = "127.0.0.1:0"
""")
    return path


def series(scraped: str) -> set[str]:
    """What is told apart in a scrape; a histogram counts once, however many buckets it has."""
    plain = (line.rpartition(" ")[0] for line in scraped.splitlines() if not line.startswith("#"))
    return {re.sub(r'_(bucket|sum|count)(?=\{|$)|,?le="[^"]*"', "", line) for line in plain}


@pytest.mark.needs(program="promtool")
def test_the_engine_and_both_systems_as_two_processes(tmp_path: Path, where: list[str]) -> None:
    """In real time: an order placed is in Shopify and shipped back without anyone touching it, a count reaches the marketplace with the
    next allowed file, both stories are told; the metrics are sound; SIGTERM drains. (R11, R36, R90; F1)
    """
    with running("sandbox", "--port", "0", "--offers", "stock") as sandbox:
        assert sandbox.stdout is not None
        url = next(line for line in sandbox.stdout if line.startswith("Truth")).split()[1].removesuffix("/sandbox/state")
        post(f"{url}/sandbox/switches", {"mirakl": {"debit_delay": 0.5, "payment_delay": 0.5}, "shopify": {"routing_delay": 0.5}})
        order = post(f"{url}/sandbox/buy", {})["order"]
        path = config(tmp_path, url)
        if where:
            crossdock("migrate", "--config", str(path), *where)
        with running("serve", "--config", str(path), *where) as engine:
            assert engine.stderr is not None
            started = json.loads(engine.stderr.readline())
            assert started["what"] == "started"
            operations = started["operations"]
            until(lambda: get(f"{operations}/readyz")["ready"], "ready")
            assert get(f"{operations}/livez") == {"alive": True}
            state = lambda: get(f"{url}/sandbox/state")  # noqa: E731
            bought = {line["sku"] for each in state()["mirakl"]["orders"] for line in each["lines"]}
            sku = min(state()["mirakl"]["offers"].keys() - bought)
            post(f"{url}/sandbox/stock", {"sku": sku, "available": 11})
            until(lambda: [each for each in state()["shopify"]["orders"] if each["source_identifier"] == order], "in Shopify")

            def shipped() -> Any:
                post(f"{url}/sandbox/ship", {})  # the warehouse picks what waits there
                return [each for each in state()["mirakl"]["orders"] if each["order_id"] == order and each["state"] == "SHIPPED"]

            def shown() -> bool:
                truth = state()
                return bool(truth["mirakl"]["offers"][sku]["quantity"] == truth["shopify"]["stock"][sku]["available"] - 3)

            until(shipped, "shipped")
            until(shown, "the marketplace shows what was counted, less the buffer")
            assert state()["mirakl"]["violations"] == []
            with urllib.request.urlopen(f"{operations}/metrics", timeout=60) as answer:
                scraped = answer.read()
            linted = subprocess.run(["promtool", "check", "metrics"], input=scraped, capture_output=True, check=False)
            assert (linted.returncode, linted.stdout, linted.stderr) == (0, b"", b"")
            assert len(series(scraped.decode())) <= 300 + 150  # for all, and for the one tenant

            of = ["--config", str(path), *where]
            assert "the marketplace was told it left" in crossdock("trace", order, *of)  # beside the running engine
            assert "Shopify counts" in crossdock("trace", sku, *of)
            assert "as it was sent" in crossdock("explain", sku, *of)
            assert json.loads(crossdock("explain", sku, *of, "--at", "1", "--json", expect=1))["known"] is False
            checked = json.loads(crossdock("check", *of, "--json"))
            assert checked["ok"], [finding for findings in checked["findings"].values() for finding in findings if not finding["ok"]]

            engine.send_signal(signal.SIGTERM)
            asked = time.monotonic()
            assert engine.wait(timeout=120) == 0
            assert time.monotonic() - asked < 25
        assert json.loads(crossdock("verify", "--config", str(path), *where, "--json"))["verified"]
