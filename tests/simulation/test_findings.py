"""An exception excuses what the referee finds only while it is open, of that very order, and of a kind that says so."""

import pytest
from msgspec.structs import replace

from ops.sandbox.referee.case import Finding
from ops.simulate.findings import is_told
from projections.exceptions import Trouble

CANCELLED = Trouble(key="X48:order-asos:7-A", open=True, code="X48", subject="order-asos:7-A")


def test_an_open_exception_of_the_order_says_it() -> None:
    assert is_told(Finding(rule="O6", subject="7-A", says=""), [CANCELLED])


@pytest.mark.parametrize("code", ["X50", "X51"])
def test_a_parcel_may_wait_for_a_refund_that_a_person_must_lay_on_lines(code: str) -> None:
    said = Finding(rule="F3", subject="7-A", says="all of it has left, and the marketplace does not know")
    assert is_told(said, [replace(CANCELLED, key=f"{code}:order-asos:7-A:refund", code=code)])
    assert not is_told(said, [CANCELLED])


@pytest.mark.parametrize(
    ("finding", "trouble"),
    [
        (Finding(rule="O6", subject="7-A", says=""), replace(CANCELLED, open=False)),
        (Finding(rule="O6", subject="7-A", says=""), replace(CANCELLED, key="X61:order-asos:7-A", code="X61")),
        (Finding(rule="O6", subject="7-A", says=""), replace(CANCELLED, key="X48:order-asos:17-A", subject="order-asos:17-A")),
        (Finding(rule="O1", subject="7-A", says="is in Shopify twice"), replace(CANCELLED, key="X28:order-asos:7-A", code="X28")),
    ],
    ids=["closed", "of something else", "of another order", "two copies"],
)
def test_any_other_does_not(finding: Finding, trouble: Trouble) -> None:
    assert not is_told(finding, [trouble])
