"""M*: what customers, the operator and the shop write to each other."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ops.sandbox.mirakl import inbox
from ops.sandbox.mirakl.answers.call import DEFAULT_PAGE, Answer, Call, json, seek_page
from ops.sandbox.mirakl.sale import Message, Order, Origin, Thread
from ops.sandbox.mirakl.shapes import moment
from ops.sandbox.mirakl.state import RefusedError
from ops.sandbox.wire import Reply

INBOX_PAGE = 50
SHOWN_MESSAGES = 100  # of each thread in a list
TYPES = {who: kind for kind, who in inbox.PARTICIPANTS.items()}


def _order(call: Call, thread: Thread) -> Order | None:
    return None if thread.order_id is None else call.account.orders[thread.order_id]


def _participant(call: Call, thread: Thread, who: Origin) -> dict[str, Any]:
    return {"display_name": _name(call, thread, who), **_id(call, thread, who), "type": TYPES[who]}


def _id(call: Call, thread: Thread, who: Origin) -> dict[str, str]:
    """The operator has none."""
    if who == "seller":
        return {"id": str(call.account.shop_id)}
    order = _order(call, thread)
    return {"id": order.buyer.customer_id} if who == "customer" and order is not None else {}


def _name(call: Call, thread: Thread, who: Origin) -> str:
    order = _order(call, thread)
    if who == "customer" and order is not None:
        return f"{order.buyer.first_name} {order.buyer.last_name}"
    return call.account.shop_name if who == "seller" else "Marketplace"


def _sender(call: Call, thread: Thread, who: Origin) -> dict[str, Any]:
    organisation = {"organization_details": _participant(call, thread, who)} if who != "customer" else {}
    return {"display_name": _name(call, thread, who), **organisation, "type": f"{TYPES[who]}_USER"}


def _thread(call: Call, thread: Thread, *, messages: int | None) -> dict[str, Any]:
    """`messages`: how many of the latest are shown; None: none, and not their key either."""
    took_part: list[Origin] = []
    for message in thread.messages:
        took_part += [who for who in (message.by, *message.to) if who not in took_part]
    last = thread.messages[-1]
    order = _order(call, thread)
    entity = {"id": order.id, "label": order.id, "type": "MMP_ORDER"} if order is not None else None
    shop = {"id": str(call.account.shop_id), "label": call.account.shop_name, "type": "SELLER_OPERATOR"}
    told: dict[str, Any] = {
        "authorized_participants": [_participant(call, thread, who) for who in inbox.participants(thread)],
        "current_participants": [_participant(call, thread, who) for who in took_part],
        "date_created": moment(thread.created_at),
        "date_updated": moment(thread.updated_at, milliseconds=True),
        "entities": [entity or shop],
        "id": thread.id,
        "metadata": {
            "last_message_date": moment(last.at),
            "last_sender": _sender(call, thread, last.by),
            "shop_reply_needed_since": moment(inbox.unanswered_since(thread)),
            "total_count": len(thread.messages),
        },
        "topic": {"type": thread.topic_type, "value": thread.topic},
    }
    if messages is not None:
        told["messages"] = [_message(call, thread, message) for message in thread.messages[-messages:]]
    return told


def _message(call: Call, thread: Thread, message: Message) -> dict[str, Any]:
    return {
        "attachments": [{"id": one.id, "name": one.name, "size": one.size} for one in message.attachments],
        "body": message.body,
        "date_created": moment(message.at),
        "from": _sender(call, thread, message.by),
        "id": message.id,
        "to": [_participant(call, thread, who) for who in message.to],
    }


def _read(call: Call) -> Reply:
    """M10."""
    thread = inbox.known(call.account, call.values["thread_id"])
    return json(_thread(call, thread, messages=inbox.MOST_MESSAGES))


def _list(call: Call) -> Reply:
    """M11: the latest first. Where an entity is named, its kind must be."""
    if call.values.get("entity_id") and not call.values.get("entity_type"):
        raise RefusedError(400, "The parameter 'entity_type' is mandatory with 'entity_id'")

    def search(values: Mapping[str, Any]) -> Sequence[Thread]:
        account, kind = call.account, values.get("entity_type")
        ids = [one for text in values.get("entity_id") or () for one in text.split(",")]
        channels = [one for text in values.get("channel_codes") or () for one in text.split(",")]
        threads: Iterable[Thread] = account.threads.values()
        if ids and kind == "MMP_ORDER":
            threads = [account.threads[n] for one in dict.fromkeys(ids) if one in account.orders for n in account.orders[one].threads]
        found = [one for one in threads if _is_of(call, one, kind, ids)]
        if channels:
            found = [one for one in found if (order := _order(call, one)) is not None and order.channel in channels]
        if (since := values.get("updated_since")) is not None:
            found = [one for one in found if one.updated_at >= datetime.fromisoformat(since)]
        return sorted(found, key=lambda one: one.number)

    shown = SHOWN_MESSAGES if call.values.get("with_messages") else None
    return seek_page(
        call, search, lambda one: one.number, lambda one: _thread(call, one, messages=shown), limit=INBOX_PAGE, descending=True
    )


def _is_of(call: Call, thread: Thread, kind: str | None, ids: Sequence[str]) -> bool:
    order = _order(call, thread)
    if order is not None and order.hidden:
        return False
    is_kind, number = ("MMP_ORDER", order.id) if order is not None else ("SELLER_OPERATOR", str(call.account.shop_id))
    return kind in (None, is_kind) and (not ids or number in ids)


def _files(call: Call) -> list[tuple[str, str]]:
    return [(file.name, base64.b64encode(file.content).decode()) for file in call.files.get("files", ())]


def _reply(call: Call) -> Reply:
    """M12."""
    said = call.parts["message_input"]
    wanted = {"thread_id": call.values["thread_id"], "body": said["body"], "to": [one["type"] for one in said["to"]], "files": _files(call)}
    thread, message = call.change("M12", wanted)
    return json({"message_id": message, "thread_id": thread}, 201)


def _open(call: Call) -> Reply:
    """M14: to the operator."""
    said = call.parts["thread_input"]
    if said["entity"]["type"] != "SELLER_OPERATOR":
        raise RefusedError(400, "The entity type must be SELLER_OPERATOR")
    topic = said["topic"]
    wanted = {
        "body": said["body"],
        "topic": topic.get("value") or "",
        "topic_type": topic.get("type") or "FREE_TEXT",
        "files": _files(call),
    }
    thread, message = call.change("M14", wanted)
    return json({"message_id": message, "thread_id": thread}, 201)


def _download(call: Call) -> Reply:
    """M13."""
    attachment = call.account.attachments.get(call.values["attachment_id"])
    if attachment is None:
        raise RefusedError(404, f"Attachment with identifier '{call.values['attachment_id']}' not found")
    headers = {"Content-Disposition": f'attachment; filename="{attachment.name}"'}
    return Reply(200, inbox.content(attachment), headers, "application/octet-stream")


def _messages(call: Call) -> Reply:
    """M01, which is going to be removed: messages about orders, the latest first; by default those that the shop has received."""
    values, account = call.values, call.account
    received = values.get("received", "TRUE")
    since, until = (values.get(name) for name in ("start_date", "end_date"))
    found: list[tuple[Order, Thread, Message]] = []
    for thread in account.threads.values():
        order = _order(call, thread)
        if order is None or order.hidden or "offer_id" in values:
            continue
        if values.get("order_id") in (None, order.id) and values.get("customer_id") in (None, order.buyer.customer_id):
            found += [(order, thread, message) for message in thread.messages]
    found = [
        one
        for one in found
        if received == "ALL" or (one[2].by != "seller") == (received == "TRUE")
        if (since is None or one[2].at >= datetime.fromisoformat(since)) and (until is None or one[2].at <= datetime.fromisoformat(until))
    ]
    found.sort(key=lambda one: one[2].number, reverse=values.get("order") != "asc")
    size, offset = values.get("max", DEFAULT_PAGE), values.get("offset", 0)
    return json({"messages": [_old(call, *one) for one in found[offset : offset + size]], "total_count": len(found)})


def _old(call: Call, order: Order, thread: Thread, message: Message) -> dict[str, Any]:
    customer, shop = _name(call, thread, "customer"), call.account.shop_name
    to_customer = "customer" in message.to
    return {
        "body": message.body,
        "commercial_id": order.commercial_id,
        "date_created": moment(message.at),
        "documents": [],
        "from_id": _id(call, thread, message.by).get("id", "operator"),
        "from_name": _name(call, thread, message.by),
        "from_type": {"seller": "SHOP", "customer": "CUSTOMER"}.get(message.by, "OPERATOR"),
        "id": message.number,
        "order_id": order.id,
        "subject": thread.topic,
        "to_customer_archived": False,
        "to_customer_id": order.buyer.customer_id if to_customer else None,
        "to_customer_name": customer if to_customer else None,
        "to_operator": "operator" in message.to,
        "to_operator_archived": False,
        "to_shop_archived": False,
        "to_shop_id": call.account.shop_id if "seller" in message.to else None,
        "to_shop_name": shop if "seller" in message.to else None,
    }


ANSWERS: dict[str, Answer] = {
    "M01": _messages,
    "M10": _read,
    "M11": _list,
    "M12": _reply,
    "M13": _download,
    "M14": _open,
}
