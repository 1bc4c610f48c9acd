"""What holds in a shop whatever its app, its people and its carriers do, and in whatever order."""

import contextlib
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ops.sandbox.shopify import totals
from ops.sandbox.shopify.routing import ALIVE
from ops.sandbox.shopify.sales import FulfillmentOrder, Line, Order
from ops.sandbox.wire import RefusalError
from tests.unit.sandbox.desk import line, money
from tests.unit.sandbox.storefront import Storefront

Deed = tuple[str, int, int]  # its name, which one, how many


class Ledger:
    """Units that came from outside and units that went there, as the shop is told of them."""

    def __init__(self, shop: Storefront) -> None:
        self.shop = shop
        self.counted = self.on_hand()

    def on_hand(self) -> int:
        return sum(level.on_hand for levels in self.shop.shop.levels.values() for level in levels.values())

    def away(self) -> int:
        """Units that left the stock for an order and are not back, and those that were thrown away."""
        return sum(one.off_shelf + one.written_off for order in self.shop.shop.orders.values() for one in order.lines)


def place_order(shop: Storefront, n: int, quantity: int) -> None:
    paid = [{"gateway": "asos Marketplace", "amountSet": money(f"{24 * quantity * 2}.00")}]
    lines = [line(shop, one % 4, quantity=quantity) for one in (n, n + 1)]
    behaviour = ("BYPASS", "DECREMENT_IGNORING_POLICY", "DECREMENT_IGNORING_POLICY")[n % 3]
    shop.create(options={"inventoryBehaviour": behaviour}, lineItems=lines, transactions=paid)


def transfer(shop: Storefront, n: int, quantity: int) -> None:
    origin, destination = list(shop.shop.locations)[:: 1 if n % 2 else -1]
    shop.staff("staffTransfer", sku=shop.sku(n % 4), origin=origin, destination=destination, quantity=quantity)


def set_aside(shop: Storefront, n: int, quantity: int) -> None:
    shop.staff("staffSetAside", sku=shop.sku(n % 4), name=("damaged", "reserved")[n % 2], quantity=quantity - 2)


ANYTIME: dict[str, Callable[[Storefront, int, int], Any]] = {
    "order": place_order,
    "website": lambda shop, n, quantity: shop.world.buy(shop.clock.at, website=True),
    "wait": lambda shop, n, quantity: shop.later(quantity),
    "transfer": transfer,
    "set_aside": set_aside,
}


def change(shop: Storefront, order: Order, first: Line, difference: int) -> Any:
    return shop.staff("staffEdit", order=order.id, quantities={str(first.id): max(0, first.current + difference)})


def refund(shop: Storefront, order: Order, first: Line, quantity: int, *, restock: bool) -> Any:
    units = [[first.id, min(quantity, first.current)]]
    return shop.staff("staffRefund", order=order.id, lines=units, restock=restock, amount=None if quantity % 2 else 0)


TO_ORDERS: dict[str, Callable[[Storefront, Order, Line, int], Any]] = {
    "cancel": lambda shop, order, first, q: shop.staff("staffCancel", order=order.id, restock=q % 2 == 0, refund=q % 3 == 0),
    "refund_restocked": lambda shop, order, first, q: refund(shop, order, first, q, restock=True),
    "refund_kept": lambda shop, order, first, q: refund(shop, order, first, q, restock=False),
    "refund_money": lambda shop, order, first, q: shop.staff("staffRefund", order=order.id, amount=q * 100),
    "return": lambda shop, order, first, q: shop.staff("staffReturn", order=order.id, lines=[[first.id, q]], requested=q == 1),
    "grow": change,
    "shrink": lambda shop, order, first, q: change(shop, order, first, -q),
    "unfulfil": lambda shop, order, first, q: shop.staff("staffUnfulfil", fulfillment=order.fulfillments[q % len(order.fulfillments)]),
    "process": lambda shop, order, first, q: shop.staff(
        "staffProcessReturn", number=order.returns[q % len(order.returns)], disposition=("RESTOCKED", "MISSING")[q % 2], refund=q < 4
    ),
    "approve": lambda shop, order, first, q: shop.staff("staffApproveReturn", number=order.returns[q % len(order.returns)]),
    "cancel_return": lambda shop, order, first, q: shop.staff("staffCancelReturn", number=order.returns[q % len(order.returns)]),
    "close_return": lambda shop, order, first, q: shop.staff("staffCloseReturn", number=order.returns[q % len(order.returns)]),
}


def some(parcel: FulfillmentOrder, quantity: int) -> list[list[int]]:
    return [[one.id, min(quantity, one.remaining)] for one in parcel.lines if one.remaining][:1]


def move(shop: Storefront, parcel: FulfillmentOrder, quantity: int) -> None:
    there = next(place for place in shop.shop.locations if place != parcel.location_id)
    shop.staff("staffMove", parcel=parcel.id, location=there, lines=some(parcel, quantity) if quantity % 2 else None)


def merge(shop: Storefront, parcel: FulfillmentOrder, quantity: int) -> None:
    others = shop.shop.orders[parcel.order_id].fulfillment_orders
    shop.staff("staffMerge", parcels=[parcel.id, *(other for other in others if other != parcel.id)])


