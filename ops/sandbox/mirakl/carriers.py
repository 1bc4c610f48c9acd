"""Who carries a parcel: one of the marketplace's carriers by code, or another by name."""

from typing import Any

from ops.sandbox.mirakl.sale import Tracking
from ops.sandbox.mirakl.state import Account, RefusedError


def read(account: Account, wanted: dict[str, Any], *, url: str, is_one_of: str) -> Tracking:
    """What OR23, ST01, ST23 and RT04 say of it; `url` is what they call the address. Raises RefusedError.

    A registered carrier's own address is computed, and one that was sent is passed over.
    """
    tracking = Tracking(
        wanted.get("carrier_code"),
        wanted.get("carrier_name"),
        wanted.get("carrier_standard_code"),
        wanted.get(url),
        wanted.get("tracking_number"),
    )
    if tracking.carrier_code:
        carrier = next((carrier for carrier in account.carriers if carrier.code == tracking.carrier_code), None)
        if carrier is None:
            raise RefusedError(400, f"Carrier with code '{tracking.carrier_code}' not found")
        if carrier.tracking_url and "{trackingId}" in carrier.tracking_url and not tracking.number:
            raise RefusedError(400, f"The tracking number is mandatory for the carrier '{carrier.code}'")
        tracking.carrier_name = carrier.label
        tracking.carrier_standard_code = carrier.standard_code or tracking.carrier_standard_code
        tracking.url = carrier.tracking_url and carrier.tracking_url.replace("{trackingId}", tracking.number or "")
    elif not tracking.carrier_name:
        raise RefusedError(400, f"Either the carrier code or the carrier name of {is_one_of} is mandatory")
    elif not account.switches.alternative_carriers:
        raise RefusedError(400, "The carrier must be one of the marketplace's")
    return tracking
