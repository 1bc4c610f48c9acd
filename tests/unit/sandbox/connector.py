"""A connector of forty lines that does everything right, as long as nothing goes wrong: for whoever judges connectors."""

from typing import Any

from ops.sandbox.mirakl.sale import Line, Order
from ops.sandbox.money import rest_text
from tests.unit.sandbox.desk import DEFINE, DEFINITION, Desk, marketplace_id


class Connector:
    def __init__(self, desk: Desk, buffer: int = 0) -> None:
        self.desk, self.buffer = desk, buffer
        desk.data(DEFINE, definition=DEFINITION)

    def bring_round(self, *orders: str) -> None:
        """From the marketplace to Shopify, out of the door, and back again."""
        desk = self.desk
        for order in orders:
            assert desk.accept(order).status == 204
        desk.later(120)
        for order in orders:
            self.create(order)
        desk.later(10)
        desk.world.apply("actors.hurry", {}, desk.clock.at)
        desk.later(1)
        for order in orders:
            self.tell_shipped(order)
        self.publish()
        desk.later(60)

    def go_round(self) -> None:
        """Whatever there is to be done now, for all orders; refunds and returns are left to others."""
        copies = {field.value: copy for copy in self.desk.shop.orders.values() for field in copy.metafields}
        for order in list(self.desk.world.account.orders.values()):
            copy = copies.get(order.id)
            if order.state == "WAITING_ACCEPTANCE":
                self.desk.accept(order.id)
            elif order.state == "SHIPPING" and copy is None:
                self.create(order.id)
            elif order.state == "SHIPPING" and copy is not None and copy.fulfillments and not any(line.unfulfilled for line in copy.lines):
                self.tell_shipped(order.id)
            elif not order.alive and copy is not None and copy.cancelled_at is None:
                self.desk.world.apply("shopify.staffCancel", {"order": copy.id}, self.desk.clock.at)

    def create(self, order_id: str, **changed: Any) -> int:
        order, shop = self.desk.world.account.orders[order_id], self.desk.shop
        taken = sum(line.shipping_price for line in order.alive)
        wanted: dict[str, Any] = {
            "currency": order.currency,
            "taxesIncluded": True,
            "lineItems": [self._line(order, line) for line in order.alive],
            "shippingLines": [{"title": "Standard", "priceSet": _money(taken, order.currency)}],
            "taxLines": [
                {"title": tax.code, "rate": str(float(tax.rate) / 100), "priceSet": _money(tax.amount, order.currency)}
                for line in order.alive
                for tax in [*line.taxes, *line.shipping_taxes]
            ],
            "shippingAddress": {
                "firstName": order.buyer.first_name,
                "lastName": order.buyer.last_name,
                "address1": order.buyer.street_1,
                "city": order.buyer.city,
                "zip": order.buyer.zip_code,
                "countryCode": order.buyer.alpha_2,
            },
            "metafields": marketplace_id(order_id),
        }
        made = self.desk.create(**wanted | changed)
        assert made["userErrors"] == [], made
        return list(shop.orders)[-1]

    def _line(self, order: Order, line: Line) -> dict[str, Any]:
        known = self.desk.shop.skus.get(line.offer_sku)  # it may have been renamed
        what = {"variantId": f"gid://shopify/ProductVariant/{known[0]}"} if known else {"title": line.title, "sku": line.offer_sku}
        return what | {
            "quantity": line.quantity,
            "requiresShipping": True,
            "priceSet": _money(line.unit_price, order.currency),
        }

    def tell_shipped(self, order_id: str) -> None:
        [copy] = [each for each in self.desk.shop.orders.values() if any(field.value == order_id for field in each.metafields)]
        parcel = self.desk.shop.fulfillments[copy.fulfillments[-1]]
        tracking = {"carrier_name": parcel.company or "Other", "tracking_number": next(iter(parcel.numbers), "unknown")}
        assert self.desk.mirakl("PUT", f"/api/orders/{order_id}/tracking", tracking).status == 204
        assert self.desk.mirakl("PUT", f"/api/orders/{order_id}/ship").status == 204

    def publish(self) -> None:
        """All there is, less the buffer."""
        rows = ""
        for sku in self.desk.world.account.offers:
            levels = self.desk.shop.levels[self.desk.shop.variants[self.desk.shop.skus[sku][0]].item_id].values()
            rows += f'"{sku}";{max(0, sum(level.available for level in levels) - self.buffer)}\n'
        assert self.desk.mirakl("POST", "/api/offers/stock/imports", csv=f"offer-sku;quantity\n{rows}").status == 201


def _money(amount: int, currency: str) -> dict[str, Any]:
    return {"shopMoney": {"amount": rest_text(amount, currency), "currencyCode": currency}}
