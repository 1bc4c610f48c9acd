"""Checkpoints of a real log, kept outside; what is taken out of it; and that an auditor verifies it with one file and a key."""

import json
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from engine import chain, tiles
from engine.errors import ChainError, StartupError
from engine.log import Append
from engine.merkle import EMPTY, Frontier, leaf_hash
from engine.ports import SeededRng
from ops.evidence import verify as auditor
from ops.evidence.audit import audit
from ops.evidence.bundle import consistency_bundle, order_bundle
from ops.evidence.commands import order_evidence
from ops.evidence.commands import verify as verify_command
from ops.evidence.folder import Folder
from ops.evidence.guard import Guard, rolled_back
from ops.evidence.keys import SigningKey
from ops.evidence.sealer import Sealer
from ops.service import PROJECTIONS
from ops.settings import EvidenceSettings
from schemas.envelope import Fact
from schemas.events.orders import DeliveryAddress, DeliveryAddressGiven
from schemas.streams import order_stream
from schemas.values import ChannelId, OrderId
from tests.conftest import Database
from tests.examples import NOON
from tests.house import settings_of
from tests.integration.test_chain import COLUMNS, tampered
from tests.machine import TENANT, Machine, machine
from tests.rfc6962 import root_of

pytestmark = pytest.mark.anyio

ASOS, ORIGIN = ChannelId("asos"), "crossdock.example.com/acme"


@dataclass
class Notary:
    """A log, and what keeps its checkpoints."""

    engine: Machine
    folder: Folder
    guard: Guard
    sealer: Sealer

    async def hear(self, count: int) -> None:
        """So many events, of seven orders in turn; some with an address."""
        head = await self.engine.log.head()
        for number in range(head, head + count):
            order = OrderId(f"é{number % 7}")
            told = DeliveryAddressGiven(channel=ASOS, order_id=order)
            sealed: dict[str, Any] = {"personal": DeliveryAddress(first_name="Zoë"), "subject": f"asos:{order}"} if number % 3 else {}
            fact = Fact(event=told, event_id=UUID(int=number + 1), occurred_at=NOON, actor="mirakl:asos", **sealed)
            await self.engine.log.append(Append(stream=order_stream(ASOS, order), facts=(fact,)))

    async def audit(self) -> Any:
        return await audit(self.engine.pool, self.engine.log, self.folder.all())


def notary_of(engine: Machine, directory: Path, *seeds: int) -> Notary:
    keys = [SigningKey(ORIGIN, SeededRng(seed).token(32)) for seed in seeds or (1,)]
    folder = Folder(directory, TENANT, keys)
    folder.prepare(engine.clock.now())
    guard = Guard(engine.pool, engine.log, folder, engine.clock, engine.metrics)
    parts = (engine.pool, engine.log, folder, guard, EvidenceSettings(), PROJECTIONS, engine.clock, engine.metrics)
    return Notary(engine, folder, guard, Sealer(*parts))


@pytest.fixture
async def notary(database: Database, tmp_path: Path) -> AsyncIterator[Notary]:
    async with machine(database, projections=PROJECTIONS) as engine:
        yield notary_of(engine, tmp_path)


