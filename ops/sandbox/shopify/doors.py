"""The shop's addresses beside GraphQL: access tokens, results of bulk operations, uploads for them."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qs

from ops.sandbox.shopify import access
from ops.sandbox.shopify.state import Bulk, RefusedError, Shop
from ops.sandbox.wire import Reply, Request

TOKENS = "/admin/oauth/access_token"
RESULTS = "/storage/results/"
UPLOADS = "/storage/uploads"
RESULTS_KEPT = timedelta(days=7)
PREFIX = "/shopify"  # under which the face serves the shop

Change = Callable[[str, dict[str, Any]], Any]


def reply(status: int, answer: Mapping[str, Any], headers: Mapping[str, str]) -> Reply:
    return Reply(status, json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode(), headers)


def base_of(shop: Shop, request: Request) -> str:
    """Files are served where the question was asked; who asks without a network is told the shop's own domain."""
    host = request.header("host")
    return f"http://{host}{PREFIX}" if host else f"https://{shop.domain}"


def answer(shop: Shop, request: Request, at: datetime, change: Change, secret: str) -> Reply | None:
    """None: there is nothing at that address."""
    if request.path == TOKENS and request.method == "POST":
        return _token(shop, request, change, secret)
    if request.path.startswith(RESULTS) and request.method == "GET":
        return _result(shop, request.path.removeprefix(RESULTS), at)
    if request.path == UPLOADS or request.path.startswith(f"{UPLOADS}/"):
        return _uploaded(shop, request, change)
    return None


# ----------------------------------------------------------------------------------------------------------------- tokens


def _token(shop: Shop, request: Request, change: Change, secret: str) -> Reply:
    """Client credentials, good for a day; or an offline token that is refreshed within the hour."""
    asked = _form(request)
    if (asked.get("client_id"), asked.get("client_secret")) != (access.CLIENT_ID, secret) or shop.uninstalled_at is not None:
        return reply(401, {"error": "invalid_client", "error_description": "Client authentication failed."}, {})
    match asked.get("grant_type"):
        case "client_credentials":
            token = change("grant", {"kind": "client_credentials"})
        case "refresh_token":
            try:
                token = change("grant", {"kind": "offline", "refresh": asked.get("refresh_token", "")})
            except RefusedError:
                return reply(400, {"error": "invalid_grant", "error_description": "The refresh token is not valid any more."}, {})
        case _:
            return reply(400, {"error": "unsupported_grant_type"}, {})
    made = shop.passes[token]
    told: dict[str, Any] = {
        "access_token": token,
        "scope": ",".join(shop.scopes),
        "expires_in": int(access.GRANTED_FOR[made.kind].total_seconds()),
    }
    if made.refresh:
        told |= {"refresh_token": made.refresh, "refresh_token_expires_in": int(access.REFRESHED_FOR.total_seconds())}
    return reply(200, told, {})


def _form(request: Request) -> dict[str, str]:
    try:
        if "json" in request.header("content-type"):
            given = json.loads(request.body)
            return {str(name): str(value) for name, value in given.items()} if isinstance(given, dict) else {}
        return {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    except ValueError:
        return {}


# ------------------------------------------------------------------------------------------------------------------ files


def _result(shop: Shop, name: str, at: datetime) -> Reply:
    """Without a token: whoever has the address may read, for seven days."""
    number = name.removesuffix(".jsonl")
    job = shop.bulk.get(int(number)) if number.isdigit() else None
    if job is None or not readable(job, at):
        return Reply(404, b"", {}, "application/xml")
    return Reply(200, "".join(f"{line}\n" for line in job.result).encode(), {}, "application/jsonl")


def readable(job: Bulk, at: datetime) -> bool:
    return bool(job.result) and job.completed_at is not None and at - job.completed_at < RESULTS_KEPT


def _uploaded(shop: Shop, request: Request, change: Change) -> Reply:
    """As the staged target says: a multipart form with its parameters and the file last, or the file alone put to its own address."""
    if request.method == "PUT":
        key, content = request.path.removeprefix(f"{UPLOADS}/"), request.body
    elif request.method == "POST":
        parts = _multipart(request)
        key, content = parts.get("key", b"").decode(), parts.get("file", b"")
    else:
        return Reply(405, b"", {}, "application/xml")
    try:
        change("upload", {"key": key, "content": content.decode()})
    except (RefusedError, UnicodeDecodeError):
        return Reply(403, b"<Error><Code>AccessDenied</Code></Error>", {}, "application/xml")
    return Reply(200 if request.method == "PUT" else 201, f"<PostResponse><Key>{key}</Key></PostResponse>".encode(), {}, "application/xml")


def _multipart(request: Request) -> dict[str, bytes]:
    head = f"Content-Type: {request.header('content-type')}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + request.body)
    found: dict[str, bytes] = {}
    for part in message.iter_parts() if message.is_multipart() else ():
        content = part.get_payload(decode=True)
        name = part.get_param("name", header="content-disposition")
        if isinstance(name, str) and isinstance(content, bytes):
            found[name] = content
    return found
