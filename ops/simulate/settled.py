"""Whether all has come to its end: nobody has anything left to do, both sides agree, and what does not is known to a person."""

from typing import TYPE_CHECKING

from msgspec import Struct

from ops.demo.proof import WAITING, mismatches, stock_rows
from ops.demo.settings import BUFFER
from ops.desk import Desk
from ops.sandbox.referee.case import SHIPPED, Conventions, is_over
from ops.sandbox.referee.rules import judge
from ops.simulate.findings import BY_THE_LOG, Accidents, can_be_judged, held_back, is_about, is_an_accident, is_told

if TYPE_CHECKING:
    from ops.simulate.play import Play

# X44 a parcel was cancelled after it had been told, X57 a return waits for an answer, X47 and X48 a cancellation that came too late, X53 to
# X56 money that somebody has to look at: each is a person's, however well both sides agree. X79 of a hint: somebody replayed a
# webhook under another topic.
PEOPLE_S = ("X27", "X44", "X47", "X48", "X52", "X53", "X54", "X56", "X57", "X58", "X79:hint-")


class Standing(Struct, frozen=True, kw_only=True):
    """How far it is, and what is wrong if this is the end."""

    waiting: int  # commands in the outbox
    ahead: int  # things that people have still to do
    open: list[str]  # exceptions
    wrong: list[str]  # neither right nor known to anybody

    @property
    def settled(self) -> bool:
        return not (self.waiting or self.ahead or self.wrong)

    @property
    def invariant(self) -> str:
        return self.wrong[0].split()[0] if self.wrong else "L1"


def accidents(play: "Play") -> Accidents:
    """What has befallen the engines of a play so far."""
    return Accidents(
        stopped=bool(play.seen["fault process_stopped"]),
        clocks_differ=play.options.engines > 1 and bool(play.options.troubles.skew),
        mute=bool(play.seen["fault database_hole"]),
    )


async def look(play: "Play", *, whole: bool = False) -> Standing:
    """`whole`: what is wrong, too, while there is still something to be done."""
    waiting = await play.pool.fetchval(WAITING, play.tenant)
    ahead = len(play.world.actors.agenda.entries)
    if (waiting or ahead) and not whole:  # whatever is wrong may come right yet, and to judge it costs as much as everything else
        return Standing(waiting=waiting, ahead=ahead, open=[], wrong=[])
    truth = play.truth()
    troubles = await Desk(play.pool, play.log, play.settings, play.clock.now(), "judge").troubles(closed=False)
    judged = [one for one in judge(truth, Conventions(settled=True, buffer=BUFFER)) if one.rule not in BY_THE_LOG]  # which others read
    found = [one for one in judged if can_be_judged(one.rule, play.options.speed)]
    kept = held_back(truth, troubles)
    counted = [one for one in found if not is_an_accident(one, accidents(play)) and not (one.rule == "I4" and one.subject in kept)]
    wrong = [
        f"{one.rule} {one.subject}: {one.says}" + (f" ({one.call})" if one.call else "")
        for one in counted
        if one.level == "broken" and not is_told(one, troubles)
    ]
    wrong += [
        f"L1 {order['order_id']}: is {order['state']}, and nobody is told"
        for order in truth["mirakl"]["orders"]
        if order["state"] not in SHIPPED and not is_over(order) and not any(is_about(one, order["order_id"]) for one in troubles)
    ]
    subjects = [one.subject for one in found]
    keys = [trouble.key for trouble in troubles]
    idle = [key for key in keys if not key.startswith(PEOPLE_S) and not any(subject in key for subject in subjects)]
    wrong += [f"L2 {key}: is open, and there is nothing the matter" for key in idle]
    async with play.pool.acquire() as conn:
        rows = await stock_rows(conn, play.settings)
    wrong += [
        f"I4 {sku}: is shown otherwise than the formula says"
        for sku in mismatches(truth, rows, play.settings.channel[0])
        if sku not in kept
    ]
    return Standing(waiting=waiting, ahead=truth["actors"]["turns_ahead"], open=keys, wrong=wrong)
