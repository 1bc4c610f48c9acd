"""Bulk operations: a query read to its end in slices, or a mutation done for each line of an uploaded file; the result is JSON lines.

No snapshot: each slice shows things as they stand at its own moment, and a long job mixes moments.
"""

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from graphql import DocumentNode, FieldNode, GraphQLError, OperationDefinitionNode, OperationType, parse, validate
from graphql import get_named_type as named
from graphql.type import GraphQLObjectType

from ops.sandbox.chance import happens
from ops.sandbox.shopify.connections import PARTS
from ops.sandbox.shopify.doors import UPLOADS
from ops.sandbox.shopify.execution import execute, without_key
from ops.sandbox.shopify.fields import Call
from ops.sandbox.shopify.schema import contract
from ops.sandbox.shopify.state import Bulk, NotSimulatedError, Problem, RefusedError, Shop, number_of
from ops.sandbox.shopify.webhooks import emit

MOST_CONNECTIONS, DEEPEST = 5, 2  # of a query: connections in all, and below the first one
LONGEST = timedelta(days=10)

Perform = Callable[[Shop, str, dict[str, Any], datetime], Any]
Row = dict[str, Any]


# ----------------------------------------------------------------------------------------------------------------- begun


def run_query(shop: Shop, query: str, group: bool, at: datetime) -> int:
    document, operation = _read(query, "query")
    if operation.operation != OperationType.QUERY:
        raise _refused("query", "Bulk queries must be queries.", "INVALID")
    _check(document, operation)
    _make_room(shop, "QUERY", "query")
    return _begin(shop, Bulk(shop.new_id(), "QUERY", query, at, group=group), at)


def run_mutation(shop: Shop, mutation: str, path: str, at: datetime) -> int:
    path = path.rpartition(f"{UPLOADS}/")[2]  # the key, or the whole address
    _, operation = _read(mutation, "mutation")
    if operation.operation != OperationType.MUTATION or len(operation.selection_set.selections) != 1:
        raise _refused("mutation", "The mutation must hold one mutation.", "INVALID_MUTATION")
    if missing := without_key(operation):
        raise _refused("mutation", f"The @idempotent directive is required for this mutation: {missing}", "INVALID_MUTATION")
    if shop.uploads.get(path) is None:
        raise _refused("stagedUploadPath", "The JSONL file could not be found. Try uploading the file again.", "NO_SUCH_FILE")
    _make_room(shop, "MUTATION", "mutation")
    return _begin(shop, Bulk(shop.new_id(), "MUTATION", mutation, at, upload=path), at)


def _read(text: str, where: str) -> tuple[DocumentNode, OperationDefinitionNode]:
    code = "INVALID" if where == "query" else "INVALID_MUTATION"
    try:
        document = parse(text)
        errors = validate(contract(), document)
    except GraphQLError as error:
        errors, document = [error], DocumentNode()
    if errors:
        raise _refused(where, f"Invalid bulk {where}: {errors[0].message}", code)
    found = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if len(found) != 1:
        raise _refused(where, f"Invalid bulk {where}: exactly one operation is wanted", code)
    return document, found[0]


def _check(document: DocumentNode, operation: OperationDefinitionNode) -> None:
    """At least one connection, at most five, no more than two nested ones, no node or nodes at the root."""
    root = contract().query_type
    assert root is not None
    depths = list(_connections(operation, root, 0))
    if any(isinstance(node, FieldNode) and node.name.value in ("node", "nodes") for node in operation.selection_set.selections):
        raise _refused("query", "Bulk queries cannot use node or nodes.", "INVALID")
    if not depths:
        raise _refused("query", "Bulk queries must contain at least one connection.", "INVALID")
    if len(depths) > MOST_CONNECTIONS:
        raise _refused("query", f"Bulk queries cannot contain more than {MOST_CONNECTIONS} connections.", "INVALID")
    if max(depths) > DEEPEST:
        raise _refused("query", f"Bulk queries cannot contain connections with a nesting depth greater than {DEEPEST}.", "INVALID")


def _connections(node: Any, parent: Any, depth: int) -> Iterator[int]:
    """How deep each connection lies below others. Fragments are few in bulk queries, and are looked into where they are inline."""
    for one in node.selection_set.selections if node.selection_set else ():
        if not isinstance(one, FieldNode):
            yield from _connections(one, parent, depth) if getattr(one, "selection_set", None) else ()
            continue
        field = parent.fields.get(one.name.value) if isinstance(parent, GraphQLObjectType) else None
        if field is None:
            continue
        target = named(field.type)
        below = depth
        if target.name.endswith("Connection"):
            yield depth
            below += 1
        yield from _connections(one, target, below)


def _make_room(shop: Shop, kind: str, where: str) -> None:
    running = sum(job.type == kind and job.active for job in shop.bulk.values())
    if running >= shop.switches.bulk_at_once:
        code = "OPERATION_IN_PROGRESS" if shop.switches.bulk_at_once == 1 else "LIMIT_REACHED"
        raise _refused(where, "A bulk operation for this app and shop is already in progress.", code)


def _begin(shop: Shop, job: Bulk, at: datetime) -> int:
    shop.bulk[job.id] = job
    shop.agenda.put(at + _pause(shop), "bulk", job.id)
    return job.id


def _pause(shop: Shop) -> timedelta:
    return timedelta(seconds=shop.switches.bulk_seconds / (PARTS + 1))