TO_PARCELS: dict[str, Callable[[Storefront, FulfillmentOrder, int], Any]] = {
    "fulfil": lambda shop, parcel, q: shop.staff("staffFulfil", parcel=parcel.id),
    "part": lambda shop, parcel, q: shop.staff("staffFulfil", parcel=parcel.id, lines=some(parcel, q)),
    "hold": lambda shop, parcel, q: shop.staff("staffHold", parcel=parcel.id, lines=some(parcel, q) if q % 2 else None),
    "release": lambda shop, parcel, q: shop.staff("staffRelease", parcel=parcel.id),
    "move": move,
    "split": lambda shop, parcel, q: shop.staff("staffSplit", parcel=parcel.id, lines=some(parcel, q)),
    "merge": merge,
}


def do(shop: Storefront, ledger: Ledger, deed: Deed) -> None:
    """What cannot be is refused, which is an answer too; what there is nothing for is let be."""
    name, n, quantity = deed
    orders = list(shop.shop.orders.values())
    if name in ANYTIME:
        ANYTIME[name](shop, n, quantity)
    elif name == "count":
        ledger.counted += shop.staff("stock", sku=shop.sku(n % 4), quantity=quantity)
    elif name in TO_ORDERS:
        order = orders[n % len(orders)]
        needs = {"unfulfil": order.fulfillments}.get(name, order.returns if name in ("process", "approve") or "_return" in name else [0])
        if needs:
            TO_ORDERS[name](shop, order, order.lines[quantity % len(order.lines)], quantity)
    elif parcels := orders[n % len(orders)].fulfillment_orders:
        TO_PARCELS[name](shop, shop.shop.fulfillment_orders[parcels[quantity % len(parcels)]], quantity)


def check(shop: Storefront, ledger: Ledger) -> None:
    promised: dict[tuple[int | None, int | None], int] = {}
    for order in shop.shop.orders.values():
        parcels = [shop.shop.fulfillment_orders[number] for number in order.fulfillment_orders]
        for one in order.lines:
            waiting = [row for parcel in parcels for row in parcel.lines if row.line_id == one.id]
            assert 0 <= one.fulfilled <= one.quantity - one.cancelled, "no more leaves than is wanted"
            assert 0 <= one.returned <= one.fulfilled and 0 <= one.current <= one.quantity, "no more comes back than left"
            shipped = [row for number in order.fulfillments for row in shop.shop.fulfillments[number].lines if row.line_id == one.id]
            assert sum(row.quantity for row in shipped) == sum(row.total - row.remaining for row in waiting), "what left is what is gone"
            if order.routed:
                assert sum(row.remaining for row in waiting) == one.unfulfilled, "what waits is what the line says"
                assert sum(row.claimed for row in waiting) == one.claimed <= one.unfulfilled
                for row in waiting:
                    assert 0 <= row.claimed <= row.remaining <= row.total
                    if row.claimed:
                        key = (one.item_id, row.claimed_at)
                        promised[key] = promised.get(key, 0) + row.claimed
            elif one.claimed:
                key = (one.item_id, one.location_id)
                promised[key] = promised.get(key, 0) + one.claimed
        for parcel in parcels:
            assert (parcel.status in ALIVE) == (parcel.remaining > 0), parcel.status
            assert (parcel.status == "ON_HOLD") == bool(parcel.holds)
        assert totals.refunded(order, with_pending=True).shop <= totals.received(order).shop, "no more goes back than was paid"
        assert totals.outstanding(shop.shop, order).shop == totals.outstanding(shop.shop, order).presentment
        refunds = [shop.shop.refunds[number] for number in order.refunds]
        for one in order.lines:
            told = [row for refund_ in refunds for row in refund_.lines if row.line_id == one.id]
            assert sum(row.quantity for row in told) == one.refunded
            assert sum(row.quantity for row in told if row.restock_type == "RETURN") <= one.returned
    committed = {
        (item, place): level.committed for item, levels in shop.shop.levels.items() for place, level in levels.items() if level.committed
    }
    assert committed == promised, "what is committed is what orders claim, at each place"
    assert ledger.on_hand() + ledger.away() == ledger.counted, "no unit is lost or made"


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.sampled_from([*ANYTIME, *TO_ORDERS, *TO_PARCELS, *TO_PARCELS, "count"]), st.integers(0, 11), st.integers(1, 5)),
        min_size=5,
        max_size=60,
    ),
    st.integers(0, 99),
    st.sampled_from(["routed", "first"]),
)
def test_units_and_money_stay_as_many_as_they_were(deeds: list[Deed], seed: int, claims_at: str) -> None:
    shop = Storefront(skus=4, seed=seed, claims_at=claims_at, cancel_delay=1.0, routing_delay=2.0)
    ledger = Ledger(shop)
    for n in range(2):
        place_order(shop, n, n + 3)
    shop.later(2)
    for deed in deeds:
        with contextlib.suppress(RefusalError):
            do(shop, ledger, deed)
        check(shop, ledger)
    shop.later(60)
    check(shop, ledger)
