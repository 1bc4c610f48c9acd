"""Which carrier of theirs a parcel goes by: said by somebody, never guessed."""

from typing import Any

from msgspec import Struct

from adapters.http import scrub
from adapters.mirakl.client import Client
from engine.adapter import Refused
from schemas.values import ChannelId

BY_NAME = "name:"  # a mapping to `name:DPD UK` names a carrier that they do not list


class Carrier(Struct, frozen=True):
    """One of theirs by its code, or another by its name."""

    code: str = ""
    name: str = ""

    def tracking(self, number: str, url: str, url_field: str) -> dict[str, Any]:
        """As OR23, ST01 and ST23 take it. Of a registered carrier they make the address of the tracking page themselves."""
        if self.code:
            return {"carrier_code": self.code} | ({"tracking_number": number} if number else {})
        told = {"carrier_name": self.name, "tracking_number": number, url_field: url}
        return {field: value for field, value in told.items() if value}


async def carrier_of(client: Client, channel: ChannelId, written: str) -> Carrier | Refused:
    """`written` is the company as it stands in Shopify."""
    if not written.strip():
        return Refused("a fulfilment without a carrier: write it in Shopify", field="carrier")
    mapped = await client.maps.find(channel, "carrier", written)
    if not mapped:
        return Refused(f"the carrier {scrub(written)!r} is mapped to none of {channel}", field="carrier", word=written.strip())
    if not mapped.startswith(BY_NAME):
        return Carrier(code=mapped)
    if client.platform is not None and not client.platform.own_carriers:
        return Refused(
            f"the carrier {scrub(written)!r} is mapped to a name, and {channel} takes none but its own carriers", field="carrier"
        )
    return Carrier(name=mapped.removeprefix(BY_NAME).strip())
