"""What waits for somebody, and when it no longer does (L2)."""

from uuid import UUID

from projections.exceptions import exceptions
from schemas.events.commands import CommandBuried, CommandConfirmed, CommandRefused
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened
from tests.examples import CHANNEL, ORDER, counted, import_finished, placed, state
from tests.spec import spec

SUBJECT = f"order-{CHANNEL}:{ORDER}"
ID = UUID(int=1)


def refused(command: str, field: str = "") -> CommandRefused:
    return CommandRefused(command_id=ID, command=command, subject=SUBJECT, attempt=1, detail="no", field=field)


def test_a_refusal_names_who_must_act() -> None:
    story = spec(exceptions).given(refused("ship_order", "carrier"), refused("create_shop_order", "lines.0.sku"))
    story.then_row(f"ship_order:{SUBJECT}", open=True, code="X36", owner="OPS")
    story.then_row(f"create_shop_order:{SUBJECT}", open=True, code="X01", owner="ECOM")


def test_a_later_confirmation_closes_it() -> None:
    done = CommandConfirmed(command_id=ID, command="ship_order", subject=SUBJECT, attempt=2)
    spec(exceptions).given(refused("ship_order")).when(done).then_row(f"ship_order:{SUBJECT}", open=False)


def test_a_confirmation_of_nothing_in_trouble_leaves_no_row() -> None:
    done = CommandConfirmed(command_id=ID, command="ship_order", subject=SUBJECT, attempt=1)
    fresh = exceptions.initial("ship_order:x")
    assert exceptions.evolve(fresh, done) is fresh


def test_a_buried_command_is_urgent() -> None:
    buried = CommandBuried(command_id=ID, command="ship_order", subject=SUBJECT, attempt=8, detail="HTTP 500")
    spec(exceptions).given(buried).then_row(f"ship_order:{SUBJECT}", open=True, code="X84", severity=1)


def test_what_was_opened_by_hand_or_by_an_adapter_is_closed_by_its_key() -> None:
    opened = ExceptionOpened(key="X79:a", code="X79", subject=SUBJECT, summary="price is missing", field="order_lines[0].price")
    story = spec(exceptions).given(opened).then_row("X79:a", open=True, field="order_lines[0].price")
    story.when(ExceptionClosed(key="X79:a", reason="read since")).then_row("X79:a", open=False, closed_because="read since")


def test_a_refused_stock_line_is_open_until_the_channel_takes_it() -> None:
    story = spec(exceptions).given(import_finished(5, refused={"TEE-RED-M": "unknown offer"}))
    story.then_row("X10:asos:TEE-RED-M", open=True, code="X10", subject="stock-TEE-RED-M")
    story.when(import_finished(4)).then_row("X10:asos:TEE-RED-M", open=False)


def test_an_order_in_an_unknown_state_waits_for_somebody_until_it_leaves_it() -> None:
    story = spec(exceptions).given(state("FROZEN")).then_row(f"X80:{SUBJECT}", open=True, code="X80", field="order_state")
    story.when(state("SHIPPING")).then_row(f"X80:{SUBJECT}", open=False)


def test_what_could_not_be_read_or_counted_is_closed_once_it_can() -> None:
    unreadable = ExceptionOpened(key=f"X79:{SUBJECT}", code="X79", subject=SUBJECT, summary="no price", field="order_lines[0].price")
    ambiguous = ExceptionOpened(key="X02:TEE-RED-M", code="X02", subject="stock-TEE-RED-M", summary="two items")
    story = spec(exceptions).given(unreadable, ambiguous).when(placed(), counted())
    story.then_row(f"X79:{SUBJECT}", open=False).then_row("X02:TEE-RED-M", open=False)
