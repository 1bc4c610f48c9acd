"""Every change that a shop knows, by its name, and what happens by itself when it falls due.

What an app asks for, named as its GraphQL mutation (arguments as these take them), and what the world itself does:

    checkout                lines [[sku, quantity]], address, email, test?       a buyer on the website; answers the order's number or None
    webhookDelivered, webhookNotDelivered    delivery                     what came of a webhook
    webhookHeld, webhookRepeated, webhookLost    delivery, seconds?, fresh?     what somebody on the way has done to one

What people do in the admin, by number (`[[…, quantity]]` are pairs), each with what it answers; an argument with ? may be left out.
POST /sandbox/act takes global ids for the numbers:

    staffCancel             order, reason?, restock?, refund?             job
    staffRefund             order, lines? [[line, quantity]], restock?, amount?, shipping?, note?, location?      refund
                            amount in minor units: left out, as suggested; alone, money only; 0 with lines, goods only
    staffReturn             order, lines [[line, quantity]], reason? 1-10, note?, requested?                      return
    staffApproveReturn      number          staffDeclineReturn   number, reason? note?        staffCloseReturn    number
    staffCancelReturn       number          staffReopenReturn    number
    staffReduceReturn       number, line, quantity                        fewer come back than was said
    staffProcessReturn      number, lines? [[return line, quantity]], disposition?, refund?, location?            return
    staffEdit               order, quantities? {line: wanted}, add? [[sku, quantity]], address?, restock?         edit
    staffMarkPaid           order           staffClose           order            staffDelete         order
    staffTag                order, tags     staffUntag           order, tags
    staffHold               parcel, reason?, notes?, lines? [[parcel line, quantity]]                             hold
    staffRelease            parcel          staffMove            parcel, location, lines?     staffSplit          parcel, lines
    staffMerge              parcels         staffSchedule        parcel, until (None: now)
    staffFulfil             parcel, lines?, tracking? {company, number, url}                                      fulfilment
    staffUnfulfil           fulfillment     staffTrack           fulfillment, tracking
    carrierEvent            fulfillment, status (IN_TRANSIT, DELIVERED …)                                         event
    stock                   sku, quantity, location?                      counted: for sale there is now this much; the difference
    staffSetAside           sku, name (damaged, reserved …), quantity, location?
    staffTransfer           sku, origin, destination, quantity            staffDisconnect      sku, location
    staffProduct            product, status (ACTIVE, ARCHIVED, DRAFT)     staffRename          variant, sku
    staffDeleteVariant      variant         staffTrackItem       variant, tracked             staffPolicy         variant, policy
    staffLocation           location, active?, online?
    settleRefund            order, transaction, status?                   pending money has moved, or has not
    scopes                  scopes          uninstall            (nothing)        privacyAddress      uri (None: nowhere)
    dataRequest             order           redact               order            the privacy topics of that order's buyer

`parcel` is a fulfilment order. What cannot be raises RefusedError and changes nothing.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

from ops.sandbox.shopify import (
    access,
    admin,
    bulk,
    cancellation,
    counting,
    creation,
    fulfilment,
    index,
    metafields,
    orders,
    privacy,
    products,
    refunds,
    returns,
    routing,
    webhooks,
)
from ops.sandbox.shopify.state import Problem, RefusedError, Shop, gid


def _named(kind: str, do: Callable[..., Any], name: str) -> Callable[..., Any]:
    """For people, who say a number where the app says a global id."""

    def act(shop: Shop, *, at: datetime, **arguments: Any) -> Any:
        return do(shop, **arguments | {name: gid(kind, arguments[name])}, at=at)

    return act


def _settle(shop: Shop, order: int, transaction: int, at: datetime, status: Literal["SUCCESS", "FAILURE"] = "SUCCESS") -> None:
    found = shop.orders.get(order)
    if found is None or all(one.id != transaction for one in found.transactions):
        raise RefusedError(Problem(("transaction",), "there is no such transaction"))
    refunds.settle(shop, found, transaction, status, at)


def _decline(shop: Shop, number: int, at: datetime, reason: str = "OTHER", note: str | None = None) -> int:
    return returns.decline(shop, gid("Return", number), reason, note, at)


# name -> what does it; each takes the shop, the operation's arguments by name, and the time
OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "metafieldDefinitionCreate": metafields.define_metafield,
    "metafieldsSet": metafields.set_metafields,
    "orderCreate": creation.create_order,
    "orderUpdate": orders.update,
    "orderClose": orders.close,
    "orderMarkAsPaid": orders.mark_paid,
    "orderCancel": cancellation.cancel_order,
    "orderAttributionDefinitionUpsert": orders.define_attribution,
    "tagsAdd": orders.add_tags,
    "tagsRemove": orders.remove_tags,
    "fulfillmentCreate": fulfilment.create_fulfillment,
    "fulfillmentTrackingInfoUpdate": fulfilment.change_tracking,
    "fulfillmentCancel": fulfilment.cancel_fulfillment,
    "fulfillmentOrderHold": routing.hold,
    "fulfillmentOrderReleaseHold": routing.release_hold,
    "fulfillmentOrderMove": routing.move,
    "fulfillmentOrderSplit": routing.split,
    "refundCreate": refunds.create_refund,
    "returnCreate": returns.create_return,
    "returnApproveRequest": returns.approve,
    "returnDeclineRequest": returns.decline,
    "returnProcess": returns.process,
    "returnClose": returns.close,
    "returnCancel": returns.cancel,
    "reverseFulfillmentOrderDispose": returns.dispose,
    "reverseDeliveryCreateWithShipping": returns.deliver,
    "inventorySetQuantities": counting.set_quantities,
    "inventoryAdjustQuantities": counting.adjust_quantities,
    "inventoryActivate": counting.activate,
    "bulkOperationRunQuery": bulk.run_query,
    "bulkOperationRunMutation": bulk.run_mutation,
    "bulkOperationCancel": bulk.cancel,
    "stagedUploadsCreate": bulk.stage,
    "upload": bulk.upload,
    "grant": access.grant,
    "webhookSubscriptionCreate": webhooks.subscribe,
    "webhookSubscriptionUpdate": webhooks.change_subscription,
    "webhookSubscriptionDelete": webhooks.unsubscribe,
    "webhookDelivered": webhooks.delivered,
    "webhookNotDelivered": webhooks.not_delivered,
    "webhookHeld": webhooks.hold,
    "webhookRepeated": webhooks.repeat,
    "webhookLost": webhooks.lose,
    "checkout": creation.checkout,
    "stock": counting.stock_sku,
    "staffCancel": admin.cancel,
    "staffRefund": admin.refund,
    "staffReturn": admin.take_return,
    "staffApproveReturn": _named("Return", returns.approve, "number"),
    "staffDeclineReturn": _decline,
    "staffProcessReturn": admin.process_return,
    "staffCloseReturn": _named("Return", returns.close, "number"),
    "staffCancelReturn": _named("Return", returns.cancel, "number"),
    "staffReopenReturn": _named("Return", returns.reopen, "number"),
    "staffReduceReturn": _named("Return", returns.remove_units, "number"),
    "staffEdit": orders.edit,
    "staffMarkPaid": _named("Order", orders.mark_paid, "order"),
    "staffClose": _named("Order", orders.close, "order"),
    "staffDelete": orders.delete,
    "staffTag": _named("Order", orders.add_tags, "order"),
    "staffUntag": _named("Order", orders.remove_tags, "order"),
    "staffHold": admin.hold,
    "staffRelease": admin.release,
    "staffMove": admin.move,
    "staffSplit": admin.split,
    "staffMerge": routing.merge,
    "staffSchedule": routing.schedule,
    "staffFulfil": admin.fulfil,
    "staffUnfulfil": _named("Fulfillment", fulfilment.cancel_fulfillment, "fulfillment"),
    "staffTrack": _named("Fulfillment", fulfilment.change_tracking, "fulfillment"),
    "carrierEvent": fulfilment.carrier_event,
    "staffSetAside": counting.set_aside,
    "staffTransfer": counting.transfer,
    "staffDisconnect": counting.disconnect,
    "staffProduct": products.set_status,
    "staffRename": products.rename_sku,
    "staffDeleteVariant": products.delete_variant,
    "staffTrackItem": products.set_tracked,
    "staffPolicy": products.set_policy,
    "staffLocation": products.set_location,
    "settleRefund": _settle,
    "scopes": access.set_scopes,
    "uninstall": privacy.uninstall,
    "privacyAddress": privacy.set_address,
    "dataRequest": privacy.request_data,
    "redact": privacy.redact_customer,
}

BY_NUMBER = frozenset(name for name in OPERATIONS if name.startswith("staff")) | {"carrierEvent", "settleRefund", "dataRequest", "redact"}


def perform(shop: Shop, operation: str, arguments: Mapping[str, Any], at: datetime) -> Any:
    shop.event += 1
    return OPERATIONS[operation](shop, **arguments, at=at)


def advance(shop: Shop, until: datetime) -> bool:
    """Lets the next due thing happen, at its own time. False if nothing is due by then."""
    due = shop.agenda.pop(until)
    if due is None:
        return False
    if due.what == "index":  # nothing happens in the shop by it
        index.settle(shop.index, int(due.ref))
        return True
    shop.event += 1
    match due.what:
        case "route":
            if (order := shop.orders.get(int(due.ref))) is not None:
                routing.route(shop, order, due.at)
        case "cancel":
            cancellation.run(shop, shop.jobs[int(due.ref)], due.at)
        case "settle":
            order_id, _, money = str(due.ref).partition("/")
            if (order := shop.orders.get(int(order_id))) is not None:
                refunds.settle(shop, order, int(money), "SUCCESS", due.at)
        case "due":
            routing.fall_due(shop, int(due.ref), due.at)
        case "bulk":
            bulk.step(shop, int(due.ref), due.at, perform)
        case "shop_redact":
            privacy.redact_shop(shop, due.at)
    return True
