"""Every change that a seller account knows, by its name, and what happens by itself when it falls due.

The seller's are called as Mirakl's operations are (OR21, ST01, …) and take what the calls carry. All others are what customers and the
operator do, each with an account, these arguments by name, and the time; what cannot be is a RefusedError, and changes nothing.

buyer
    place                     lines [(sku, quantity)], buyer, options?   an order comes; options: buying.Options; returns its id
customer
    customer_cancel           order_id               cancels what has not left; the operator refunds what was paid
    customer_message          order_id, body, topic? writes about the order: has_customer_message
    open_incident             order_line_id, by?, reason?    INCIDENT_OPEN; by "customer" or "operator"
    request_return            returns [as RT01]      asks for a return; answers success and errors, as RT01
    customer_receives         order_id               says that all of it has arrived
operator
    operator_cancel           order_id, reason?      as customer_cancel
    operator_cancel_line      order_line_id, quantity?, reason?      takes unpaid units off a line; else all that are to be shipped
    operator_refund           order_line_id, share?, shipping?, quantity?, excluded?, reason?
                              pays back that share of what is left, 1.0 being all of it, and the shipping or not;
                              0.0 with shipping is shipping alone; excluded: these units will not be shipped
    close_incident            order_id, line_id, reason_code         resolves it
    operator_message          order_id, body, topic? writes about the order
    operator_ship             order_id               marks it as shipped in the back office
    operator_receive          order_id               marks it as received
    operator_receive_shipment shipment_id            one parcel of several
    operator_close            order_id               closes it before its time
    operator_document         order_id, files, described     puts documents there, as OR74
    miss_return               returns [{id}]         NO_RECEPTION
    release_staging           order_id               the fraud check is passed
    refuse_staging            order_id               it is not: CANCELED
    confirm_debit             order_id               the payment has come in, before its time or after it was stuck
    refuse_debit              order_id               it has not: CANCELED where nothing has left
operator, on offers
    edit_offer                sku, quantity?, price?, stopped?, sells_from?, sells_until?
                              somebody in the back office; price in minor units, stopped: reasons for which it does not sell
    delete_offer              sku                    gone for good; a differential export still tells of it
    restore_offer             sku                    made again, with nothing in stock
    approve_prices            sku                    prices that waited for approval apply
    shop                      state?, closed_from?, until?   OPEN, CLOSE, SUSPENDED, TERMINATED; or the seller's holidays
    resume_import             import_id              a file that hung goes on
operator, on money; amounts in minor units, without tax
    penalise                  amount, order?, code?  a penalty, as the switch `penalty_as` has it
    manual_document           kind, amount, description, order?      MANUAL_CREDIT or MANUAL_INVOICE
    one_off                   amount, description, quantity?, reference?     to be invoiced: a debit below zero, else a credit
    book                      kind, amount, order?, line?    a line of any type, published or not; returns its id
    release_reserve           held_since?            gives back what was held back
    confirm_document          invoice_id             says that it is paid
    bill                                             runs a cycle now
the marketplace
    lose_entry                entry                  a line of the ledger is never shown again; every sum keeps it
    restate_entry             entry, amount          it says another amount, under the same id
    overcharge                amount                 the next line sold costs so much more commission than its order says
    miscount_cycle            cycle, key, amount     a figure of its summary is so much too high
    misprint_document         invoice_id, amount     its total is
    hide                      order_id, hidden       a soft deletion, or its end
    called                    operation, kind?, address?     a call was made: counted against its ceiling
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from ops.sandbox.mirakl import (
    bookkeeping,
    buying,
    cancelations,
    ceilings,
    charges,
    cycles,
    documents,
    exports,
    extracts,
    imports,
    inbox,
    incidents,
    ledger,
    offers,
    orders,
    refunds,
    remarks,
    returns,
    shipments,
)
from ops.sandbox.mirakl.state import Account

# name -> what does it; each takes the account, the operation's arguments by name, and the time
OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "OR04": remarks.set_reference,
    "OR13": exports.begin,
    "OR21": orders.accept,
    "OR23": orders.track,
    "OR24": shipments.ship_order,
    "OR28": refunds.refund,
    "OR29": cancelations.cancel_order,
    "OR30": cancelations.cancel,
    "OR31": remarks.set_fields,
    "OR64": incidents.resolve,
    "OR74": documents.upload,
    "OR76": documents.delete,
    "ST01": shipments.create,
    "ST06": shipments.delete,
    "ST07": shipments.set_origin,
    "ST23": shipments.track,
    "ST24": shipments.hand_over,
    "ST26": shipments.ready,
    "ST31": shipments.inform,
    "RT01": returns.create,
    "RT04": returns.update,
    "RT21": returns.decide,
    "RT25": returns.receive,
    "RT26": returns.judge,
    "RT27": returns.close,
    "RT29": returns.cancel,
    "M12": inbox.reply,
    "M14": partial(inbox.open_thread, by="seller"),
    "STO01": imports.upload_stock,
    "PRI01": imports.upload_prices,
    "OF52": extracts.ask_for_offers,
    "TL03": extracts.ask_for_ledger,
    # what other people do to offers and money
    "edit_offer": offers.edit,
    "delete_offer": offers.delete,
    "restore_offer": offers.restore,
    "approve_prices": offers.approve_prices,
    "shop": offers.close_shop,
    "resume_import": imports.resume,
    "penalise": charges.penalise,
    "manual_document": charges.manual,
    "one_off": charges.one_off,
    "book": charges.book,
    "release_reserve": charges.release,
    "confirm_document": cycles.confirm,
    "bill": cycles.bill,
    # what is wrong in the marketplace's books
    "lose_entry": bookkeeping.lose,
    "restate_entry": bookkeeping.restate,
    "overcharge": charges.overcharge,
    "miscount_cycle": cycles.miscount,
    "misprint_document": cycles.misprint,
    "called": ceilings.count,
    "place": buying.place,
    "customer_cancel": partial(cancelations.cancel_order, by="customer"),
    "customer_message": partial(inbox.write, by="customer"),
    "customer_receives": orders.receive,
    "open_incident": incidents.open_incident,
    "request_return": partial(returns.create, by="customer"),
    "operator_cancel": partial(cancelations.cancel_order, by="operator"),
    "operator_cancel_line": cancelations.by_operator,
    "operator_refund": refunds.by_operator,
    "close_incident": partial(incidents.resolve, by="operator"),
    "operator_message": partial(inbox.write, by="operator"),
    "operator_ship": shipments.ship_by_operator,
    "operator_receive": orders.receive,
    "operator_receive_shipment": shipments.receive,
    "operator_close": orders.close,
    "operator_document": partial(documents.upload, by="operator"),
    "miss_return": returns.miss,
    "release_staging": orders.release_staging,
    "refuse_staging": orders.refuse_staging,
    "confirm_debit": orders.confirm_debit,
    "refuse_debit": orders.refuse_debit,
    "hide": orders.hide,
}

# name in the agenda -> what does it; each takes the account, that name, what it is about, and the time
FALLS_DUE: Mapping[str, Callable[[Account, str, str, datetime], None]] = {
    **dict.fromkeys(
        ("release", "acceptance_timeout", "debit", "pay", "centre_ships", "collect", "receive", "close"),
        orders.fall_due,
    ),
    **dict.fromkeys(("shipment_collect", "shipment_receive", "shipment_debit"), shipments.fall_due),
    "refund": refunds.fall_due,
    "export": exports.fall_due,
    **dict.fromkeys(("start_import", "finish_import"), imports.fall_due),
    **dict.fromkeys(("make_export", "drop_export"), extracts.fall_due),
    **dict.fromkeys(("bill", "invoice", "pay_out"), cycles.fall_due),
    "price_turns": offers.fall_due,
    "money_due": ledger.fall_due,
}


def begin(account: Account, at: datetime) -> None:
    """What a new account has on its calendar."""
    cycles.begin(account, at)


def switched(account: Account, at: datetime) -> None:
    """Switches were moved: what hung may go on, what was planned may be planned anew."""
    imports.resume_all(account, at)
    cycles.replan(account, at)


def perform(account: Account, operation: str, arguments: Mapping[str, Any], at: datetime) -> Any:
    return OPERATIONS[operation](account, **arguments, at=at)


def advance(account: Account, until: datetime) -> bool:
    """Lets the next due thing happen, at its own time. False if nothing is due by then."""
    due = account.agenda.pop(until)
    if due is None:
        return False
    FALLS_DUE[due.what](account, due.what, str(due.ref), due.at)
    return True
