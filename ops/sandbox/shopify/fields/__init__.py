"""What each GraphQL field answers. A field that is in no table here, though the schema has it, answers that it is not simulated."""

from ops.sandbox.shopify.fields import bulk, fulfilment, nodes, orders, refunds, returns, shop, stock
from ops.sandbox.shopify.fields.table import FIELDS, Call

__all__ = ["FIELDS", "Call", "bulk", "fulfilment", "nodes", "orders", "refunds", "returns", "shop", "stock"]
