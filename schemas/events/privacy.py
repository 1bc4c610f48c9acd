"""What people want to know of what is held about them, and want forgotten. Streams: the subject's own; privacy-{id} of a request."""

from typing import Literal

from schemas.events.base import Event, Personal
from schemas.values import Instant, ShopId


class SubjectErased(Event, tag="subject_erased"):
    """The key of a subject (one buyer in one order) was destroyed: nothing that was sealed under it can be read any more, and nothing is
    sealed for it again. Who did it is the envelope's actor. Stream: the subject, which is its order's.
    """

    subject: str
    reason: str  # names nobody
    sealed: int = 0  # events whose sealed part is lost by it


class PrivacyAsked(Event, tag="privacy_asked"):
    """Shopify hands on that somebody wants to know what is held of them, or to be forgotten; or that the shop does. Who asks is sealed
    beside it, as PrivacyAsker. Source  the webhooks customers/data_request, customers/redact and shop/redact
    """

    request: str  # the stream's name, by which people call it
    kind: Literal["disclose", "erase", "erase_all"]
    orders: tuple[ShopId, ...]  # Shopify's, as far as they are named; some of them may be none of ours
    asked_at: Instant  # our clock
    due_at: Instant  # when it must have been done


class PrivacyAsker(Personal, tag="privacy_asker"):
    """Who asks, as Shopify knows them."""

    email: str = ""


class PrivacyAnswered(Event, tag="privacy_answered"):
    """It was done. Stream: the request's."""

    request: str
    subjects: int  # that were disclosed or erased; 0: nothing was held
    reason: str = ""


class SubjectDisclosed(Event, tag="subject_disclosed"):
    """All that is held of a subject was written down for whoever asked. Who did it is the envelope's actor. Stream: the subject."""

    subject: str
    reason: str
    request: str = ""  # whose it answers; "": a person's own doing
