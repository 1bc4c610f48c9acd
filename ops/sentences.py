"""Every event and every command in one plain sentence, for people who read an order's story."""

from collections.abc import Mapping
from uuid import UUID

from schemas.commands import (
    AcceptOrder,
    AnswerReturn,
    CancelShopOrder,
    CancelUnits,
    Command,
    CorrectTracking,
    CreateShopOrder,
    HoldShopOrder,
    PublishStock,
    RecordShopRefund,
    RecordShopReturn,
    RefundLines,
    Remind,
    SetSellerReference,
    SettleStockImport,
    ShipOrder,
    ShipParcel,
    SignalOnOrder,
)
from schemas.events import Event, tag_of
from schemas.events.aftercare import (
    MarketOrderCanceled,
    RefundPushed,
    RefundSeen,
    RefundsMatched,
    ReturnAnswered,
    ReturnSeen,
    ShopRefundRecorded,
    ShopRefundSeen,
    ShopReturnRecorded,
    ShopReturnSeen,
    UnitsCanceled,
    UnitsGivenUp,
)
from schemas.events.channels import RulesApplied
from schemas.events.commands import CommandBuried, CommandConfirmed, CommandIssued, CommandRefused, CommandUnknown
from schemas.events.exceptions import ExceptionAssigned, ExceptionClosed, ExceptionOpened, ExceptionResolved, ExceptionRetried
from schemas.events.inventory import (
    OffersRead,
    PaceMeasured,
    StockCounted,
    StockFileLost,
    StockImportFinished,
    StockImportStarted,
    StockModeSet,
    VariantSeen,
)
from schemas.events.orders import (
    AcceptanceDecided,
    BuyerFlagged,
    DeliveryAddressGiven,
    FulfilmentSeen,
    LinesAssessed,
    LineStateChanged,
    OrderAccepted,
    OrderDebited,
    OrderPlaced,
    OrderShipped,
    OrderSignalled,
    OrderStateChanged,
    OrderTermsChanged,
    SellerReferenceSet,
    ShipmentMade,
    ShopOrderCancelled,
    ShopOrderCreated,
    ShopOrderHeld,
    ShopOrderReleased,
    ShopOrderSeen,
    ShopOrderTagged,
    TrackingCorrected,
    TrackingDropped,
    TrackingShown,
)
from schemas.events.people import LogResumed, MappingSet, OrderHeld, OrderRefusalAsked, OrderReleased, Redriven, ReminderDue
from schemas.events.privacy import PrivacyAnswered, PrivacyAsked, SubjectDisclosed, SubjectErased
from schemas.values import Money, Sku


