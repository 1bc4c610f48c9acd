"""An order of ours, read whole: how it stands, its parcels, and what became of it after all."""

from typing import TypeVar

from msgspec.structs import replace

from adapters.shopify import wire
from adapters.shopify.client import Client, UnfitError
from adapters.shopify.endpoints import (
    FULFILMENT_GET,
    FULFILMENT_IDS,
    FULFILMENT_LINES,
    FULFILMENT_ORDERS,
    ORDER_AFTERCARE,
    ORDER_BY_ID,
    ORDER_GET,
    ORDER_RETURNS,
    REFUND_GET,
    REFUND_IDS,
    REFUND_LINES,
    REFUND_SHIPPING,
    REFUND_TRANSACTIONS,
    RETURN_LINES,
    REVERSE_LINES,
    REVERSE_ORDERS,
    STANDING_LINES,
    Operation,
)
from adapters.shopify.inbound.paging import whole
from adapters.shopify.translate import aftercare, marks, reading
from engine.adapter import Heard
from engine.errors import UnavailableError
from schemas.commands import Lane
from schemas.events.aftercare import ShopReturnSeen
from schemas.events.orders import FULFILMENT_STATUSES
from schemas.values import Instant, TenantId

N = TypeVar("N")

REFUNDS_AT_FIRST = 3  # as OrderAftercare asks
MOST_REFUNDS = 250  # of one order: a list without a cursor. Admin API, Order.refunds, 2026-10


class Orders:
    """Reads an order of ours; of any other order nothing is kept. `key` is that of address digests."""

    def __init__(self, client: Client, tenant: TenantId, key: bytes) -> None:
        self._client, self._tenant, self._key = client, tenant, key

    async def facts(self, order: str, lane: Lane) -> list[Heard]:
        read_at = self._client.clock.now()
        try:
            return await _Reading(self._client, self._tenant, self._key, lane, read_at).of(order)
        except UnfitError as error:
            return [marks.unfit(self._tenant, order, error.field, read_at)]


