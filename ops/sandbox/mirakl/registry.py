"""What the operator has registered: carriers, shipping methods, reasons, taxes, kinds of documents."""

from ops.sandbox.mirakl.state import Carrier, RefusedError
from ops.sandbox.mirakl.switches import OrderSwitches

SHIPPING_TYPES = {"STD": "Standard", "EXP": "Express", "PUP": "Pick-up point", "OPD": "Delivery by the marketplace"}
ORDINARY = ("STD", "EXP")  # what buyers choose from where nothing else is said
PICK_UP = "PUP"  # click and collect
BY_OPERATOR = "OPD"  # the operator's carrier comes for it

CARRIERS = [
    Carrier("RM", "Royal Mail", "https://www.royalmail.com/track-your-item#/tracking-results/{trackingId}", "ROYAL_MAIL"),
    Carrier("EVRI", "Evri", "https://www.evri.com/track/parcel/{trackingId}"),
    Carrier("DPDUK", "DPD (UK)", "https://www.dpd.co.uk/apps/tracking/?reference={trackingId}", "DPD_UK"),
    Carrier("ups-gb", "UPS (UK)", "https://www.ups.com/track?tracknum={trackingId}", "UPS"),
    Carrier("UPS", "UPS", "https://www.ups.com/track?tracknum={trackingId}"),
    Carrier("DHLX", "DHL Express", "https://www.dhl.com/gb-en/home/tracking.html?tracking-id={trackingId}", "DHL_EXPRESS"),
    Carrier("YODEL", "Yodel", None),
    Carrier("OTHER", "Other", None),
]

REASONS = [  # code, label, type, whether the seller may use it
    ("15", "Out of stock", "REFUND", True),
    ("16", "Item damaged", "REFUND", True),
    ("17", "Item returned", "REFUND", True),
    ("21", "Commercial gesture", "REFUND", False),
    ("22", "Item lost", "REFUND", False),
    ("30", "Out of stock", "CANCELATION", True),
    ("31", "Customer changed their mind", "CANCELATION", True),
    ("32", "Fraud", "CANCELATION", False),
    ("41", "Item not received", "INCIDENT_OPEN", False),
    ("42", "Item not as described", "INCIDENT_OPEN", False),
    ("51", "Issue solved", "INCIDENT_CLOSE", True),
    ("52", "Closed by the marketplace", "INCIDENT_CLOSE", False),
    ("61", "Question on a delivery", "ORDER_MESSAGING", True),
    ("62", "Question on an invoice", "ORDER_MESSAGING", True),
    ("63", "Question on my account", "SELLER_OPERATOR_MESSAGING", True),
]

FEES = {"GIFT_WRAP": 350, "HANDLING": 99}  # minor units a line

DOCUMENT_TYPES = (
    "CUSTOMER_INVOICE",
    "CUSTOMS",
    "OTHER",
    "SYSTEM_MESSAGE_ATTACHMENT",
    "SYSTEM_DELIVERY_BILL",
    "SYSTEM_SHIPMENT_DELIVERY_BILL",
)
INVOICE = "CUSTOMER_INVOICE"
DOCUMENT_ENDINGS = frozenset(
    ("csv", "doc", "xls", "xlsx", "ppt", "pdf", "odt", "ods", "odp", "txt", "rtf", "png", "jpg", "gif", "zpl", "mov", "mp4")
)

RETURN_METHODS = ("RETURN_METHOD_BY_MAIL", "RETURN_METHOD_DROP_OFF_POINT", "RETURN_METHOD_IN_STORE", "RETURN_METHOD_RETURNLESS")
RETURN_REASONS = (
    *("RETURN_CHANGED_MIND", "RETURN_DEFECTIVE_ITEM", "RETURN_DAMAGED_PACKAGING", "RETURN_DELIVERED_PRODUCT_DIFFERENT"),
    *("RETURN_PDNT_TOO_BIG", "RETURN_PDNT_TOO_SMALL", "RETURN_DPD_WRONG_SIZE", "RETURN_DPD_WRONG_COLOR"),
)
RETURN_ADDRESS = {"street1": "Unit 4, Harbour Trade Park", "city": "Leeds", "zip_code": "LS9 8AA", "country_iso_code": "GBR"}

FIELDS = {"test-order": "BOOLEAN", "gift-message": "STRING", "floor": "NUMERIC", "seller-note": "STRING"}  # the operator's own, by code
SHIPMENT_FIELDS = {"parcel-note": "STRING", "handed-over": "DATE"}


def check_reason(code: str, kind: str, *, shop: bool) -> None:
    """Raises RefusedError where that reason is not one of its kind, or not the shop's to use."""
    for known, _, is_kind, shops in REASONS:
        if (known, is_kind) == (code, kind):
            if shop and not shops:
                raise RefusedError(400, f"The reason with code '{code}' is not available to shops")
            return
    raise RefusedError(400, f"Reason with code '{code}' and type '{kind}' not found")


def needs_tracking(switches: OrderSwitches, shipping_type: str) -> bool:
    return switches.mandatory_tracking or shipping_type in switches.tracking_mandatory_for
