"""mirakl-lib against the address in MARKETPLACE: lists the orders that wait, accepts the first. Prints what it saw as JSON."""

import json
import os

from mirakl_lib import MiraklClientProvider

provider = MiraklClientProvider(["asos"], lambda name: (os.environ["MARKETPLACE"], os.environ["KEY"]))
client = provider.get_client("asos")
waiting = client.get_orders(offset=0, size=100, status="WAITING_ACCEPTANCE")
first = waiting.orders[0]
client.accept_order(first.order_id, [line.order_line_id for line in first.order_lines])
[accepted] = client.get_bulk_order_ids([first.order_id]).orders
print(json.dumps({"waiting": [order.order_id for order in waiting.orders], "more": waiting.has_more, "accepted": accepted.order_state}))