def describe(event: Event, issued: Mapping[UUID, Command], sku: Sku) -> str:
    """An event in one plain sentence; of files of quantities, only what they say of `sku`."""
    match event:
        case OrderPlaced(lines=lines, total=total):
            return f"bought: {', '.join(f'{line.quantity} x {line.sku}' for line in lines)} for {total} {total.currency}"
        case OrderTermsChanged(terms=terms):
            return f"terms changed: now {terms.total} {terms.total.currency}"
        case OrderStateChanged(state=state):
            return f"the marketplace says {state}"
        case LineStateChanged(line_id=line, state=state):
            return f"line {line} is {state}"
        case DeliveryAddressGiven(country_code=country):
            return f"an address was given (sealed{f'; {country}' if country else ''})"
        case OrderDebited():
            return "the buyer has paid"
        case OrderSignalled(incident=incident, message=message):
            signs = [name for name, shown in (("an incident is open", incident), ("the buyer has written", message)) if shown]
            return f"the marketplace signals: {', '.join(signs) or 'nothing'}"
        case TrackingShown(carrier_code=code, carrier=carrier, tracking_number=number):
            return f"the marketplace shows its tracking: {code or carrier} {number}".rstrip()
        case BuyerFlagged(entry=entry):
            return f"its buyer is on the list as {entry}"
        case LinesAssessed(lines=lines):
            seen = (f"{each.sku} {'untracked' if each.available is None else each.available}" for each in lines.values())
            return f"Shopify has of it: {', '.join(seen)}"
        case AcceptanceDecided(outcome=outcome, lines=lines):
            why = dict.fromkeys(f"{verdict.rule}: {verdict.detail}" for verdict in lines)
            return f"the rules say {outcome}: {'; '.join(why)}"
        case OrderAccepted(accepted=accepted, refused=refused):
            return f"accepted: {so_many(len(accepted), 'line')}" + (f", refused: {len(refused)}" if refused else "")
        case ShopOrderCreated(name=name, total=total):
            return f"stands in Shopify as {name}, {total} {total.currency}"
        case SellerReferenceSet(reference=reference):
            return f"the marketplace knows it as {reference}"
        case ShopOrderSeen(fulfilment_status=fulfilment, financial_status=money, cancelled_at=cancelled):
            return "Shopify shows it " + ("cancelled" if cancelled else f"{fulfilment.lower() or 'open'}, {money.lower()}")
        case FulfilmentSeen(status=status, units=units, carrier=carrier, tracking_number=number):
            return f"fulfilment {status}: {so_many(sum(units.values()), 'unit')}, {carrier or 'no carrier'} {number}".rstrip()
        case ShipmentMade(shipment=shipment, carrier=carrier, tracking_number=number):
            return f"the marketplace was told of a parcel: {carrier} {number}, its shipment {shipment}"
        case TrackingCorrected(carrier=carrier, tracking_number=number):
            return f"the marketplace knows the new tracking: {carrier} {number}"
        case TrackingDropped(tracking_number=number):
            return f"no parcel of it has the number {number} any more"
        case ShopOrderHeld() | ShopOrderReleased() | ShopOrderCancelled() | MarketOrderCanceled():
            return _PLAINLY[type(event)]
        case ShopOrderTagged(tags=tags):
            return f"Shopify shows {', '.join(tags)} on it"
        case UnitsCanceled(line_id=line, quantity=quantity, amount=amount, cancelation=number):
            return f"the marketplace cancelled {quantity} of line {line}, {amount} {amount.currency} (cancelation {number})"
        case RefundSeen(line_id=line, amount=amount, shipping_amount=shipping, refund=number, state=state):
            return f"the marketplace refunds {amount + shipping} {amount.currency} of line {line}: {state} (refund {number})"
        case ReturnSeen(return_id=number, state=state):
            return f"the marketplace shows return {number}: {state}"
        case ReturnAnswered(return_id=number, answer=answer):
            return f"the marketplace knows of return {number} that it is {answer}"
        case ShopRefundSeen(lines=lines, mirrors=mirrors, refund=refund):
            kind = f"our record of {mirrors}" if mirrors else so_many(sum(unit.quantity for unit in lines), "unit")
            return f"Shopify shows refund {refund.rpartition('/')[2]}: {kind}"
        case ShopReturnSeen(return_id=number, status=status, mirrors=mirrors):
            return f"Shopify shows return {number.rpartition('/')[2]}: {status.lower()}" + (f", our record of {mirrors}" if mirrors else "")
        case RefundPushed(refunds=refunds) | UnitsGivenUp(cancelations=refunds):
            return f"the marketplace did it: {', '.join(refunds)}"
        case ShopRefundRecorded(mirrors=mirrors) | ShopReturnRecorded(mirrors=mirrors):
            return f"Shopify holds a record of {mirrors}"
        case RefundsMatched(refunds=refunds):
            return f"both sides refunded the same thing: nothing to tell of {', '.join(refunds)}"
        case OrderHeld(reason=reason) | OrderReleased(reason=reason) | OrderRefusalAsked(reason=reason):
            return f"{_PLAINLY[type(event)]}: {reason}"
        case Redriven(because=because):
            return f"it may go on: {because}"
        case ReminderDue(at=at):
            return f"looked at again, as was due at {at.isoformat(timespec='minutes')}"
        case OrderShipped(carrier_code=carrier, tracking_number=number):
            return f"the marketplace was told it left: {carrier} {number}".rstrip()
        case LogResumed(lost_size=lost, kept=kept, reason=reason):
            return f"work goes on though the log was restored from {lost} events to about {kept}: {reason}"
        case MappingSet(channel=channel, name=name, value=value):
            return f"{name} is {value or 'nothing else'} on {channel}"
        case RulesApplied():
            return "these rules were applied"
        case StockCounted(levels=levels, settled=settled):
            told = f" (contains {', '.join(settled)})" if settled else ""
            return f"Shopify counts {sum(levels.values())} available{told}"
        case VariantSeen(status=status, sells_beyond_zero=beyond):
            return f"in Shopify the product is {status.lower()}" + (", and sold beyond zero" if beyond else "")
        case OffersRead(channel=channel, quantities=quantities, deleted=deleted):
            return f"{channel} has no such offer any more" if sku in deleted else f"{channel} shows {quantities.get(sku, 0)}"
        case StockModeSet(channel=channel, mode=mode, because=because):
            return f"{channel} is shown stock by the rule {mode}" + (f": {because}" if because else "")
        case PaceMeasured(channel=channel, hourly=hourly, seconds=seconds):
            return f"{hourly.get(sku, 0)} an hour are sold on {channel}, where a change takes {seconds} s"
        case StockImportStarted(import_id=number, channel=channel):
            return f"{channel} took the file as import {number}"
        case StockImportFinished(import_id=number, channel=channel, status=status, refused=refused, quantities=quantities):
            verdict = f"refused: {refused[sku]}" if sku in refused else so_many(quantities.get(sku, 0), "unit")
            return f"{channel} finished import {number}: {status}, {verdict}"
        case StockFileLost(channel=channel, quantities=quantities, why=why, applied=applied):
            fate = "it may have been applied" if applied else "nothing of it was applied"
            return f"the file for {channel} with {so_many(quantities.get(sku, 0), 'unit')} came to nothing ({why}): {fate}"
        case CommandIssued(command=command):
            return f"asked: {_wish(command, sku)}"
        case CommandConfirmed(command_id=key, command=tag, attempt=attempt, found=found):
            how = "found done already" if found else "done"
            return f"{how}: {_wish(issued[key], sku) if key in issued else tag}" + (f" (attempt {attempt})" if attempt > 1 else "")
        case CommandRefused(command=tag, detail=detail):
            return f"refused: {tag}: {detail}"
        case CommandUnknown(command=tag, attempt=attempt, detail=detail):
            return f"no answer to {tag} (attempt {attempt}): {detail}"
        case CommandBuried(command=tag, attempt=attempt, detail=detail):
            return f"given up: {tag} after attempt {attempt}: {detail}"
        case ExceptionOpened(code=code, owner=owner, summary=summary):
            return f"{code} for {owner}: {summary}"
        case ExceptionClosed(key=key, reason=reason):
            return f"{key.partition(':')[0]} closed: {reason}"
        case ExceptionAssigned(to=to, reason=reason):
            return f"{to} looks after it: {reason}"
        case ExceptionRetried(key=key, reason=reason):
            return f"{key.partition(':')[0]} is tried again: {reason}"
        case ExceptionResolved(key=key, reason=reason):
            return f"{key.partition(':')[0]} is settled by a person: {reason}"
        case SubjectErased(reason=reason, sealed=sealed):
            return f"the buyer was erased, with {so_many(sealed, 'sealed part')}: {reason}"
        case SubjectDisclosed(reason=reason):
            return f"all that is held of the buyer was written down: {reason}"
        case PrivacyAsked(kind=kind, request=request):
            return f"{request} asks to {kind.replace('_', ' ')}"
        case PrivacyAnswered(request=request, subjects=subjects):
            return f"{request} is answered: {so_many(subjects, 'subject')}"
    return tag_of(event).replace("_", " ")


