"""What Shopify sends, field for field: GraphQL answers as our documents select them, and of webhook bodies what says whom they are about.

Ids and money are text or whole numbers, never floats. Values of open lists (states) are text: a new one never breaks a decode.
"""

from adapters.shopify.wire import bulk, frame, orders, refunds, returns, shop, stock, webhooks

__all__ = ["bulk", "frame", "orders", "refunds", "returns", "shop", "stock", "webhooks"]
