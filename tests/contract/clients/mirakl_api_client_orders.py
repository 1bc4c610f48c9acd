"""mirakl-api-client against the host in MARKETPLACE: accepts an order, tracks it, ships it, pushes stock. Prints what it saw as JSON."""

import json
import os
import time

from mirakl_api_client.client import MirakleClient
from mirakl_api_client.resources import OffersImportsPool

client = MirakleClient(os.environ["MARKETPLACE"], os.environ["KEY"])


def orders(**asked):
    answer = client.orders.fetch_list(asked)
    answer.raise_for_status()
    return answer.json()["orders"]


[order] = orders(max=1, order_state_codes="WAITING_ACCEPTANCE")
order_id = order["order_id"]
lines = [{"id": line["order_line_id"], "accepted": True} for line in order["order_lines"]]
steps = [client.orders.accept(order_id).update_create_item({"order_lines": lines})]
for _ in range(50):  # until it is paid for
    if orders(order_ids=order_id)[0]["order_state"] == "SHIPPING":
        break
    time.sleep(0.1)
steps.append(client.orders.tracking(order_id).update_create_item({"carrier_code": "RM", "tracking_number": "AB123456789GB"}))
steps.append(client.orders.ship(order_id).update_create_item({}))

account = client.accounts.fetch_list().json()
carriers = client.shipping.carriers.fetch_list().json()["carriers"]
[offer] = client.offers.fetch_list({"max": 1}).json()["offers"]
# It knows OF01 alone by name; STO01 is a resource of the same kind at an address beside it.
stock = OffersImportsPool(client.offers.get_url() + "/stock/imports", client.offers._session)
rows = f'"offer-sku";"quantity"\r\n"{offer["shop_sku"]}";"41"\r\n'
imported = stock.create_item({}, files={"file": ("stock.csv", rows, "text/csv")})
steps.append(imported)
print(
    json.dumps(
        {
            "order": order_id,
            "answers": [answer.status_code for answer in steps],
            "state": orders(order_ids=order_id)[0]["order_state"],
            "sku": offer["shop_sku"],
            "import": imported.json()["import_id"],
            "shop": account["shop_id"],
            "carriers": len(carriers),
        }
    )
)
