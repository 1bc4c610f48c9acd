"""Which orders a filter of OR11 or OR13 lets through, found by the narrowest index there is."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ops.sandbox.mirakl.sale import Order
from ops.sandbox.mirakl.state import Account

Test = Callable[[Order], bool]


def find(account: Account, asked: Mapping[str, Any]) -> list[int]:
    """Numbers of orders, in the order of their creation. A filter that is not there lets everything through."""
    base, tests = _base(account, asked)
    tests += _tests(account, asked)
    base = _created(account, base, asked)
    if left_out := _left_out(account, asked):
        base = [number for number in base if number not in left_out]
    if tests:
        orders, ids = account.orders, account.book.ids
        base = [number for number in base if all(test(orders[ids[number - 1]]) for test in tests)]
    return base


def _base(account: Account, asked: Mapping[str, Any]) -> tuple[list[int], list[Test]]:
    """What the narrowest index gives, and what it has not looked at."""
    book, tests = account.book, list[Test]()
    ids, references, states = (asked.get(name) for name in ("order_ids", "order_references_for_seller", "order_state_codes"))
    since, until = _moment(asked, "start_update_date"), _moment(asked, "end_update_date")
    if since is not None:
        since -= timedelta(seconds=account.switches.update_overlap)  # on purpose, and never said by how much
    by_update = since is not None or until is not None
    if states is not None and (ids is not None or references is not None or by_update):
        tests.append(lambda order: order.state in states)
    if references is not None and ids is not None:
        tests.append(lambda order: order.seller_reference in references)
    if by_update and (ids is not None or references is not None):
        tests.append(lambda order: (since is None or order.updated_at >= since) and (until is None or order.updated_at <= until))
    if ids is not None:
        found = [account.orders[one] for one in dict.fromkeys(ids) if one in account.orders]
        return sorted(order.number for order in found if not order.hidden), tests
    if references is not None:
        numbers = sorted(number for one in set(references) for number in book.by_reference.get(one, ()))
        return [number for number in numbers if not account.orders[book.ids[number - 1]].hidden], tests
    if by_update:
        return book.updated(since, until), tests
    if states is not None:
        return book.in_states(states), tests
    if asked.get("customer_debited"):
        return [number for number in book.debited if not account.orders[book.ids[number - 1]].hidden], tests
    if asked.get("has_incident"):
        return [number for number in book.in_trouble if not account.orders[book.ids[number - 1]].hidden], tests
    return book.shown, tests


def _tests(account: Account, asked: Mapping[str, Any]) -> list[Test]:
    tests: list[Test] = []
    if not account.switches.staging_shown and account.book.by_state.get("STAGING"):
        tests.append(lambda order: order.state != "STAGING")
    if (references := asked.get("order_references_for_customer")) is not None:
        tests.append(lambda order: order.customer_reference in references)
    if asked.get("only_null_channel"):
        tests.append(lambda order: order.channel is None)
    elif channels := asked.get("channel_codes"):
        tests.append(lambda order: order.channel in channels)
    centres = asked.get("fulfillment_center_code") or asked.get("fulfillment_center_codes")
    if centres:
        wanted = [centres] if isinstance(centres, str) else centres
        tests.append(lambda order: order.centre in wanted)
    if (workflow := asked.get("payment_workflow")) is not None:
        tests.append(lambda order: order.workflow == workflow)
    if asked.get("has_incident"):
        tests.append(lambda order: any(line.incident for line in order.lines))
    if asked.get("customer_debited"):
        tests.append(lambda order: order.debited_at is not None)
    return tests


def _left_out(account: Account, asked: Mapping[str, Any]) -> set[int]:
    """Few or many, and known by number."""
    left_out = set(account.book.in_trouble) if asked.get("has_incident") is False else set()
    return left_out | set(account.book.debited) if asked.get("customer_debited") is False else left_out


def _created(account: Account, numbers: list[int], asked: Mapping[str, Any]) -> list[int]:
    """Those created between the two dates, both included: numbers count up with time."""
    since, until = _moment(asked, "start_date"), _moment(asked, "end_date")
    if since is None and until is None:
        return numbers

    def created_at(number: int) -> datetime:
        return account.orders[account.book.ids[number - 1]].created_at

    first = 0 if since is None else bisect_left(numbers, since, key=created_at)
    last = len(numbers) if until is None else bisect_right(numbers, until, key=created_at)
    return numbers[first:last]


def _moment(asked: Mapping[str, Any], name: str) -> datetime | None:
    return datetime.fromisoformat(asked[name]) if asked.get(name) else None
