"""What a reply says, said otherwise: fields, states, times, lists and their pages. None: there is nothing in it to be said otherwise."""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal

from ops.sandbox.distort import Scene, Spoil, Spoilt, tree_of, with_tree
from ops.sandbox.wire import Reply

STATES = ("order_state", "order_line_state", "status", "displayFulfillmentStatus", "displayFinancialStatus", "state")
IDS = ("order_id", "offer_id", "id", "shipment_id", "import_id")
MOMENT = re.compile(rb'(?<=")\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)(?=")')
JUMP = timedelta(minutes=10)


def said(how: Callable[[Scene, Any], Any]) -> Spoil:
    """The JSON said otherwise; None where it holds nothing to be said otherwise."""

    def spoil(scene: Scene) -> Spoilt | None:
        tree = tree_of(scene.reply)
        if scene.reply.status >= 300 or tree is None or (told := how(scene, tree)) is None:
            return None
        return Spoilt(with_tree(scene.reply, told))

    return spoil


def new_field(scene: Scene, tree: Any) -> Any:
    return _each(tree, lambda found: {**found, "introduced_last_week": {"code": "NEW", "values": [1, None]}})


def without_nulls(scene: Scene, tree: Any) -> Any:
    """What is null is left out: Mirakl does either."""
    told = _each(tree, lambda found: {name: value for name, value in found.items() if value is not None})
    return None if told == tree else told


def reordered(scene: Scene, tree: Any) -> Any:
    return _each(tree, lambda found: dict(reversed(found.items())))


def unknown_value(scene: Scene, tree: Any) -> Any:
    """One kind of state, wherever it stands but in an address, has a value that nobody has heard of."""
    text = json.dumps(tree)
    there = [name for name in STATES if f'"{name}": "' in text]
    if not there:
        return None
    chosen = scene.pick(there, "state")

    def told(found: dict[str, Any]) -> dict[str, Any]:
        is_said = isinstance(found.get(chosen), str) and "city" not in found  # there it is a county
        return {**found, chosen: "PENDING_REVIEW"} if is_said else found

    return new if (new := _each(tree, told)) != tree else None


def _each(node: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    match node:
        case dict():
            return change({name: _each(value, change) for name, value in node.items()})
        case list():
            return [_each(value, change) for value in node]
    return node


# ------------------------------------------------------------------------------------------------------ lists and pages


def listed(tree: Any) -> list[Any] | None:
    """The list that a reply is about: Mirakl's first one, GraphQL's nodes or edges."""
    if not isinstance(tree, dict):
        return None
    for found in (tree.get("data") or {}).values() if isinstance(tree.get("data"), dict) else ():
        for name in ("nodes", "edges"):
            if isinstance(found, dict) and isinstance(found.get(name), list):
                return list(found[name]) and found[name]
    return next((value for value in tree.values() if isinstance(value, list) and value and isinstance(value[0], dict)), None)


def ident(element: Any) -> str:
    node = element.get("node", element) if isinstance(element, dict) else {}
    return next((f"{name}:{node[name]}" for name in IDS if name in node), "") if isinstance(node, dict) else ""


def stale(scene: Scene, tree: Any) -> Any:
    """What has been shown before is shown as it was then."""
    found, told = listed(tree), False
    for place, element in enumerate(found or ()):
        before = scene.shown.get(ident(element))
        if found is not None and before is not None and before != element and before.keys() == element.keys():
            found[place], told = before, True
    return tree if told else None


def missing_newest(scene: Scene, tree: Any) -> Any:
    found = listed(tree)
    if not found:
        return None
    newest = max(range(len(found)), key=lambda place: (str(_made(found[place])), place))
    del found[newest]
    _recount(tree, -1)
    return tree


def _made(element: dict[str, Any]) -> Any:
    node = element.get("node", element)
    return node.get("created_date") or node.get("createdAt") or ""


def vanished(scene: Scene, tree: Any) -> Any:
    found = listed(tree)
    if not found:
        return None
    del found[scene.number_from(0, len(found) - 1, "vanished")]
    _recount(tree, -1)
    return tree


def empty_page(scene: Scene, tree: Any) -> Any:
    """Nothing on it, though it says how much there is."""
    found = listed(tree)
    if not found:
        return None
    found.clear()
    return tree


def total_lies(scene: Scene, tree: Any) -> Any:
    return _recount(tree, scene.pick((-3, -1, 1, 2, 50), "total"))


def _recount(tree: Any, by: int) -> Any:
    if not isinstance(tree, dict) or "total_count" not in tree:
        return None
    tree["total_count"] = max(0, tree["total_count"] + by)
    return tree


def next_loops(scene: Scene) -> Spoilt | None:
    """The next page is this one."""
    tree, reply = tree_of(scene.reply), scene.reply
    if not isinstance(tree, dict) or listed(tree) is None:
        return None
    if isinstance(tree.get("data"), dict):
        infos = [
            found["pageInfo"] for found in tree["data"].values() if isinstance(found, dict) and isinstance(found.get("pageInfo"), dict)
        ]
        if not infos or "endCursor" not in infos[0]:
            return None
        asked = json.loads(scene.request.body).get("variables") or {}
        infos[0] |= {"hasNextPage": True, "endCursor": asked.get("after") or ""}
        return Spoilt(with_tree(reply, tree))
    if "total_count" not in tree:
        if "next_page_token" not in tree:
            return None
        return Spoilt(with_tree(reply, tree | {"next_page_token": scene.request.first("page_token") or tree["next_page_token"]}))
    query = "&".join(f"{name}={value}" for name, value in scene.request.query)
    headers = {**reply.headers, "Link": f'<{scene.request.path}?{query}>; rel="next"'}
    return Spoilt(Reply(reply.status, reply.body, headers, reply.kind))


def clock(by: timedelta) -> Spoil:
    """Every time in it, and its date, is another."""

    def spoil(scene: Scene) -> Spoilt | None:
        reply = scene.reply
        body = MOMENT.sub(lambda found: _shifted(found[0], by), reply.body)
        headers = {**reply.headers, "Date": format_datetime(scene.at + by, usegmt=True)}
        return Spoilt(Reply(reply.status, body, headers, reply.kind))

    return spoil


def _shifted(text: bytes, by: timedelta) -> bytes:
    moment = datetime.fromisoformat(text.decode()) + by
    precision: Literal["milliseconds", "seconds"] = "milliseconds" if b"." in text else "seconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z").encode()


# ------------------------------------------------------------------------------------------------------ stock files


def import_says(status: str) -> Callable[[Scene, Any], Any]:
    def how(scene: Scene, tree: Any) -> Any:
        if not isinstance(tree, dict) or tree.get("status") in (None, status):
            return None
        gone = ("lines_in_error", "lines_in_success")
        return {name: value for name, value in tree.items() if name not in gone} | {"status": status, "has_error_report": False}

    return how


def report_in_latin(scene: Scene) -> Spoilt | None:
    reply = scene.reply
    if "csv" not in reply.kind:
        return None
    body = reply.body.replace(b"The offer with SKU", "L'offre à la référence".encode())
    return Spoilt(Reply(reply.status, body.decode().encode("latin-1", "replace"), reply.headers, "text/csv; charset=iso-8859-1"))


def elements(reply: Reply) -> list[Any]:
    return [element for element in listed(tree_of(reply)) or () if ident(element)]
