"""How a reply is spoilt: one function a fault, pure. None: this fault has nothing to take hold of in this reply."""

import functools
import json
import re
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal

from graphql import FieldNode, GraphQLError, OperationDefinitionNode, parse
from msgspec import Struct
from msgspec.structs import replace

from ops.sandbox.chance import choose, whole
from ops.sandbox.wire import Reply, Request

Manner = Literal["plain", "refuse", "reset", "cut", "hole", "trickle", "flood", "close"]
BOMB = 64 * 1024 * 1024  # bytes that a small reply swells to
DEEP = 100_000
HTML = "text/html; charset=utf-8"
PAGE = "<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
PRIVATE = ("http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:22/", "http://10.0.0.1/admin", "http://[::1]:6379/")
STATES = ("order_state", "order_line_state", "status", "displayFulfillmentStatus", "displayFinancialStatus", "state")
IDS = ("order_id", "offer_id", "id", "shipment_id", "import_id")
MOMENT = re.compile(rb'(?<=")\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)(?=")')
JUMP = timedelta(minutes=10)


class Spoilt(Struct):
    """What goes out in the end, and how."""

    reply: Reply
    manner: Manner = "plain"
    seconds: float = 0.0


class Scene(Struct):
    """The call whose reply is to be spoilt. `reply` is what it should have been; empty where nothing was carried out."""

    request: Request
    reply: Reply
    at: datetime
    seed: int
    number: int  # of the call
    shown: dict[str, Any]  # elements of lists as they were shown last, by their ids

    def pick(self, options: Any, what: str) -> Any:
        return choose(self.seed, options, "spoilt", what, self.number)

    def number_from(self, low: int, high: int, what: str) -> int:
        return whole(self.seed, low, high, "spoilt", what, self.number)


Spoil = Callable[[Scene], Spoilt | None]


# ------------------------------------------------------------------------------------------------------ the connection


def manner(how: Manner, low: int = 0, high: int = 0) -> Spoil:
    """The reply as it is, on a connection that is not; for so many seconds."""
    return lambda scene: Spoilt(scene.reply, how, float(scene.number_from(low, high, how)))


# ------------------------------------------------------------------------------------------------------ another reply


def page(status: int, title: str) -> Spoil:
    return lambda scene: Spoilt(Reply(status, PAGE.format(title=title).encode(), kind=HTML))


def refused(status: int, message: str) -> Spoil:
    """In the words of whichever system was asked."""

    def spoil(scene: Scene) -> Spoilt:
        graphql = scene.request.path.endswith("graphql.json")
        body = {"errors": message} if graphql else {"status": status, "message": message}
        return Spoilt(Reply(status, json.dumps(body).encode()))

    return spoil


def too_many(after: str | None) -> Spoil:
    """429, with that in Retry-After; `date` is a moment in a minute."""

    def spoil(scene: Scene) -> Spoilt:
        headers = {} if after is None else {"Retry-After": after}
        if after == "date":
            headers = {"Retry-After": format_datetime(scene.at + timedelta(minutes=1), usegmt=True)}
        return Spoilt(Reply(429, json.dumps({"status": 429, "message": "Too Many Requests", "errors": "Throttled"}).encode(), headers))

    return spoil


def redirect(*targets: str) -> Spoil:
    def spoil(scene: Scene) -> Spoilt:
        where = scene.pick(targets, "where to")
        status = scene.pick((301, 302, 307, 308), "redirect")
        return Spoilt(Reply(status, b"", {"Location": where}, HTML))

    return spoil


# ------------------------------------------------------------------------------------------------------ GraphQL


