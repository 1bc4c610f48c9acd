"""Bulk operations: begun, and looked after until they have ended. One runs on its own for as long as it likes, and costs no points."""

from adapters.shopify import wire
from adapters.shopify.client import TARGET, Client, insist
from adapters.shopify.endpoints import BULK_GET, BULK_RUN
from engine.errors import RejectedError

_RUNNING = frozenset({"CREATED", "RUNNING", "CANCELING"})


async def begin(client: Client, query: str, *, group: bool = False) -> str | None:
    """The operation's id; None: others run theirs, and five at once are all there can be. `group`: children right behind their parent."""
    payload = (await client.ask(BULK_RUN, {"query": query, "group": group}, wire.bulk.BulkRun)).bulk_operation_run_query
    if payload.user_errors and payload.user_errors[0].code in ("OPERATION_IN_PROGRESS", "LIMIT_REACHED"):
        return None
    insist(BULK_RUN, payload.user_errors)
    if payload.bulk_operation is None:
        raise RejectedError("neither an operation nor a refusal", target=TARGET, endpoint=BULK_RUN.name)
    return payload.bulk_operation.id


async def stands(client: Client, operation: str) -> wire.bulk.BulkOperation | None:
    """How it stands; None: nobody knows of it any more."""
    return (await client.ask(BULK_GET, {"id": operation}, wire.bulk.BulkGet)).bulk_operation


def is_running(found: wire.bulk.BulkOperation | None) -> bool:
    return found is not None and found.status in _RUNNING
