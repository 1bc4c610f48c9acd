"""Every call to Mirakl, its ceiling and its source."""

from engine.adapter import Endpoint

# Ceilings: seller API reference, "Call Frequency", maximum usage, 2026-08-13. per: seconds.
LIST_ORDERS = Endpoint("OR11", "GET", "/api/orders", calls=1, per=60, reads=True)  # an External Partner's key: once every 15 minutes
SET_REFERENCES = Endpoint("OR04", "PUT", "/api/orders", calls=1, per=60, batch=100)
IMPORT_STOCK = Endpoint("STO01", "POST", "/api/offers/stock/imports", calls=1, per=60)
IMPORT_STATUS = Endpoint("STO02", "GET", "/api/offers/stock/imports/{import_id}/status", calls=1, per=15, reads=True)
IMPORT_ERRORS = Endpoint("STO03", "GET", "/api/offers/stock/imports/{import_id}/error_report", calls=1, per=60, reads=True)
EXPORT_OFFERS = Endpoint("OF52", "POST", "/api/offers/export/async", calls=1, per=60)  # differential: by date of update
EXPORT_ALL_OFFERS = Endpoint("OF52 full", "POST", "/api/offers/export/async", calls=1, per=86400)  # the same without that date
OFFERS_STATUS = Endpoint("OF53", "GET", "/api/offers/export/async/status/{tracking_id}", calls=1, per=10, reads=True)
EXPORT_ORDERS = Endpoint("OR13", "POST", "/api/orders/async-export", calls=1, per=300)  # differential: by date of update
EXPORT_STATUS = Endpoint("OR14", "GET", "/api/orders/async-export/status/{tracking_id}", calls=1, per=2, reads=True)
LIST_RETURNS = Endpoint("RT11", "GET", "/api/returns", calls=1, per=300, reads=True)
ACCOUNT = Endpoint("A01", "GET", "/api/account", calls=1, per=86400, reads=True)
CARRIERS = Endpoint("SH21", "GET", "/api/shipping/carriers", calls=1, per=86400, reads=True)
SHIPPING_TYPES = Endpoint("SH12", "GET", "/api/shipping/types", calls=1, per=86400, reads=True)

# "At each event", or "once per file": no rate is published. Ours: two hundred orders that one poll brings are answered in ten seconds.
A_SECOND = 20
ACCEPT_ORDER = Endpoint("OR21", "PUT", "/api/orders/{order_id}/accept", calls=A_SECOND, per=1)
TRACK_ORDER = Endpoint("OR23", "PUT", "/api/orders/{order_id}/tracking", calls=A_SECOND, per=1)
SHIP_ORDER = Endpoint("OR24", "PUT", "/api/orders/{order_id}/ship", calls=A_SECOND, per=1)
REFUND_LINES = Endpoint("OR28", "PUT", "/api/orders/refund", calls=A_SECOND, per=1)
CANCEL_ORDER = Endpoint("OR29", "PUT", "/api/orders/{order_id}/cancel", calls=A_SECOND, per=1)
CANCEL_UNITS = Endpoint("OR30", "PUT", "/api/orders/cancel", calls=A_SECOND, per=1)
MAKE_SHIPMENTS = Endpoint("ST01", "POST", "/api/shipments", calls=A_SECOND, per=1)
TRACK_SHIPMENTS = Endpoint("ST23", "POST", "/api/shipments/tracking", calls=A_SECOND, per=1)
ACCEPT_RETURNS = Endpoint("RT21", "PUT", "/api/returns/accept", calls=A_SECOND, per=1)
RECEIVE_RETURNS = Endpoint("RT25", "PUT", "/api/returns/receive", calls=A_SECOND, per=1)
JUDGE_RETURNS = Endpoint("RT26", "PUT", "/api/returns/compliance", calls=A_SECOND, per=1)
OFFERS_FILE = Endpoint("OF54", "GET", "/dynamic-url/The+URL+is+retrieved+from+OF53+output/OF54", calls=1, per=1, reads=True)
EXPORT_FILE = Endpoint("OR15", "GET", "/dynamic-url/The+URL+is+retrieved+from+OR14+output/OR15", calls=1, per=1, reads=True)

# "At each shipment page display": asked for one order at a time, when a parcel of it is to be told.
LIST_SHIPMENTS = Endpoint("ST11", "GET", "/api/shipments", calls=10, per=1, reads=True)

# No frequency is published at all, or "at display". Ours: they are asked by a person's check, at the start and once a day, no oftener.
VERSION = Endpoint("V01", "GET", "/api/version", calls=1, per=10, reads=True)
PLATFORM = Endpoint("PC01", "GET", "/api/platform/configuration", calls=1, per=10, reads=True)
REASONS = Endpoint("RE01", "GET", "/api/reasons", calls=1, per=10, reads=True)
