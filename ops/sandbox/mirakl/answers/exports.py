"""OR13, OR14, OR15: orders in files."""

from ops.sandbox.mirakl import exports
from ops.sandbox.mirakl.answers.call import Answer, Call, json
from ops.sandbox.mirakl.shapes import moment
from ops.sandbox.wire import Reply


def _begin(call: Call) -> Reply:
    return json({"tracking_id": call.change("OR13", {"asked": call.body})})


def _status(call: Call) -> Reply:
    export = exports.known(call.account, call.values["tracking_id"])
    urls = [f"{call.base}/api/orders/async-export/files/{export.id}/{n}" for n in range(1, len(export.files) + 1)]
    return json({"last_updated": moment(export.updated_at), "status": export.status, **({"urls": urls} if urls else {})})


def _file(call: Call) -> Reply:
    number = call.values["number"]
    return Reply(200, exports.file(call.account, call.values["tracking_id"], int(number) if number.isdigit() else 0).encode())


ANSWERS: dict[str, Answer] = {"OR13": _begin, "OR14": _status, "OR15": _file}
