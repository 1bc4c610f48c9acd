"""What a payload is told as."""

from typing import Any

import msgspec

from adapters.mirakl.translate.orders import hear
from adapters.mirakl.translate.story import Place
from engine.adapter import Heard
from schemas.events.exceptions import ExceptionOpened
from schemas.events.orders import DeliveryAddress, DeliveryAddressGiven, OrderPlaced
from schemas.values import ChannelId, OrderLine, TenantId
from tests.contract.mirakl.payloads import Payload, line, order
from tests.loopback import NOW

PLACE = Place(TenantId("t"), ChannelId("asos"), "TAX_INCLUDED")


def told(payload: Payload, place: Place = PLACE) -> list[Heard]:
    return hear(msgspec.json.encode(payload), place, NOW)


def placed(payload: Payload, place: Place = PLACE) -> OrderPlaced:
    event = told(payload, place)[0].fact.event
    assert isinstance(event, OrderPlaced), event
    return event


def the_line(**more: Any) -> OrderLine:
    return placed(order(line(**more))).lines[0]


def refused(payload: Payload, place: Place = PLACE) -> str:
    event = told(payload, place)[0].fact.event
    assert isinstance(event, ExceptionOpened), event
    return event.field


def address_in(payload: Payload) -> tuple[DeliveryAddressGiven, DeliveryAddress]:
    [fact] = [each.fact for each in told(payload) if isinstance(each.fact.event, DeliveryAddressGiven)]
    assert isinstance(fact.event, DeliveryAddressGiven) and isinstance(fact.personal, DeliveryAddress)
    return fact.event, fact.personal
