"""All rules, and what they find."""

from collections.abc import Callable, Iterator

from ops.sandbox.referee import calls, money, orders, refunds, stock
from ops.sandbox.referee.case import Case, Conventions, Finding, Row

RULES: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    *orders.RULES,
    *refunds.RULES,
    *stock.RULES,
    *money.RULES,
    *calls.RULES,
)


def judge(state: Row, conventions: Conventions = Conventions()) -> list[Finding]:  # noqa: B008 - frozen
    """Everything that is wrong with the truth of a sandbox, as `GET /sandbox/state` or `truth()` gives it; whole, not `since` a moment."""
    case = Case(state, conventions)
    return [finding for rule in RULES for finding in rule(case)]
