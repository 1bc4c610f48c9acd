"""Bulk operations, and the lines of their results."""

from msgspec import UNSET, UnsetType, field

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
    root_object_count: str = "0"  # an UnsignedInt64; so far


class BulkGet(Wire, frozen=True):
    bulk_operation: BulkOperation | None


class BulkOrder(Wire, frozen=True):
    """One line of BulkOrders."""

    id: str
    updated_at: Zoned
    cancelled_at: Zoned | None
    display_fulfillment_status: str
    return_status: str


class BulkLine(Wire, frozen=True):
    """What every line of a grouped result tells."""

    id: str
    parent: str | UnsetType = field(name="__parentId", default=UNSET)  # unset: it is below nothing
    kind: str = field(name="__typename", default="")


class BulkItem(Wire, frozen=True):
    """A line of BulkItems; its variants and levels follow."""

    id: str
    sku: str | None
    tracked: bool
    duplicate_sku_count: int