class _Reading:
    """One reading of one order."""

    def __init__(self, client: Client, tenant: TenantId, key: bytes, lane: Lane, read_at: Instant) -> None:
        self._client, self._tenant, self._key, self._lane, self._read_at = client, tenant, key, lane, read_at

    async def of(self, order: str) -> list[Heard]:
        state = (await self._client.ask(ORDER_GET, {"id": order}, wire.orders.OrderNode[wire.orders.OrderState], lane=self._lane)).order
        if state is None:
            return []
        whose = marks.owner(state)
        if whose is None:
            return [await self._orphan(state)] if marks.marked(state) else []
        state = await self._standing(state)
        parcels = [await self._parcel(parcel) for parcel in await self._parcels(state)]
        try:
            seen = reading.order_seen(self._tenant, state, whose, self._read_at, self._key)
            # What is not packed any more is told before the order's end: else its units are paid back as those of a parcel.
            before = [reading.fulfilment_seen(self._tenant, parcel, whose) for parcel in parcels if parcel.status != "SUCCESS"]
            after = [reading.fulfilment_seen(self._tenant, parcel, whose) for parcel in parcels if parcel.status == "SUCCESS"]
            became = await self._aftercare(order, whose) if state.refunds or state.returns.nodes else []
            return [*before, seen, *after, *became]
        except ValueError as error:
            raise UnfitError("an amount cannot be read", field="money") from error

    async def _orphan(self, state: wire.orders.OrderState) -> Heard:
        order_id, holder = marks.attributes(state.custom_attributes).get(marks.ORDER), None
        if order_id and state.cancelled_at is None:
            found = await self._client.ask(ORDER_BY_ID, {"value": order_id}, wire.orders.OrderByIdentifier, lane=self._lane)
            holder = found.order_by_identifier
        return marks.orphan(self._tenant, state, holder, self._read_at)

    # ------------------------------------------------------------ as it stands

    async def _standing(self, state: wire.orders.OrderState) -> wire.orders.OrderState:
        async def lines(after: str | None) -> wire.frame.Page[wire.orders.StandingLine] | None:
            answer = await self._page(STANDING_LINES, state.id, after, wire.orders.OrderNode[wire.orders.StandingLines])
            return answer.order.line_items if answer.order else None

        async def parcels(after: str | None) -> wire.frame.Page[wire.orders.FulfillmentOrder] | None:
            answer = await self._page(FULFILMENT_ORDERS, state.id, after, wire.orders.OrderNode[wire.orders.FulfillmentOrders])
            return answer.order.fulfillment_orders if answer.order else None

        return replace(
            state,
            line_items=await whole(state.line_items, lines),
            fulfillment_orders=await whole(state.fulfillment_orders, parcels),
        )

    async def _parcels(self, state: wire.orders.OrderState) -> list[wire.orders.Fulfillment]:
        parcels = {parcel.id: parcel for parcel in state.fulfillments}
        if state.fulfillments_count is None or state.fulfillments_count.count > len(parcels):
            named = (await self._ask(FULFILMENT_IDS, state.id, wire.orders.OrderNode[wire.orders.FulfillmentRefs])).order
            for ref in named.fulfillments if named else ():
                if ref.id not in parcels:
                    node = await self._ask(FULFILMENT_GET, ref.id, wire.orders.FulfillmentNode[wire.orders.Fulfillment])
                    if node.fulfillment is not None:
                        parcels[ref.id] = node.fulfillment
        return [await self._surely(parcel) for parcel in parcels.values()]

    async def _surely(self, parcel: wire.orders.Fulfillment) -> wire.orders.Fulfillment:
        """Asked for once more where nobody knows its status: told wrongly for once, it would stay so until the next day's sweep."""
        if parcel.status in FULFILMENT_STATUSES:
            return parcel
        node = await self._ask(FULFILMENT_GET, parcel.id, wire.orders.FulfillmentNode[wire.orders.Fulfillment])
        return node.fulfillment or parcel

    async def _parcel(self, parcel: wire.orders.Fulfillment) -> wire.orders.Fulfillment:
        async def lines(after: str | None) -> wire.frame.Page[wire.orders.FulfillmentLine] | None:
            answer = await self._page(FULFILMENT_LINES, parcel.id, after, wire.orders.FulfillmentNode[wire.orders.FulfillmentLines])
            return answer.fulfillment.fulfillment_line_items if answer.fulfillment else None

        return replace(parcel, fulfillment_line_items=await whole(parcel.fulfillment_line_items, lines))

    # ------------------------------------------------------------ what became of it

    async def _aftercare(self, order: str, whose: reading.Owner) -> list[Heard]:
        after = (await self._ask(ORDER_AFTERCARE, order, wire.orders.OrderNode[wire.returns.OrderAftercare])).order
        if after is None:
            raise UnavailableError("an order is gone while it is read", endpoint=ORDER_AFTERCARE.name)

        async def further(cursor: str | None) -> wire.frame.Page[wire.returns.Return] | None:
            answer = await self._page(ORDER_RETURNS, order, cursor, wire.orders.OrderNode[wire.returns.OrderReturns])
            return answer.order.returns if answer.order else None

        heard: list[Heard] = []
        returns: dict[str, ShopReturnSeen] = {}
        for goods in (await whole(after.returns, further)).nodes:
            seen = aftercare.return_seen(self._tenant, await self._return(goods), whose, self._read_at)
            assert isinstance(seen.fact.event, ShopReturnSeen)
            returns[goods.id] = seen.fact.event
            heard.append(seen)
        refunds = [await self._refund(refund) for refund in await self._refunds(after)]
        return heard + [aftercare.refund_seen(self._tenant, refund, after, whose, returns) for refund in refunds]

    async def _refunds(self, after: wire.returns.OrderAftercare) -> list[wire.refunds.Refund]:
        refunds = {refund.id: refund for refund in after.refunds}
        if len(refunds) < REFUNDS_AT_FIRST:
            return list(refunds.values())
        named = (await self._ask(REFUND_IDS, after.id, wire.orders.OrderNode[wire.refunds.RefundNotes])).order
        if named is not None and len(named.refunds) >= MOST_REFUNDS:
            raise UnfitError("more refunds than Shopify lists", field="order.refunds")
        for ref in named.refunds if named else ():
            if ref.id not in refunds:
                node = await self._ask(REFUND_GET, ref.id, wire.refunds.RefundNode[wire.refunds.Refund])
                if node.refund is not None:
                    refunds[ref.id] = node.refund
        return list(refunds.values())

    async def _refund(self, refund: wire.refunds.Refund) -> wire.refunds.Refund:
        async def lines(after: str | None) -> wire.frame.Page[wire.refunds.RefundLine] | None:
            answer = await self._page(REFUND_LINES, refund.id, after, wire.refunds.RefundNode[wire.refunds.RefundLines])
            return answer.refund.refund_line_items if answer.refund else None

        async def shipping(after: str | None) -> wire.frame.Page[wire.refunds.RefundShipping] | None:
            answer = await self._page(REFUND_SHIPPING, refund.id, after, wire.refunds.RefundNode[wire.refunds.RefundShippings])
            return answer.refund.refund_shipping_lines if answer.refund else None

        async def transactions(after: str | None) -> wire.frame.Page[wire.refunds.Transaction] | None:
            answer = await self._page(REFUND_TRANSACTIONS, refund.id, after, wire.refunds.RefundNode[wire.refunds.RefundTransactions])
            return answer.refund.transactions if answer.refund else None

        return replace(
            refund,
            refund_line_items=await whole(refund.refund_line_items, lines),
            refund_shipping_lines=await whole(refund.refund_shipping_lines, shipping),
            transactions=await whole(refund.transactions, transactions),
        )

    async def _return(self, goods: wire.returns.Return) -> wire.returns.Return:
        async def lines(after: str | None) -> wire.frame.Page[wire.returns.ReturnLine] | None:
            answer = await self._page(RETURN_LINES, goods.id, after, wire.returns.ReturnNode[wire.returns.ReturnLines])
            return answer.return_.return_line_items if answer.return_ else None

        async def ways_back(after: str | None) -> wire.frame.Page[wire.returns.ReverseOrder] | None:
            answer = await self._page(REVERSE_ORDERS, goods.id, after, wire.returns.ReturnNode[wire.returns.ReverseOrders])
            return answer.return_.reverse_fulfillment_orders if answer.return_ else None

        coming = await whole(goods.reverse_fulfillment_orders, ways_back)
        coming = replace(coming, nodes=[await self._way_back(one) for one in coming.nodes])
        return replace(goods, return_line_items=await whole(goods.return_line_items, lines), reverse_fulfillment_orders=coming)

    async def _way_back(self, coming: wire.returns.ReverseOrder) -> wire.returns.ReverseOrder:
        async def lines(after: str | None) -> wire.frame.Page[wire.returns.ReverseLine] | None:
            answer = await self._page(REVERSE_LINES, coming.id, after, wire.returns.ReverseNode)
            return answer.reverse_fulfillment_order.line_items if answer.reverse_fulfillment_order else None

        return replace(coming, line_items=await whole(coming.line_items, lines))

    # ------------------------------------------------------------ asking

    async def _ask(self, operation: Operation, gid: str, answer: type[N]) -> N:
        return await self._client.ask(operation, {"id": gid}, answer, lane=self._lane)

    async def _page(self, operation: Operation, gid: str, after: str | None, answer: type[N]) -> N:
        return await self._client.ask(operation, {"id": gid, "after": after}, answer, lane=self._lane)
