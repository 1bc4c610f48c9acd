"""Files that belong to an order: invoices, customs papers."""

import base64
import io
import zipfile
from datetime import datetime
from typing import Any

from ops.sandbox.mirakl import orders
from ops.sandbox.mirakl.registry import DOCUMENT_ENDINGS, DOCUMENT_TYPES
from ops.sandbox.mirakl.sale import Document, Order, Origin
from ops.sandbox.mirakl.state import Account, RefusedError

MOST = 50  # of an order
OPERATORS_ONLY = ("SYSTEM_DELIVERY_BILL", "SYSTEM_SHIPMENT_DELIVERY_BILL")
NEVER_UPLOADED = "SYSTEM_MESSAGE_ATTACHMENT"


def upload(
    account: Account, order_id: str, files: list[tuple[str, str]], described: list[dict[str, Any]], *, at: datetime, by: Origin = "seller"
) -> list[dict[str, Any]]:
    """OR74. `files`: names and contents in base64. Each document for itself; returns those that were refused, with why."""
    order = orders.known(account, order_id)
    contents = dict(files)
    names = [one["file_name"] for one in described]
    refused: list[dict[str, Any]] = []
    for one in described:
        problem = _problem(account, order, one, contents, names, by=by)
        if problem is not None:
            code, field, message = problem
            refused.append({"input": one, "errors": [{"code": code, "field": field, "message": message}]})
            continue
        account.last_document += 1
        document = Document(
            id=30_000 + account.last_document,
            order_id=order.id,
            name=one["file_name"],
            type=one["type_code"],
            uploaded_at=at,
            content=contents[one["file_name"]],
            by=by,
        )
        account.documents[document.id] = document
        order.documents.append(document.id)
    account.book.touch(order, at)
    return refused


def _problem(
    account: Account, order: Order, one: dict[str, Any], contents: dict[str, str], names: list[str], *, by: Origin
) -> tuple[str, str, str] | None:
    """Code, field and message of what is wrong with it."""
    name, kind = one["file_name"], one["type_code"]
    there = [account.documents[number].name for number in order.documents]
    if name not in contents:
        return "NOT_FOUND", "file_name", f"No file is called '{name}'"
    if not name.isascii():
        return "INVALID", "file_name", "The file name must contain only US-ASCII characters"
    if name.rpartition(".")[2].lower() not in DOCUMENT_ENDINGS or "." not in name:
        return "INVALID", "file_name", f"The type of the file '{name}' is not supported"
    if names.count(name) > 1 or name in there:
        return "DUPLICATE", "file_name", f"A document is called '{name}' already"
    if kind not in DOCUMENT_TYPES or kind == NEVER_UPLOADED or (kind in OPERATORS_ONLY and by != "operator"):
        return "NOT_ALLOWED", "type_code", f"Documents of the type '{kind}' cannot be uploaded"
    if len(there) >= MOST:
        return "TOO_MANY", "file_name", f"An order can have at most {MOST} documents"
    return None


def known(account: Account, number: int) -> Document:
    document = account.documents.get(number)
    if document is None or account.orders[document.order_id].hidden:
        raise RefusedError(404, f"Document with identifier '{number}' not found")
    return document


def delete(account: Account, document_id: int, at: datetime) -> None:
    """OR76. What the operator has put there stays."""
    document = known(account, document_id)
    if document.by != "seller":
        raise RefusedError(403, f"The document with identifier '{document_id}' cannot be deleted")
    order = account.orders[document.order_id]
    order.documents.remove(document.id)
    del account.documents[document.id]
    account.book.touch(order, at)


def content(document: Document) -> bytes:
    return base64.b64decode(document.content)


def archive(documents: list[Document], at: datetime) -> bytes:
    """OR73: a folder an order; the same documents at the same time are the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for document in documents:
            packed.writestr(zipfile.ZipInfo(f"{document.order_id}/{document.name}", at.timetuple()[:6]), content(document))
    return out.getvalue()
