"""Both sides' people at work on the same orders at once: what they do is drawn, when they do it too; what cannot be is refused them."""

import random
from collections.abc import Callable, Mapping

import anyio

from ops.sandbox.mirakl.registry import RETURN_REASONS
from ops.sandbox.mirakl.sale import Order as MarketOrder
from ops.sandbox.shopify.sales import Order as ShopOrder
from ops.sandbox.wire import RefusalError
from tests.house import House

PAUSES = (0.0, 0.0, 0.0, 5.0, 20.0, 60.0, 90.0, 300.0)  # seconds between two acts on one order; at once, as often as not


class Hands:
    """Everybody who touches one order. `done` is what they did, for whoever wants to know why it went wrong."""

    def __init__(self, built: House, order_id: str, chance: random.Random) -> None:
        self._built, self._order_id, self._chance = built, order_id, chance
        self.done: list[str] = []
        self.acts: Mapping[str, tuple[int, Callable[[], None]]] = {
            "cancel in Shopify": (2, self._cancel),
            "refund units in Shopify": (3, self._refund_units),
            "refund all in Shopify": (2, self._refund_all),
            "refund an amount in Shopify": (1, self._refund_amount),
            "refund the shipping in Shopify": (1, self._refund_shipping),
            "take a return in Shopify": (2, self._take_return),
            "move it in Shopify": (1, self._move),
            "send all": (3, self._send_all),
            "send a unit": (2, self._send_unit),
            "cancel there": (2, self._cancel_there),
            "cancel units there": (1, self._cancel_units_there),
            "refund there": (3, self._refund_there),
            "give units up there": (1, self._give_up_there),
            "ask for a return there": (2, self._return_there),
            "ship there": (1, self._ship_there),
        }

    @property
    def there(self) -> MarketOrder:
        return self._built.sandbox.world.account.orders[self._order_id]

    @property
    def here(self) -> ShopOrder | None:
        return next((order for order in self._built.ours() if order.source_identifier == self._order_id), None)

    async def work(self, times: int) -> None:
        """So many acts, one after the other; then the warehouse sends what is still to be sent."""
        names = list(self.acts)
        weights = [weight for weight, _ in self.acts.values()]
        if self._chance.random() < 0.85:  # else somebody may act before it has come over
            await self._built.until(lambda: self.here is not None and self.here.fulfillment_orders, f"{self._order_id} in Shopify")
        for _ in range(times):
            await self._built.clock.sleep(self._chance.choice(PAUSES))
            self.try_to(self._chance.choices(names, weights)[0])
        await self._built.clock.sleep(self._chance.choice((60.0, 300.0, 900.0)))
        self.try_to("send all")

    def try_to(self, what: str) -> None:
        try:
            self.acts[what][1]()
        except RefusalError as refused:
            self._note(f"{what}: refused, {refused}")
        except LookupError:
            self._note(f"{what}: there is nothing to do it with")
        else:
            self._note(what)

    def _note(self, what: str) -> None:
        self.done.append(f"{self._built.clock.now():%H:%M:%S} {what}")

    # ------------------------------------------------------------ Shopify

    def _shop(self) -> ShopOrder:
        if (found := self.here) is None:
            raise LookupError
        return found

    def _cancel(self) -> None:
        restock = self._chance.random() < 0.7
        self._built.act("shopify", "staffCancel", order=self._shop().id, reason="CUSTOMER", restock=restock)

    def _refund_units(self) -> None:
        order = self._shop()
        line = self._chance.choice([line for line in order.lines if line.current > 0])
        units = self._chance.randint(1, line.current)
        restock = self._chance.random() < 0.6
        self._built.act("shopify", "staffRefund", order=order.id, lines=[(line.id, units)], restock=restock)

    def _refund_all(self) -> None:
        order = self._shop()
        lines = [(line.id, line.current) for line in order.lines if line.current > 0]
        shipping = sum(line.price.presentment for line in order.shipping_lines)
        back = self._built.sandbox.world.shop.refunds
        left = shipping - sum(back[number].shipping.presentment for number in order.refunds)
        restock = self._chance.random() < 0.6
        self._built.act("shopify", "staffRefund", order=order.id, lines=lines, restock=restock, shipping=max(0, left))

    def _refund_amount(self) -> None:
        order = self._shop()
        amount = self._chance.randint(1, max(1, order.lines[0].price.presentment // 2))
        self._built.act("shopify", "staffRefund", order=order.id, amount=amount, note="A gesture")

    def _refund_shipping(self) -> None:
        order = self._shop()
        self._built.act("shopify", "staffRefund", order=order.id, shipping=order.shipping_lines[0].price.presentment, restock=False)

    def _take_return(self) -> None:
        """Asked for, and come back as soon."""
        order = self._shop()
        line = self._chance.choice([line for line in order.lines if line.fulfilled > line.returned])
        number = self._built.act("shopify", "staffReturn", order=order.id, lines=[(line.id, 1)])
        self._built.act("shopify", "staffProcessReturn", number=number)

    def _move(self) -> None:
        order = self._shop()
        address = (order.shipping_address or {}) | {"address1": "7 Other Street"}
        self._built.act("shopify", "staffEdit", order=order.id, address=address)

    def _waiting(self) -> list[int]:
        shop = self._built.sandbox.world.shop
        return [number for number in self._shop().fulfillment_orders if shop.fulfillment_orders[number].remaining]

    def _tracking(self) -> dict[str, str | None]:
        number = f"RM{self._chance.randrange(10**9):09d}GB"
        return {"company": "Royal Mail", "number": number, "url": None}

    def _send_all(self) -> None:
        if not (waiting := self._waiting()):
            raise LookupError
        for number in waiting:
            self._built.act("shopify", "staffFulfil", parcel=number, tracking=self._tracking())

    def _send_unit(self) -> None:
        number = self._chance.choice(self._waiting())
        parcel = self._built.sandbox.world.shop.fulfillment_orders[number]
        line = self._chance.choice([line for line in parcel.lines if line.remaining])
        self._built.act("shopify", "staffFulfil", parcel=number, lines=[(line.id, 1)], tracking=self._tracking())

    # ------------------------------------------------------------ the marketplace

    def _line_there(self) -> str:
        return self._chance.choice(self.there.lines).id

    def _cancel_there(self) -> None:
        self._built.act("mirakl", self._chance.choice(("operator_cancel", "customer_cancel")), order_id=self._order_id)

    def _cancel_units_there(self) -> None:
        self._built.act("mirakl", "operator_cancel_line", order_line_id=self._line_there(), quantity=1)

    def _refund_there(self) -> None:
        share = self._chance.choice((0.0, 0.1, 0.5, 1.0, 1.0))
        shipping = share == 0.0 or self._chance.random() < 0.5
        self._built.act("mirakl", "operator_refund", order_line_id=self._line_there(), share=share, shipping=shipping)

    def _give_up_there(self) -> None:
        """Paid back, and not to be shipped."""
        line = self._chance.choice(self.there.lines)
        share = 1.0 if line.quantity == 1 else 0.5
        self._built.act("mirakl", "operator_refund", order_line_id=line.id, share=share, shipping=False, quantity=1, excluded=True)

    def _return_there(self) -> None:
        """It has arrived, and does not please."""
        self._built.act("mirakl", "customer_receives", order_id=self._order_id)
        line = self._chance.choice([line for line in self.there.lines if line.shipped])
        back = {"order_line_id": line.id, "quantity": 1, "reason_code": RETURN_REASONS[0]}
        asked = {"order_commercial_id": self.there.commercial_id, "method_code": "RETURN_METHOD_BY_MAIL", "return_lines": [back]}
        self._built.act("mirakl", "request_return", returns=[asked])

    def _ship_there(self) -> None:
        self._built.act("mirakl", "operator_ship", order_id=self._order_id)


async def all_at_once(built: House, orders: list[str], seed: int) -> dict[str, Hands]:
    """Everybody works on all of these orders at the same time."""
    hands = {order: Hands(built, order, random.Random(f"{seed}:{place}")) for place, order in enumerate(orders)}
    async with anyio.create_task_group() as group:
        for place, one in enumerate(hands.values()):
            group.start_soon(one.work, random.Random(f"{seed}:{place}:times").randint(1, 5))
    return hands
