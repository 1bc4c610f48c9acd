"""A whole engine and its checkpoints: made while it works, and what it does when its log was restored to an earlier state (E9)."""

import json
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from engine.errors import EngineError
from engine.ports import SeededRng
from ops.evidence import folder_of
from ops.evidence.audit import audit
from ops.evidence.folder import Folder
from tests.conftest import Database
from tests.house import House, house

pytestmark = pytest.mark.anyio


def folder(built: House) -> Folder:
    found = folder_of(built.settings, {}, SeededRng(0))
    assert found is not None
    return found


def measured(built: House, name: str, **labels: str) -> float | None:
    return built.engines[-1].metrics.registry.get_sample_value(f"crossdock_{name}", {"tenant": built.tenant, **labels})


async def test_an_engine_keeps_checkpoints_while_it_works(database: Database, tmp_path: Path) -> None:
    async with house(database.engine_url, tmp_path) as built:
        await built.until_on_offer()
        order = built.buy()
        await built.until_shipped(order)
        await built.until_answered()
        head = await built.log.head()
        await built.until(lambda: (newest := folder(built).newest()) and newest.checkpoint.size >= head, "what has happened is signed")
        kept = list(folder(built).all())
        assert len(kept) >= 2 and (await audit(built.pool, built.log, kept)).compared == len(kept)
        newest = kept[-1].checkpoint
        assert newest.origin == f"crossdock/{built.tenant}" and set(newest.digests) >= {"orders", "inventory", "exceptions"}
        assert measured(built, "log_verified_position") == newest.size and measured(built, "log_rollback_detected") == 0
        assert measured(built, "log_verify_failures_total") == 0
        age = measured(built, "checkpoint_age_seconds")
        assert age is not None and 0 <= age < 600
        assert await built.open_exceptions() == []
