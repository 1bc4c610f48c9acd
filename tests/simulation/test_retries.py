"""C3, looked at by itself: what one command asks again too soon, and what is another parcel of the same order."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from msgspec.structs import replace

from ops.simulate.invariants.calls import Retries
from ops.simulate.invariants.evidence import Evidence
from schemas.commands import ShipParcel
from schemas.envelope import Envelope
from schemas.events import Event
from schemas.events.commands import CommandConfirmed, CommandIssued, CommandUnknown
from schemas.streams import order_stream
from schemas.values import ChannelId, LineId, OrderId, ShopId
from tests.examples import envelope

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
STREAM = order_stream(ChannelId("asos"), OrderId("7-A"))


@dataclass(eq=False)
class Seen:
    """What the check asks of its evidence."""

    log: list[Envelope]
    truth: dict[str, Any]
    channels: list[Any] = field(default_factory=lambda: [SimpleNamespace(id="asos")])
    case: Any = field(
        default_factory=lambda: SimpleNamespace(orders=[{"order_id": "7-A", "lines": [], "shipments": [], "returns": []}], copies={})
    )
    now: datetime = NOON + timedelta(hours=1)
    leeway: timedelta = timedelta(seconds=3)
    skew: float = 0.0


def at(seconds: float, event: Event) -> Envelope:
    moment = NOON + timedelta(seconds=seconds)
    return replace(envelope(event), stream=STREAM, recorded_at=moment, occurred_at=moment)


def parcel(number: int, *, issued: float, lost: float | None, confirmed: float, found: bool) -> list[Envelope]:
    key, tag = UUID(int=number), "ship_parcel"
    command = ShipParcel(
        channel=ChannelId("asos"), order_id=OrderId("7-A"), fulfilment=ShopId(str(number)), units={LineId("7-A-1"): 1}, carrier="DHL"
    )
    told = [at(issued, CommandIssued(command_id=key, command=command))]
    if lost is not None:
        told.append(at(lost, CommandUnknown(command_id=key, command=tag, subject=STREAM, attempt=1, detail="cannot answer now")))
    return [*told, at(confirmed, CommandConfirmed(command_id=key, command=tag, subject=STREAM, attempt=2, found=found))]


def calls(*seconds: float) -> dict[str, Any]:
    change = {"op": "mirakl.ST01", "about": ["7-A"], "refused": None}
    moments = [(NOON + timedelta(seconds=second)).isoformat() for second in seconds]
    return {"calls": [{"number": number, "at": moment, "changes": [change]} for number, moment in enumerate(moments)]}


LOST = parcel(1, issued=0, lost=2, confirmed=5, found=True)  # though it took effect


@pytest.mark.parametrize(
    ("log", "made", "early"),
    [
        pytest.param(LOST, calls(1), 0, id="looked for and found"),
        pytest.param([*LOST, *parcel(2, issued=0, lost=None, confirmed=8, found=False)], calls(1, 7), 0, id="another parcel, right after"),
        pytest.param(parcel(1, issued=0, lost=2, confirmed=5, found=False), calls(1, 4), 1, id="asked again too soon"),
        pytest.param(
            [*parcel(1, issued=0, lost=2, confirmed=5, found=False), *parcel(2, issued=0, lost=None, confirmed=8, found=False)],
            calls(1, 4, 7),
            1,
            id="asked again too soon beside another parcel",
        ),
    ],
)
def test_only_what_a_command_asks_again_itself_is_held_against_it(log: list[Envelope], made: dict[str, Any], early: int) -> None:
    found = list(Retries(cast(Any, None)).look(cast(Evidence, Seen(log, made))))
    assert len(found) == early and all("asked again" in str(breach) for breach in found)
