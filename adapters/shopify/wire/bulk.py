"""Bulk operations, and the lines of their results."""

from adapters.shopify.wire.frame import Ref, UserError, Wire, Zoned


class BulkRef(Wire, frozen=True):
    bulk_operation: Ref | None
    user_errors: list[UserError]


class BulkRun(Wire, frozen=True):
    bulk_operation_run_query: BulkRef


class BulkOperation(Wire, frozen=True):
    id: str
    status: str
    error_code: str | None
    url: str | None


class BulkGet(Wire, frozen=True):
    bulk_operation: BulkOperation | None


class BulkOrder(Wire, frozen=True):
    """One line of the result."""

    id: str
    updated_at: Zoned
    cancelled_at: Zoned | None
    display_fulfillment_status: str
    return_status: str
