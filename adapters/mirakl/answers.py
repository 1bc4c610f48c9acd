"""What Mirakl answers to all else, field for field of what we use. As in wire.py, any key may be absent or null."""

from msgspec import Struct

from adapters.mirakl.wire import NONE, Amount, Text


class UpdateError(Struct):
    code: str | None = None
    field: str | None = None
    message: str | None = None


class UpdatedOrder(Struct):
    order_id: Text = None
    errors: list[UpdateError] | None = None


class UpdatedOrders(Struct):
    """OR04: what went wrong stands beside each order, in a 200."""

    updated_orders: list[UpdatedOrder] | None = None


class ImportAccepted(Struct):
    import_id: Text = None


class ImportStatus(Struct):
    status: str | None = None
    has_error_report: bool | None = None


class Account(Struct):
    shop_id: Text = None
    shop_name: Text = None
    shop_state: str | None = None
    currency_iso_code: str | None = None


class Shipment(Struct):
    multi_shipment: bool | None = None


class Workflows(Struct):
    order_acceptance: str | None = None


class Returns(Struct):
    marketplace: bool | None = None


class Features(Struct):
    shipment: Shipment | None = None
    order_workflows: Workflows | None = None
    order_tax_mode: str | None = None
    returns: Returns | None = None
    disable_seller_alternative_carrier: bool | None = None


class Platform(Struct):
    features: Features | None = None


class Carrier(Struct):
    code: Text = None
    label: Text = None


class Carriers(Struct):
    carriers: list[Carrier] | None = None


class RefundMade(Struct):
    refund_id: Text = None
    order_line_id: Text = None


class RefundsMade(Struct):
    """OR28."""

    refunds: list[RefundMade] | None = None


class CancelationMade(Struct):
    cancelation_id: Text = None
    order_line_id: Text = None


class CancelationsMade(Struct):
    """OR30."""

    cancelations: list[CancelationMade] | None = None


class ShipmentLine(Struct):
    order_line_id: Text = None
    quantity: Amount = NONE


class ShipmentTracking(Struct):
    carrier_code: Text = None
    carrier_name: Text = None
    tracking_number: Text = None
    tracking_url: Text = None


class Parcel(Struct):
    """A shipment, as ST01 and ST11 tell of it."""

    id: Text = None
    order_id: Text = None
    invoice_reference: Text = None
    status: str | None = None
    shipment_lines: list[ShipmentLine] | None = None
    tracking: ShipmentTracking | None = None


class ItemError(Struct):
    """What became of one of many: a shipment, a return."""

    id: Text = None
    message: str | None = None


class ParcelsMade(Struct):
    """ST01 and ST23: a success code, whatever became of each."""

    shipment_success: list[Parcel] | None = None
    shipment_errors: list[ItemError] | None = None


class ParcelPage(Struct):
    """ST11."""

    data: list[Parcel] | None = None
    next_page_token: str | None = None


class ReturnsAnswered(Struct):
    """RT21, RT25 and RT26: a success code, whatever became of each."""

    return_success: list[ItemError] | None = None
    return_errors: list[ItemError] | None = None


class ExportAccepted(Struct):
    """OR13."""

    tracking_id: Text = None


class ExportStatus(Struct):
    """OR14."""

    status: str | None = None
    urls: list[str] | None = None


class ShippingType(Struct):
    code: Text = None
    mandatory_tracking: bool | None = None


class ShippingTypes(Struct):
    """SH12."""

    shipping_types: list[ShippingType] | None = None


class Reason(Struct):
    code: Text = None
    type: str | None = None
    is_shop_right: bool | None = None


class Reasons(Struct):
    """RE01."""

    reasons: list[Reason] | None = None
