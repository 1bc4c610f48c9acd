"""What must come about in a run is known, what did not is named, and there is a way to bring about everything that chance may miss."""

from collections import Counter

from ops.sandbox.faults import KINDS as FAULTS
from ops.simulate.invariants.table import CHECKED
from ops.simulate.provocations import PROVOCATIONS
from ops.simulate.provocations.systems import bringing
from ops.simulate.seen import ELSEWHERE, expected, missing, of, table, unheard
from projections.kinds import KINDS, opened
from schemas.events.commands import CommandConfirmed, CommandUnknown
from tests.examples import placed
from tests.history import History
from tests.unit.test_invariants import ACCEPT, evidence

SELDOM = {"fault webhook_late", "fault webhook_redelivered", "fault report_missing", "fault report_in_latin"}  # and no other


def test_every_fault_every_outcome_and_every_exception_must_come_about() -> None:
    wanted = expected()
    assert len(wanted) == len(set(wanted))
    assert {f"fault {name}" for name in FAULTS} - set(wanted) == SELDOM
    assert {f"exception {code}" for code in {*KINDS, "X76", "X78"} - {"X86", "X96", "X97"}} < set(wanted)
    assert {"command A unknown", "command D found", "fault process_killed"} < set(wanted) and "command A found" not in wanted
    assert {f"judged {name}" for name in CHECKED} < set(wanted)
    assert ELSEWHERE.keys() <= {f"exception {code}" for code in KINDS} | SELDOM, "what does not exist needs no excuse"


def test_there_is_a_way_to_bring_about_everything_but_the_faults_which_are_drawn() -> None:
    brought = {f"exception {code}" for one in PROVOCATIONS.values() for code in one.codes}
    brought |= {outcome for one in PROVOCATIONS.values() for outcome in one.outcomes}
    assert [name for name in expected() if not name.startswith(("fault ", "judged ", "rare ")) and name not in brought] == []
    assert all(one.says for one in PROVOCATIONS.values())
    assert bringing(()) == [] and len(bringing(brought)) == len(PROVOCATIONS)
    assert "X44" in bringing(["exception X44"])[0].codes


def test_what_a_play_has_come_to_is_counted_and_the_rest_is_named() -> None:
    history = History()
    key = history.issue(ACCEPT, history.tell(placed()))
    history.answer(CommandUnknown, key)
    history.answer(CommandConfirmed, key, attempt=2, found=True)
    history.tell(opened("X44", "order-asos:1", "a parcel was taken back"))
    found = evidence(history.log)
    found.truth["faults"]["cut"] = 2
    seen = of(found)
    assert (seen["command C unknown"], seen["command C found"], seen["exception X44"], seen["fault cut"]) == (1, 1, 1, 2)
    assert missing(seen, ["command C found", "exception X44", "exception X45"]) == ["exception X45"]
    assert "order_placed" not in unheard(seen) and "order_shipped" in unheard(seen)
    shown = table(seen, expected())
    assert list(shown.columns[0].cells)[:3] == ["fault", "command", "rare"]
    assert "X45" in str(list(shown.columns[2].cells)[3]) and Counter(list(shown.columns[0].cells)).most_common(1)[0][1] == 1