def cancel(shop: Shop, number: str, at: datetime) -> int:
    """It stops at its next step, and keeps what it has written."""
    job = shop.bulk.get(number_of(number, "BulkOperation"))
    if job is None:
        raise _refused("id", "Bulk operation does not exist", None)
    if not job.active:
        raise _refused("id", f"A bulk operation cannot be canceled when it is {job.status.lower()}", None)
    job.status = "CANCELING"
    return job.id


def stage(shop: Shop, wanted: list[dict[str, Any]], at: datetime) -> list[str]:
    """Where files may be put. Returns their keys."""
    if any(one["resource"] != "BULK_MUTATION_VARIABLES" for one in wanted):
        raise NotSimulatedError("staged uploads for anything but bulk mutations are not simulated")
    keys = [f"tmp/{shop.new_id()}/bulk/{one['filename']}" for one in wanted]
    shop.uploads |= dict.fromkeys(keys)
    return keys


def upload(shop: Shop, key: str, content: str, at: datetime) -> None:
    if key not in shop.uploads:
        raise _refused("key", "nothing is awaited there", None)
    shop.uploads[key] = content


def _refused(where: str, message: str, code: str | None) -> RefusedError:
    return RefusedError(Problem((where,), message, code))


# --------------------------------------------------------------------------------------------------------- step by step


def step(shop: Shop, number: int, at: datetime, perform: Perform) -> None:
    """The next slice, if it is still wanted."""
    job = shop.bulk[number]
    job.steps += 1
    if job.status == "CANCELING":
        _end(shop, job, "CANCELED", at)
        return
    job.status = "RUNNING"
    if job.steps > 1 and happens(shop.seed, shop.switches.bulk_fails, "bulk fails", number):
        _end(shop, job, "FAILED", at, error="INTERNAL_SERVER_ERROR")
        return
    call = Call(shop, at, lambda op, arguments: perform(shop, op, arguments, at))
    more = _slice(job, call) if job.type == "QUERY" else _lines(shop, job, call)
    if job.error:
        _end(shop, job, "FAILED", at, error=job.error)
    elif more:
        shop.agenda.put(at + _pause(shop), "bulk", number)
    else:
        _end(shop, job, "COMPLETED", at)


def _end(shop: Shop, job: Bulk, status: str, at: datetime, error: str | None = None) -> None:
    job.status, job.error, job.completed_at = status, error, at
    emit(shop, "bulk_operations/finish", (job.id,), at)


class _Slices:
    """Reads each root connection on from where the job has got to."""

    def __init__(self, job: Bulk) -> None:
        self._job = job

    def next(self, root: str, read: Callable[[str | None], Row]) -> Row:
        job = self._job
        if root in job.ended:
            return {"edges": [], "nodes": [], "pageInfo": {}}
        page = read(job.cursors.get(root))
        if page["edges"]:
            job.cursors[root] = page["edges"][-1]["cursor"]
        if not page["pageInfo"]["hasNextPage"]:
            job.ended.append(root)
        return page


def _slice(job: Bulk, call: Call) -> bool:
    """Writes a slice of a query's result. Whether there is more."""
    call.slices = _Slices(job)
    document = parse(job.text)
    result = execute(contract(), document, call, {})
    if result.errors:
        codes = {(error.extensions or {}).get("code") for error in result.errors}
        job.error = "ACCESS_DENIED" if "ACCESS_DENIED" in codes else "INTERNAL_SERVER_ERROR"
        return False
    data: Row = result.data or {}
    lists = {key for key, value in data.items() if isinstance(value, dict) and "edges" in value}
    roots: list[tuple[Row, str | None]] = []
    for key, value in data.items():
        if key in lists:
            roots += [(edge["node"], None) for edge in value["edges"]]
        elif isinstance(value, dict) and job.steps == 1:
            roots.append((value, None))
    job.roots += len(roots)
    _write(job, roots)
    return bool(lists - set(job.ended))


def _write(job: Bulk, nodes: list[tuple[Row, str | None]]) -> None:
    """Each a line of its own. Children come after their parent: right behind it where they are grouped, else after all of its kind."""
    below: list[tuple[Row, str | None]] = []
    for node, parent in nodes:
        lists = {name: value for name, value in node.items() if isinstance(value, dict) and "edges" in value}
        shown = {name: value for name, value in node.items() if name not in lists}
        if parent is not None:
            shown["__parentId"] = parent
        job.result.append(json.dumps(shown, ensure_ascii=False, separators=(",", ":")))
        job.objects += 1
        children = [(edge["node"], node.get("id")) for value in lists.values() for edge in value["edges"]]
        if job.group:
            _write(job, children)
        else:
            below += children
    if below:
        _write(job, below)


def _lines(shop: Shop, job: Bulk, call: Call) -> bool:
    """Does the mutation for the next part of the lines. Whether there are more."""
    lines = (shop.uploads.get(job.upload or "") or "").splitlines()
    size = -(-len(lines) // PARTS) or 1
    first = job.roots
    for number, line in enumerate(lines[first : first + size], first):
        try:
            variables = json.loads(line)
        except ValueError:
            job.error = "INTERNAL_SERVER_ERROR"
            return False
        result = execute(contract(), parse(job.text), call, variables if isinstance(variables, dict) else {})
        told: Row = {"data": result.data}
        if result.errors:
            told["errors"] = [{"message": error.message} for error in result.errors]
        job.result.append(json.dumps(told | {"__lineNumber": number}, ensure_ascii=False, separators=(",", ":")))
        job.roots += 1
        job.objects += 1
    return job.roots < len(lines)
