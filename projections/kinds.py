"""Every kind of exception that is opened here: who owns it, how urgent it is, what its owner does, in the system where the cause is."""

from msgspec import Struct

from schemas.events.exceptions import ExceptionOpened
from schemas.values import Instant, Money


class Kind(Struct, frozen=True):
    title: str
    owner: str  # OPS, FIN, ECOM, CX, ENG
    severity: int  # 1 money or a promise is at stake within hours … 4 housekeeping
    next_step: str


KINDS: dict[str, Kind] = {
    "X01": Kind("SKU unknown in Shopify", "ECOM", 1, "give a variant this SKU in Shopify, or map it: crossdock map sku"),
    "X02": Kind("SKU ambiguous in Shopify", "ECOM", 2, "leave the SKU on one variant in Shopify"),
    "X03": Kind("offer without a variant", "ECOM", 2, "give a variant this SKU in Shopify, map it, or delete the offer"),
    "X07": Kind("variant deleted, and still on offer", "ECOM", 2, "delete the offer, or give a variant this SKU; it is shown as 0"),
    "X08": Kind("on offer, but not for sale in Shopify", "ECOM", 3, "delete the offer, or make the product active; it is shown as 0"),
    "X09": Kind("price below the shop's", "ECOM", 2, "correct the price on the marketplace, then release or refuse the order"),
    "X10": Kind("quantity refused by the channel", "ECOM", 2, "mend the offer on the marketplace"),
    "X11": Kind("stock file failed", "ENG", 1, "see the reason; the next file carries the same quantities"),
    "X12": Kind("quantity not applied", "ENG", 2, "nothing: it is sent again; ask the operator if it stays"),
    "X14": Kind("sold more than there is", "OPS", 1, "find the units and release the order, or refuse it"),
    "X15": Kind("stock not counted by Shopify", "ECOM", 3, "let Shopify track the quantity, or set how much to show of it"),
    "X18": Kind("webhooks were missing", "ENG", 3, "nothing: they were subscribed again"),
    "X19": Kind("quantity edited on the marketplace", "ECOM", 3, "find out who edits it there; it is overwritten"),
    "X21": Kind("shipping method without a mapping", "OPS", 1, "crossdock map method"),
    "X22": Kind(
        "address cannot be delivered to",
        "CX",
        1,
        "ask the buyer through the marketplace, correct the address in Shopify, release the order",
    ),
    "X24": Kind("acceptance is about to run out", "OPS", 1, "release or refuse the order now"),
    "X25": Kind("payment is stuck", "CX", 2, "ask the operator; the units stay reserved"),
    "X26": Kind("the channel takes no part of an order", "OPS", 2, "release the order whole, or refuse it"),
    "X27": Kind("acceptance refused", "ENG", 3, "see the order on the marketplace"),
    "X28": Kind("Shopify refuses the order", "ENG", 1, "mend what the field names, then retry"),
    "X30": Kind("two Shopify orders for one", "OPS", 1, "cancel the copy that is named"),
    "X31": Kind("totals differ", "FIN", 2, "compare the two totals; release the order if the difference is understood"),
    "X33": Kind("currency not expected", "FIN", 2, "check the channel's currency, then release or refuse"),
    "X34": Kind("not in Shopify yet", "OPS", 1, "see why it was not created: crossdock trace"),
    "X35": Kind(
        "Shopify order that nobody follows",
        "OPS",
        2,
        "cancel it in Shopify; if it must leave, tell the marketplace by hand, then resolve this",
    ),
    "X36": Kind("carrier without a mapping", "OPS", 1, "crossdock map carrier"),
    "X37": Kind("dispatched without a tracking number", "OPS", 1, "enter the number on the fulfilment in Shopify"),
    "X38": Kind("tracking number used twice", "OPS", 2, "correct it on the fulfilment in Shopify"),
    "X39": Kind("dispatch refused by the channel", "ENG", 1, "see the reason, mend it, then retry"),
    "X41": Kind("promised dispatch is near", "OPS", 1, "pack it now"),
    "X42": Kind(
        "dispatched on the marketplace by hand",
        "OPS",
        1,
        "fulfil it in Shopify if it left; enter a missing number on the marketplace",
    ),
    "X43": Kind("more packed than sold", "OPS", 2, "correct the fulfilments in Shopify"),
    "X44": Kind(
        "fulfilment cancelled after it was told", "OPS", 2, "send it again, or refund it; the marketplace cannot take a dispatch back"
    ),
    "X45": Kind("not received for long", "FIN", 3, "ask the carrier; until then the money may not be released"),
    "X47": Kind("given up by the marketplace, packed by us", "OPS", 1, "stop the parcel, or ask the operator"),
    "X48": Kind("cancelled in Shopify, dispatched on the marketplace", "CX", 2, "refund it in Shopify instead"),
    "X49": Kind("refund reason without a mapping", "CX", 2, "crossdock map reason"),
    "X50": Kind("refund exceeds what is left", "FIN", 2, "compare the refunds of both sides; settle the rest by hand"),
    "X51": Kind("refund without lines", "CX", 2, "say on which line it is: refund the line on the marketplace, then resolve this"),
    "X52": Kind("refund not certain", "ENG", 1, "look at the refunds of the order on the marketplace, then retry or resolve"),
    "X53": Kind("refunded twice, or by somebody else", "FIN", 1, "compare the refunds of both sides; one of them may have to be recovered"),
    "X54": Kind("marketplace refund not recorded in Shopify", "CX", 2, "see the reason, mend it, then retry"),
    "X56": Kind("refund is stuck", "CX", 3, "ask the operator"),
    "X57": Kind("return waits for us", "CX", 2, "answer the return"),
    "X58": Kind("goods did not come back", "CX", 3, "dispute the refund while the marketplace allows it"),
    "X60": Kind("incident opened", "CX", 2, "answer it on the marketplace; money is held until it is closed"),
    "X61": Kind("buyer waits for an answer", "CX", 3, "answer on the marketplace"),
    "X79": Kind("payload cannot be read", "ENG", 2, "see the field; what was sent is kept sealed"),
    "X80": Kind("state unknown to us", "ENG", 2, "tell us what it means; nothing that rests on it is done until then"),
    "X84": Kind("given up after many attempts", "ENG", 1, "see the last answer, then: crossdock exceptions retry"),
    "X90": Kind("somebody asks about their personal data", "CX", 2, "do what the summary says before the deadline, which is the law's"),
    "X86": Kind("the log is not as it was", "ENG", 1, "keep a copy of the database; compare with an older backup: crossdock verify"),
    "X94": Kind("order edited in Shopify", "OPS", 2, "undo the edit, or settle the difference on the marketplace and release the order"),
    "X95": Kind("order held", "OPS", 3, "crossdock release or crossdock refuse"),
    "X96": Kind("the log was restored to an earlier state", "ENG", 1, "see what is missing, then: crossdock resume --reason …"),
    "X97": Kind("checkpoints are not kept outside", "ENG", 2, "mend evidence.directory or evidence.hook"),
}


def opened(
    code: str,
    subject: str,
    summary: str,
    *,
    part: str = "",
    field: str = "",
    deadline: Instant | None = None,
    at_stake: Money | None = None,
    waits_for: str = "",
) -> ExceptionOpened:
    """An exception of that kind. Its key ends with the part, which is the step that it holds up where there is one."""
    kind = KINDS[code]
    return ExceptionOpened(
        key=f"{code}:{subject}:{part}" if part else f"{code}:{subject}",
        code=code,
        subject=subject,
        summary=summary,
        field=field,
        owner=kind.owner,
        severity=kind.severity,
        next_step=kind.next_step,
        deadline=deadline,
        at_stake=at_stake,
        waits_for=waits_for,
    )
