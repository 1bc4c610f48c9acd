"""What the operator has registered: carriers, shipping methods, reasons."""

from ops.sandbox.mirakl.state import Carrier

SHIPPING_TYPES = {"STD": "Standard", "EXP": "Express"}

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
    ("17", "Item returned", "REFUND", True),
    ("21", "Commercial gesture", "REFUND", False),
    ("30", "Out of stock", "CANCELATION", True),
    ("41", "Item not received", "INCIDENT_OPEN", False),
    ("51", "Issue solved", "INCIDENT_CLOSE", True),
]