def throttled(scene: Scene) -> Spoilt:
    cost = {"requestedQueryCost": 50, "actualQueryCost": None}
    cost["throttleStatus"] = {"maximumAvailable": 2000.0, "currentlyAvailable": 0, "restoreRate": 100.0}  # type: ignore[assignment]
    return _graph({"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}], "extensions": {"cost": cost}})


def errors_only(scene: Scene) -> Spoilt:
    message = "Internal error. Looks like something went wrong on our end. Request ID: 0"
    return _graph({"errors": [{"message": message, "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]})


def errors_and_part(scene: Scene) -> Spoilt | None:
    tree = _tree(scene.reply)
    if not isinstance(tree, dict) or not isinstance(tree.get("data"), dict) or "errors" in tree:
        return None
    lost = list(tree["data"])[-1]
    tree["data"][lost] = None
    error = {"message": "Timeout", "path": [lost], "extensions": {"code": "TIMEOUT"}}
    return Spoilt(_with(scene.reply, tree | {"errors": [error]}))


def null_where_none_may_be(scene: Scene) -> Spoilt | None:
    tree = _tree(scene.reply)
    if not isinstance(tree, dict) or not isinstance(tree.get("data"), dict) or "errors" in tree:
        return None
    path = list(tree["data"])[:1]
    error = {"message": "Cannot return null for non-nullable field", "path": path, "extensions": {"code": "INTERNAL_SERVER_ERROR"}}
    return Spoilt(_with(scene.reply, tree | {"data": None, "errors": [error]}))


def user_errors(scene: Scene) -> Spoilt | None:
    """Each mutation ends in a user error, in the shape that was asked for; nothing was done."""
    try:
        document = parse(json.loads(scene.request.body)["query"])
    except (ValueError, KeyError, TypeError, GraphQLError):
        return None
    data: dict[str, Any] = {}
    problem = {"field": ["input"], "message": "Something went wrong, please try again.", "code": "INVALID", "__typename": "UserError"}
    for root in next(node for node in document.definitions if isinstance(node, OperationDefinitionNode)).selection_set.selections:
        if not isinstance(root, FieldNode):
            return None
        answer: dict[str, Any] = {}
        for node in root.selection_set.selections if root.selection_set else ():
            if isinstance(node, FieldNode):
                name = node.name.value
                wanted = node.selection_set.selections if node.selection_set else ()
                asked = [field.name.value for field in wanted if isinstance(field, FieldNode)]
                is_list = name.lower().endswith("errors")
                answer[_alias(node)] = [{field: problem.get(field) for field in asked}] if is_list else None
        if not any(answer.values()):
            return None
        data[_alias(root)] = answer
    return _graph({"data": data})


def _alias(node: FieldNode) -> str:
    return node.alias.value if node.alias else node.name.value


def _graph(body: dict[str, Any]) -> Spoilt:
    return Spoilt(Reply(200, json.dumps(body).encode()))


def version_retired(scene: Scene) -> Spoilt:
    headers = {**scene.reply.headers, "X-Shopify-API-Version": "2026-01"}
    return Spoilt(Reply(scene.reply.status, scene.reply.body, headers, scene.reply.kind))


def deprecated(scene: Scene) -> Spoilt:
    ends = format_datetime(scene.at + timedelta(days=60), usegmt=True)
    said = {"X-Shopify-API-Deprecated-Reason": "https://shopify.dev/api/usage/versioning", "Deprecation": "true", "Sunset": ends}
    return Spoilt(Reply(scene.reply.status, scene.reply.body, {**scene.reply.headers, **said}, scene.reply.kind))


# ------------------------------------------------------------------------------------------------------ the bytes of it


def rewritten(how: Callable[[bytes], bytes], headers: Mapping[str, str] | None = None) -> Spoil:
    def spoil(scene: Scene) -> Spoilt | None:
        reply = scene.reply
        if not reply.body or "json" not in reply.kind:
            return None
        return Spoilt(Reply(reply.status, how(reply.body), {**reply.headers, **(headers or {})}, reply.kind))

    return spoil


def truncated(body: bytes) -> bytes:
    return body[: len(body) // 2]


def malformed(body: bytes) -> bytes:
    return body.rstrip()[:-1] + b"," + body.rstrip()[-1:]  # a comma before the last bracket


def bom(body: bytes) -> bytes:
    return b"\xef\xbb\xbf" + body


def other_encoding(body: bytes) -> bytes:
    return body.decode().encode("utf-16")


def nested(body: bytes) -> bytes:
    return b"[" * DEEP + b"]" * DEEP


def doubled_key(body: bytes) -> bytes:
    """The first key once more, in front, with nothing in it."""
    first = re.match(rb'\s*\{\s*("(?:[^"\\]|\\.)*")', body)
    return b"{" + first[1] + b":null," + body.lstrip()[1:] if first else body


@functools.cache
def _swollen() -> tuple[Any, bytes]:
    """A gzip that is nearly all spaces, left open so that a reply can follow."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer, packer.compress(b" " * BOMB)


def bomb(body: bytes) -> bytes:
    packer, packed = _swollen()
    rest = packer.copy()
    return b"".join((packed, rest.compress(body), rest.flush()))


# ------------------------------------------------------------------------------------------------------ what is said in it


def said(how: Callable[[Scene, Any], Any]) -> Spoil:
    """The JSON said otherwise; None where it holds nothing to be said otherwise."""

    def spoil(scene: Scene) -> Spoilt | None:
        tree = _tree(scene.reply)
        if scene.reply.status >= 300 or tree is None or (told := how(scene, tree)) is None:
            return None
        return Spoilt(_with(scene.reply, told))

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
    """One kind of state, wherever it stands, has a value that nobody has heard of."""
    text = json.dumps(tree)
    there = [name for name in STATES if f'"{name}": "' in text]
    if not there:
        return None
    chosen = scene.pick(there, "state")
    return _each(tree, lambda found: {**found, chosen: "PENDING_REVIEW"} if isinstance(found.get(chosen), str) else found)


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
    tree, reply = _tree(scene.reply), scene.reply
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
        return Spoilt(_with(reply, tree))
    if "total_count" not in tree:
        if "next_page_token" not in tree:
            return None
        return Spoilt(_with(reply, tree | {"next_page_token": scene.request.first("page_token") or tree["next_page_token"]}))
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


# ------------------------------------------------------------------------------------------------------ the request


def spoil_rows(request: Request, seed: int, number: int) -> Request:
    """One row of the file that is handed in is unreadable by the time it arrives."""
    head, rows, tail = _file(request.body)
    if len(rows) < 2:
        return request
    place = whole(seed, 1, len(rows) - 1, "spoilt row", number)
    cells = rows[place].rstrip(b"\r").split(b";")
    rows[place] = b";".join([cells[0], b"'many'", *cells[2:]])
    return _put(request, head + b"\n".join(rows) + tail)


def spoil_header(request: Request) -> Request:
    head, rows, tail = _file(request.body)
    return _put(request, head + b"\n".join([b"x" + rows[0], *rows[1:]]) + tail) if rows else request


def _file(body: bytes) -> tuple[bytes, list[bytes], bytes]:
    """What stands before the file in a form, its rows, and what stands after."""
    start = body.find(b"\r\n\r\n", body.find(b'name="file"'))
    end = body.find(b"\r\n--", start)
    if start < 0 or end < 0:
        return body, [], b""
    return body[: start + 4], body[start + 4 : end].split(b"\n"), body[end:]


def _put(request: Request, body: bytes) -> Request:
    return replace(request, body=body)


def shift_page(request: Request, seed: int, number: int) -> Request:
    """While the pages were turned something came or went before this one."""
    by = choose(seed, (-1, 1), "shift", number)
    query = tuple((name, str(max(0, int(value) + by)) if name == "offset" else value) for name, value in request.query)
    return replace(request, query=query)


# ------------------------------------------------------------------------------------------------------ bits and pieces


def _tree(reply: Reply) -> Any:
    try:
        return json.loads(reply.body) if "json" in reply.kind and reply.body else None
    except ValueError:
        return None


def _with(reply: Reply, tree: Any) -> Reply:
    body = json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()
    return Reply(reply.status, body, reply.headers, reply.kind)


def elements(reply: Reply) -> list[Any]:
    return [element for element in listed(_tree(reply)) or () if ident(element)]
