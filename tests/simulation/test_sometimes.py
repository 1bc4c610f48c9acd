"""Everything that can come about has, in the plays of this run taken together: what chance missed is brought about here.

By its name it comes after the other plays of this folder; alone it plays all of them itself.
"""

from ops.simulate.memory.store import MemoryStore
from ops.simulate.options import Troubles
from ops.simulate.provocations.systems import bringing
from ops.simulate.seen import BY_THE_PLAYER, expected, missing
from ops.simulate.store import PostgresStore
from tests.simulation.tally import AT_ONCE, EVERY_TROUBLE, SEEN, beset, provoked

FROM = 9_000  # seeds of plays that are about faults


def test_everything_that_can_come_about_has(play_store: PostgresStore) -> None:
    played = [provoked(provocation)[0] for provocation in bringing(missing(SEEN, expected()))]
    if not set(never()).isdisjoint(BY_THE_PLAYER):
        played.append(beset(FROM, [], EVERY_TROUBLE, play_store))
    for seed in range(FROM + 1, FROM + 9):
        some = [name for name in never() if name not in BY_THE_PLAYER][:AT_ONCE]
        if some or never("rare "):
            played += [beset(seed, some, Troubles(), MemoryStore())]
    assert [str(outcome.broken) for outcome in played if outcome.broken is not None] == []
    assert not (left := missing(SEEN, expected())), f"never came about: {left}"


def never(kind: str = "fault ") -> list[str]:
    """Of this kind, what nobody has met yet."""
    return [name.removeprefix(kind) for name in missing(SEEN, expected()) if name.startswith(kind)]
