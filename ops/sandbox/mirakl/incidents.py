"""A customer or the operator is not content with a line: it is INCIDENT_OPEN until that is resolved."""

from datetime import datetime, timedelta

from ops.sandbox.mirakl import ledger, orders
from ops.sandbox.mirakl.registry import check_reason
from ops.sandbox.mirakl.sale import Incident, Origin
from ops.sandbox.mirakl.state import Account, RefusedError


def open_incident(account: Account, order_line_id: str, at: datetime, by: Origin = "customer", reason: str = "41") -> None:
    order, line = orders.known_line(account, order_line_id)
    if line.state not in ("SHIPPING", *orders.LEFT):
        raise RefusedError(400, f"No incident can be opened on the order line with id '{line.id}', its status is '{line.state}'")
    if line.incident:
        raise RefusedError(400, f"The order line with id '{line.id}' has an open incident already")
    check_reason(reason, "INCIDENT_OPEN", shop=False)
    line.incidents.append(Incident(reason, by, at))
    account.book.trouble(order)
    line.updated_at = at
    account.book.touch(order, at)


def resolve(account: Account, order_id: str, line_id: str, reason_code: str, *, at: datetime, by: Origin = "seller") -> None:
    """OR64, or the operator's own word."""
    order = orders.known(account, order_id)
    line = next((line for line in order.lines if line.id == line_id), None)
    if line is None:
        raise RefusedError(404, f"Order line with identifier '{line_id}' not found")
    incident = line.incident
    if incident is None:
        raise RefusedError(400, f"The order line with id '{line_id}' has no open incident")
    check_reason(reason_code, "INCIDENT_CLOSE", shop=by == "seller")
    incident.closed_at, incident.closed_by, incident.resolution = at, by, reason_code
    account.book.trouble(order)
    line.updated_at = at
    account.book.touch(order, at)
    ledger.resolved(account, order, at)
    if order.state == "RECEIVED":  # it may have been due to close in the meantime
        account.agenda.drop("close", order.id)
        account.agenda.put(at + timedelta(hours=account.switches.close_hours), "close", order.id)
