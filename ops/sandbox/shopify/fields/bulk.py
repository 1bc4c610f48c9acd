"""Bulk operations and the uploads that they are fed with."""

from typing import Any

from ops.sandbox.shopify import doors, search
from ops.sandbox.shopify.connections import page
from ops.sandbox.shopify.fields.table import Call, fields, plain, when
from ops.sandbox.shopify.state import Bulk, Problem, gid, number_of

FILTERS: dict[str, search.Filter] = {
    "id": search.number(lambda job: int(job.id)),
    "status": search.text(lambda job: job.status),
    "operation_type": search.text(lambda job: job.type),
    "created_at": search.time(lambda job: job.created_at),
}


def _operations(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    return page(call.shop.bulk, asked, call.found("bulkOperations", asked.get("query"), FILTERS))


def _address(call: Call, job: Bulk, status: str) -> str | None:
    """None where there is nothing in it, or it is too old."""
    shown = job.status == status if status == "COMPLETED" else job.status in ("FAILED", "CANCELED")
    return f"{call.base}{doors.RESULTS}{job.id}.jsonl" if shown and doors.readable(job, call.at) else None


plain(
    "BulkOperation",
    id=lambda job: gid("BulkOperation", job.id),
    type=lambda job: job.type,
    status=lambda job: job.status,
    errorCode=lambda job: job.error,
    createdAt=lambda job: when(job.created_at),
    completedAt=lambda job: when(job.completed_at),
    query=lambda job: job.text,
    objectCount=lambda job: str(job.objects),
    rootObjectCount=lambda job: str(job.roots),
    fileSize=lambda job: str(sum(len(line.encode()) + 1 for line in job.result)) if job.completed_at and job.result else None,
)
fields(
    "BulkOperation",
    url=lambda job, call, asked: _address(call, job, "COMPLETED"),
    partialDataUrl=lambda job, call, asked: _address(call, job, "FAILED"),
)


def _begun(call: Call, number: int | None, problems: list[Problem]) -> dict[str, Any]:
    return {"bulkOperation": call.shop.bulk[number] if number else None, "userErrors": problems}


def _staged(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    keys, problems = call.attempt("stagedUploadsCreate", wanted=asked["input"])
    shown = []
    for key, one in zip(keys or (), asked["input"], strict=not problems):
        by_post = one.get("httpMethod") == "POST"
        address = f"{call.base}{doors.UPLOADS}"
        parameters = [{"name": "key", "value": key}, {"name": "Content-Type", "value": one["mimeType"]}] if by_post else []
        shown.append({"url": address if by_post else f"{address}/{key}", "resourceUrl": f"{address}/{key}", "parameters": parameters})
    return {"stagedTargets": None if problems else shown, "userErrors": problems}


fields(
    "QueryRoot",
    bulkOperation=lambda _, call, asked: call.shop.bulk.get(number_of(asked["id"], "BulkOperation")),
    bulkOperations=_operations,
)
fields(
    "Mutation",
    bulkOperationRunQuery=lambda _, call, asked: _begun(
        call, *call.attempt("bulkOperationRunQuery", query=asked["query"], group=asked["groupObjects"])
    ),
    bulkOperationRunMutation=lambda _, call, asked: _begun(
        call, *call.attempt("bulkOperationRunMutation", mutation=asked["mutation"], path=asked["stagedUploadPath"])
    ),
    bulkOperationCancel=lambda _, call, asked: _begun(call, *call.attempt("bulkOperationCancel", number=asked["id"])),
    stagedUploadsCreate=_staged,
)