def verified(directory: Path, key: str, *files: Path) -> tuple[int, str]:
    """What an auditor sees who has that one file, the key and the files: nothing of ours can be imported."""
    alone = directory / "alone"
    alone.mkdir(exist_ok=True)
    (alone / "verify.py").write_bytes(Path(auditor.__file__).read_bytes())
    done = subprocess.run(
        [sys.executable, "-I", "-S", "verify.py", "--key", key, *map(str, files)], cwd=alone, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


async def test_the_tree_over_a_growing_log_is_that_of_rfc_6962(notary: Notary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "WIDTH", 4)
    monkeypatch.setattr(tiles, "LEVELS", 2)
    assert (await notary.sealer.seal()).checkpoint.root == EMPTY
    entries: list[bytes] = []
    for count in (1, 1, 2, 3, 9, 48, 1, 20):
        await notary.hear(count)
        kept = await notary.sealer.seal()
        events = await notary.engine.log.read(0)
        entries = [chain.link(each).entry for each in events]
        plain = Frontier()
        plain.add(entries)
        assert kept.checkpoint.size == len(events) and kept.checkpoint.root == plain.root() == root_of(list(map(leaf_hash, entries)))
        assert kept.checkpoint.chain == events[-1].hash
    assert (await notary.audit()).compared == 9
    older = list(notary.folder.all())
    keys = [notary.folder.keys[0].key]
    for old in older:
        for new in older[older.index(old) :]:
            bundle = await consistency_bundle(notary.engine.pool, notary.engine.log, notary.folder, old, new)
            auditor.verify_consistency(bundle, keys)


async def test_an_orders_events_verify_anywhere(notary: Notary, tmp_path: Path) -> None:
    await notary.hear(40)
    kept, stream = await notary.sealer.seal(), order_stream(ASOS, OrderId("é4"))
    await notary.hear(9)
    await notary.sealer.seal()
    file = tmp_path / "evidence.json"
    for opened in (False, True):
        bundle = await order_bundle(
            notary.engine.pool,
            notary.engine.log,
            notary.folder,
            kept,
            name="é4",
            streams=[stream],
            now=notary.engine.clock.now(),
            opened=opened,
        )
        file.write_text(json.dumps(bundle))
        code, said = verified(tmp_path, notary.folder.keys[0].text, file, kept.path)
        assert code == 0 and f"holds: {len(bundle['events'])} events of é4" in said and "had 40 events" in said, said
        assert ("Zoë" in said) == ("Zoë" in file.read_text().encode().decode("unicode_escape")) == opened
    stranger = SigningKey(ORIGIN, SeededRng(9).token(32)).text
    assert verified(tmp_path, stranger, file) == (1, f"{file}: DOES NOT HOLD: not signed by a key that is trusted\n")


async def test_what_is_said_of_people_is_written_for_its_owner_alone(notary: Notary, database: Database, tmp_path: Path) -> None:
    await notary.hear(20)
    settings = settings_of(database, tmp_path)
    with settings.open("a") as file:
        file.write(f'[evidence]\ndirectory = "{tmp_path / "evidence"}"\nsigning_key = {{ file = "{tmp_path / "key"}" }}\n')
    for opened in (False, True):
        out = tmp_path / f"{opened}.json"
        assert await order_evidence("é4", out, settings, database.engine_url, {}, opened=opened) == 0
        assert ("Zoë" in out.read_text("utf-8")) == opened
        assert not opened or stat.S_IMODE(out.stat().st_mode) == 0o600
    for out, why in ((tmp_path / "nowhere" / "evidence.json", "No such file"), (tmp_path / "True.json", "File exists")):
        with pytest.raises(StartupError, match=f"{out} cannot be written: {why}"):
            await order_evidence("é4", out, settings, database.engine_url, {}, opened=False)


async def test_a_changed_key_is_vouched_for_by_the_one_before(notary: Notary, tmp_path: Path) -> None:
    await notary.hear(10)
    first = await notary.sealer.seal()
    rotated = notary_of(notary.engine, tmp_path, 1, 2)
    await rotated.hear(3)
    await rotated.sealer.seal()
    alone = notary_of(notary.engine, tmp_path, 2)  # the old key is not needed any more
    await alone.hear(3)
    last = await alone.sealer.seal()
    assert (await alone.audit()).compared == 3
    again = notary_of(notary.engine, tmp_path, 1, 2)
    assert len(again.folder.rotations()) == 1
    file = tmp_path / "consistency.json"
    file.write_text(json.dumps(await consistency_bundle(notary.engine.pool, notary.engine.log, alone.folder, first, last)))
    old, new = SigningKey(ORIGIN, SeededRng(1).token(32)).text, SigningKey(ORIGIN, SeededRng(2).token(32)).text
    code, said = verified(tmp_path, old, file)
    assert code == 0 and "the log of 16 events" in said and "begins with that of 10" in said, said
    assert verified(tmp_path, new, file)[0] == 1, "who has only the new key does not know the old one"
    assert verified(tmp_path, new, last.path)[0] == 0 and verified(tmp_path, old, last.path)[0] == 1


# By somebody who may do anything: the chain is made anew, head and all, so that it holds.
RECHAIN = """
DO $$
DECLARE
    row record;
    place bigint := 0;
    previous bytea := decode(repeat('00', 32), 'hex');
BEGIN
    FOR row IN SELECT * FROM crossdock.events ORDER BY position LOOP
        previous := sha256(previous || int8send(row.position) || int8send(row.version) || sha256(crossdock.content(
            row.recorded_at, row.occurred_at, row.schema_version, row.event_id, row.correlation_id, row.causation_id, row.tenant,
            row.stream, row.type, row.actor, row.subject, row.data::text, row.sealed)));
        UPDATE crossdock.events SET hash = previous WHERE position = row.position;
        place := row.position;
    END LOOP;
    UPDATE crossdock.heads SET hash = previous, position = place;
END $$
"""
SWAP = "UPDATE crossdock.events SET position = CASE position WHEN 11 THEN -12 WHEN 12 THEN -11 ELSE position END WHERE position IN (11, 12)"
TAMPERED = {
    **{
        column: [f"UPDATE crossdock.events SET {column} = {value} WHERE position = 5"]
        for column, value in COLUMNS.items()
        if column != "hash"
    },
    "rows swapped": [SWAP, "UPDATE crossdock.events SET position = -position WHERE position < 0"],
    "the tail dropped": ["DELETE FROM crossdock.events WHERE position > 25"],
    "an event twice": [
        "INSERT INTO crossdock.events (tenant, position, stream, version, event_id, type, schema_version, data, subject, sealed,"
        " occurred_at, recorded_at, correlation_id, causation_id, actor, hash) SELECT tenant, -30, stream, 99, md5('twice')::uuid, type,"
        " schema_version, data, subject, sealed, occurred_at, recorded_at, correlation_id, causation_id, actor, hash"
        " FROM crossdock.events WHERE position = 29",
        "UPDATE crossdock.events SET position = -position - 1000 WHERE position >= 30",
        "UPDATE crossdock.events SET position = CASE position WHEN -30 THEN 30 ELSE -position - 999 END WHERE position < 0",
    ],
    "one taken out": [
        "DELETE FROM crossdock.events WHERE position = 20",
        "UPDATE crossdock.events SET position = -position WHERE position > 20",
        "UPDATE crossdock.events SET position = -position - 1 WHERE position < 0",
    ],
}


async def test_what_is_not_as_it_was_signed_is_found(notary: Notary, database: Database) -> None:
    """Whoever makes the whole chain anew deceives the chain, and no checkpoint."""
    await notary.hear(30)
    await notary.sealer.seal()
    await notary.hear(5)
    for what, statements in TAMPERED.items():
        async with tampered(database, *statements) as admin:
            await admin.execute(RECHAIN)
            await chain.verify(notary.engine.pool, TENANT)
            with pytest.raises(ChainError, match=r"is not the end of what was signed"):
                await notary.audit()
            assert (await rolled_back(notary.engine.pool, notary.engine.log, notary.folder)) is not None, what
    assert (await notary.audit()).compared == 1


@pytest.mark.usefixtures("notary")
async def test_a_chain_that_was_compared_with_nothing_is_not_said_to_be_as_it_was_signed(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever can rewrite the log can make its chain hold, too."""
    assert await verify_command(settings_of(database, tmp_path), "", {}, as_json=False) == 0
    said = capsys.readouterr().out
    assert "The chain holds" in said and "It was compared with no signed checkpoint" in said