_PLAINLY: Mapping[type[Event], str] = {
    ShopOrderHeld: "the warehouse waits with it",
    ShopOrderReleased: "the warehouse may go on",
    ShopOrderCancelled: "cancelled in Shopify, its stock put back",
    MarketOrderCanceled: "given up on the marketplace",
    OrderHeld: "held by a person",
    OrderReleased: "released by a person",
    OrderRefusalAsked: "refused by a person",
}


def so_many(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def _wish(command: Command, sku: Sku) -> str:
    match command:
        case AcceptOrder(accepted=accepted, refused=refused):
            return f"accept {so_many(len(accepted), 'line')}" + (f", refuse {len(refused)}" if refused else "")
        case CreateShopOrder(total=total):
            return f"create it in Shopify for {total} {total.currency}"
        case SetSellerReference(reference=reference):
            return f"tell the marketplace our name for it, {reference}"
        case ShipOrder(carrier=carrier, tracking_number=number):
            return f"tell the marketplace it left, {carrier} {number}".rstrip()
        case SignalOnOrder(tags=tags):
            return f"show {', '.join(tags)} on it in Shopify"
        case ShipParcel(units=units, carrier=carrier, tracking_number=number):
            return f"tell the marketplace of a parcel of {so_many(sum(units.values()), 'unit')}, {carrier} {number}".rstrip()
        case CorrectTracking(carrier=carrier, tracking_number=number):
            return f"tell the marketplace the new tracking, {carrier} {number}"
        case RefundLines(lines=lines) | CancelUnits(lines=lines):
            given_back = sum(part.amount.minor + part.shipping_amount.minor for part in lines)
            verb = "refund" if isinstance(command, RefundLines) else "take off"
            return f"{verb} {Money(given_back, lines[0].amount.currency)} {lines[0].amount.currency} on the marketplace" if lines else verb
        case AnswerReturn(return_id=number, answer=answer):
            return f"say of return {number} that it is {answer}"
        case HoldShopOrder(reason=reason):
            return f"let the warehouse wait: {reason}"
        case CancelShopOrder(reason=reason):
            return f"cancel it in Shopify: {reason}"
        case RecordShopRefund(mirrors=mirrors, amount=amount):
            return f"record in Shopify what the marketplace gave back, {amount} {amount.currency} ({mirrors})"
        case RecordShopReturn(mirrors=mirrors):
            return f"record return {mirrors} in Shopify"
        case Remind(at=at):
            return f"look again at {at.isoformat(timespec='minutes')}"
        case PublishStock(channel=channel, quantities=quantities):
            return f"show {quantities.get(sku, 0)} on {channel}"
        case SettleStockImport(channel=channel, import_id=number):
            return f"follow import {number} of {channel}"
    return tag_of(command).replace("_", " ")
