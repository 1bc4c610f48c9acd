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
    tree = tree_of(scene.reply)
    if not isinstance(tree, dict) or not isinstance(tree.get("data"), dict) or "errors" in tree:
        return None
    lost = list(tree["data"])[-1]
    tree["data"][lost] = None
    error = {"message": "Timeout", "path": [lost], "extensions": {"code": "TIMEOUT"}}
    return Spoilt(with_tree(scene.reply, tree | {"errors": [error]}))


def null_where_none_may_be(scene: Scene) -> Spoilt | None:
    tree = tree_of(scene.reply)
    if not isinstance(tree, dict) or not isinstance(tree.get("data"), dict) or "errors" in tree:
        return None
    path = list(tree["data"])[:1]
    error = {"message": "Cannot return null for non-nullable field", "path": path, "extensions": {"code": "INTERNAL_SERVER_ERROR"}}
    return Spoilt(with_tree(scene.reply, tree | {"data": None, "errors": [error]}))


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


def tree_of(reply: Reply) -> Any:
    try:
        return json.loads(reply.body) if "json" in reply.kind and reply.body else None
    except ValueError:
        return None


def with_tree(reply: Reply, tree: Any) -> Reply:
    body = json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()
    return Reply(reply.status, body, reply.headers, reply.kind)
