"""Whether a buyer is one at whom a person wants to look first. Only keyed digests are compared, and only the entry's name is told."""

import hashlib
import hmac
from collections.abc import Iterator

from adapters.mirakl import wire
from adapters.mirakl.translate.story import Story
from adapters.mirakl.translate.values import text
from engine.adapter import Heard
from schemas.events.orders import BuyerFlagged
from schemas.values import Instant


def buyer_mark(key: bytes, value: str) -> str:
    """HMAC-SHA-256 in hexadecimal of what stands in a blocklist: a customer_id, a relay address, or `lastname|zip`. Case makes no
    difference. Whoever reads one without the key cannot try out whose it is.
    """
    return hmac.digest(key, value.strip().casefold().encode(), hashlib.sha256).hex()


def flags(order: wire.Order, story: Story, placed_at: Instant) -> Iterator[Heard]:
    if not story.place.blocklist:
        return
    marks = (buyer_mark(story.place.blocklist_key, value) for value in _known_by(order))
    found = {story.place.blocklist[mark] for mark in marks if mark in story.place.blocklist}
    for entry in sorted(found):
        flagged = BuyerFlagged(channel=story.channel, order_id=story.order_id, entry=entry)
        yield story.heard(flagged, placed_at, entry)


def _known_by(order: wire.Order) -> Iterator[str]:
    """All by which a buyer may be known."""
    if email := text(order.customer_notification_email).strip():
        yield email
    if order.customer is None:
        return
    if customer_id := text(order.customer.customer_id).strip():
        yield customer_id
    if (address := order.customer.shipping_address) is not None:
        for last_name in (address.lastname, order.customer.lastname):
            if text(last_name).strip() and text(address.zip_code).strip():
                yield f"{text(last_name).strip()}|{text(address.zip_code).strip()}"
