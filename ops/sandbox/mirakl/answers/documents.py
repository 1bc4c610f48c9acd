"""OR72, OR73, OR74, OR76: files of an order."""

import base64

from ops.sandbox.mirakl import documents
from ops.sandbox.mirakl.answers.call import Answer, Call, json, nothing
from ops.sandbox.mirakl.orders import known
from ops.sandbox.mirakl.sale import Document
from ops.sandbox.mirakl.shapes import moment
from ops.sandbox.mirakl.state import RefusedError
from ops.sandbox.wire import Reply

MOST = 100  # values in a list that is one text


def _listed(call: Call, name: str) -> list[str]:
    value = call.values.get(name)
    values = value.split(",") if isinstance(value, str) else list(value or ())
    if len(values) > MOST:
        raise RefusedError(400, f"The parameter '{name}' holds more than {MOST} values")
    return values


def _of_orders(call: Call) -> list[Document]:
    orders = [known(call.account, one) for one in dict.fromkeys(_listed(call, "order_ids"))]
    return [call.account.documents[number] for order in orders for number in order.documents]


def _list(call: Call) -> Reply:
    found = _of_orders(call)
    shown = [
        {
            "date_uploaded": moment(one.uploaded_at),
            "file_name": one.name,
            "file_size": len(documents.content(one)),
            "id": one.id,
            "order_id": one.order_id,
            "type": one.type,
        }
        for one in found
    ]
    return json({"order_documents": shown, "total_count": len(shown)})


def _download(call: Call) -> Reply:
    """One by its own number comes as it is; all else comes as an archive."""
    numbers, codes = _listed(call, "document_ids"), _listed(call, "document_codes")
    if numbers:
        found = [documents.known(call.account, int(one) if one.isdigit() else 0) for one in numbers]
        if len(found) == 1:
            return _file(found[0].name, documents.content(found[0]))
    elif call.values.get("order_ids"):
        found = [one for one in _of_orders(call) if not codes or one.type in codes]
    else:
        raise RefusedError(400, "Either order_ids or document_ids is mandatory")
    if not found:
        raise RefusedError(404, "No document found")
    return _file(f"documents-{call.at:%Y%m%d%H%M%S}.zip", documents.archive(found, call.at))


def _file(name: str, content: bytes) -> Reply:
    return Reply(200, content, {"Content-Disposition": f'attachment; filename="{name}"'}, "application/octet-stream")


def _upload(call: Call) -> Reply:
    """OR74: only what was refused is told."""
    files = [(file.name, base64.b64encode(file.content).decode()) for file in call.files.get("files", ())]
    described = call.parts["order_documents"]["order_documents"]
    refused = call.change("OR74", {"order_id": call.values["order_id"], "files": files, "described": described})
    return json({"errors_count": len(refused), "order_documents": refused})


def _delete(call: Call) -> Reply:
    call.change("OR76", {"document_id": call.values["document_id"]})
    return nothing()


ANSWERS: dict[str, Answer] = {"OR72": _list, "OR73": _download, "OR74": _upload, "OR76": _delete}
