"""Conversations: threads about an order with its customer, and threads with the operator."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ops.sandbox.mirakl import orders
from ops.sandbox.mirakl.sale import Attachment, Message, Origin, Thread
from ops.sandbox.mirakl.state import Account, RefusedError, identifier

MOST_MESSAGES, MOST_ATTACHMENTS = 1000, 50
PARTICIPANTS: dict[str, Origin] = {"CUSTOMER": "customer", "OPERATOR": "operator", "SHOP": "seller"}


def open_thread(
    account: Account,
    body: str,
    *,
    at: datetime,
    by: Origin = "customer",
    order_id: str | None = None,
    topic: str = "Where is my parcel?",
    topic_type: str = "FREE_TEXT",
    files: Sequence[Any] = (),
) -> tuple[str, str]:
    """A customer or the operator writes about an order; or, M14, the shop to the operator. Returns the ids of thread and message."""
    order = None
    if order_id is not None:
        order = account.orders[order_id]
    elif by == "customer":
        raise RefusedError(400, "A customer writes about an order")
    number = len(account.threads) + 1
    thread = Thread(
        id=identifier(account.seed, "thread", number),
        number=number,
        order_id=order_id,
        topic_type=topic_type,
        topic=topic,
        created_at=at,
        updated_at=at,
        messages=[],
    )
    message = _written(account, thread, body, files, by=by, to=["operator"] if by == "seller" else ["seller"], at=at)
    account.threads[thread.id] = thread
    if order is not None:
        order.threads.append(thread.id)
        order.customer_wrote = order.customer_wrote or by == "customer"
        account.book.touch(order, at)
    return thread.id, message


def reply(
    account: Account, thread_id: str, body: str, to: list[str], *, at: datetime, by: Origin = "seller", files: Sequence[Any] = ()
) -> tuple[str, str]:
    """M12, and what others answer. Returns the ids of thread and message."""
    thread = known(account, thread_id)
    if len(thread.messages) >= MOST_MESSAGES:
        raise RefusedError(400, f"A thread holds at most {MOST_MESSAGES} messages")
    allowed = participants(thread)
    if not to or any(PARTICIPANTS.get(one) not in allowed or PARTICIPANTS[one] == by for one in to):
        raise RefusedError(400, "The recipients are not participants of the thread")
    message = _written(account, thread, body, files, by=by, to=[PARTICIPANTS[one] for one in to], at=at)
    if thread.order_id is not None:
        order = account.orders[thread.order_id]
        order.customer_wrote = order.customer_wrote or by == "customer"
        account.book.touch(order, at)
    return thread.id, message


def known(account: Account, thread_id: str) -> Thread:
    thread = account.threads.get(thread_id)
    if thread is None or (thread.order_id is not None and account.orders[thread.order_id].hidden):
        raise RefusedError(404, f"Thread with identifier '{thread_id}' not found")
    return thread


def participants(thread: Thread) -> tuple[Origin, ...]:
    return ("seller", "operator") if thread.order_id is None else ("customer", "seller", "operator")


def unanswered_since(thread: Thread) -> datetime | None:
    """When the first message came that the shop has not answered."""
    waiting = None
    for message in thread.messages:
        waiting = None if message.by == "seller" else waiting or message.at
    return waiting


def _written(account: Account, thread: Thread, body: str, files: Sequence[Any], *, by: Origin, to: list[Origin], at: datetime) -> str:
    """`files`: pairs of a name and its content in base64."""
    if sum(len(message.attachments) for message in thread.messages) + len(files) > MOST_ATTACHMENTS:
        raise RefusedError(400, f"At most {MOST_ATTACHMENTS} attachments are allowed")
    account.last_message += 1
    attached = [
        Attachment(identifier(account.seed, "attachment", account.last_message, n), name, content)
        for n, (name, content) in enumerate(files)
    ]
    account.attachments.update({one.id: one for one in attached})
    message = Message(
        id=identifier(account.seed, "message", account.last_message),
        number=account.last_message,
        at=at,
        by=by,
        to=to,
        body=body,
        attachments=attached,
    )
    thread.messages.append(message)
    thread.updated_at = at
    return message.id


def write(account: Account, order_id: str, body: str, *, at: datetime, by: Origin = "customer", topic: str = "") -> tuple[str, str]:
    """In the thread of the order that is there already, or in a new one."""
    order = orders.known(account, order_id)
    if order.threads:
        return reply(account, order.threads[-1], body, ["SHOP"], at=at, by=by)
    return open_thread(account, body, at=at, by=by, order_id=order_id, **({"topic": topic} if topic else {}))


def content(attachment: Attachment) -> bytes:
    return base64.b64decode(attachment.content)
