"""How a marketplace is configured, read once a day. It stays in the cursor, since some of it may be asked for once a day only."""

from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from adapters.mirakl import answers
from adapters.mirakl.client import Client
from adapters.mirakl.endpoints import CARRIERS, PLATFORM, REASONS, SHIPPING_TYPES
from adapters.mirakl.translate.story import fingerprint, of_channel
from engine.adapter import Endpoint, Sight
from engine.errors import ThrottledError
from engine.ports import Clock
from schemas.events.channels import PlatformSeen
from schemas.values import Instant

DAY = 86400.0  # seconds
AGAIN = 3600.0  # seconds, where a list could not be asked for yet
LISTS = (CARRIERS, SHIPPING_TYPES)  # each may be asked for once a day
T = TypeVar("T", bound=Struct)


class Cursor(Struct, frozen=True, omit_defaults=True):
    read_at: Instant | None  # of all that was told; None: nothing yet
    seen: PlatformSeen
    whole: bool = True  # False: a list is missing or old, since it had been asked for within a day
    fresh: tuple[str, ...] = ()  # lists in `seen` that were read for what is told next, by their endpoints


class PlatformSource:
    """PC01, SH12, SH21, RE01."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self.name, self.target = f"mirakl:{client.place.channel}:platform", f"mirakl:{client.place.channel}"
        self._client, self._clock = client, clock
        self.every = DAY

    async def poll(self, cursor: str | None) -> Sight:
        known = Cursor(None, PlatformSeen(channel=self._client.place.channel, multi_shipment=False))
        if cursor is not None:
            known = msgspec.json.decode(cursor, type=Cursor)
        if known.read_at is not None:
            self._client.platform = known.seen
            rest = (known.read_at + timedelta(seconds=DAY if known.whole else AGAIN) - self._clock.now()).total_seconds()
            if 0.0 < rest <= DAY and not known.fresh:
                self.every = rest
                return Sight((), cursor or "")
        # What may be asked for once a day is committed list by list, lest a crash cost it for the day.
        if CARRIERS.code not in known.fresh and (carriers := await self._if_allowed(CARRIERS, answers.Carriers)) is not None:
            return self._so_far(known, CARRIERS, replace(known.seen, carriers=_codes(carriers.carriers)))
        if SHIPPING_TYPES.code not in known.fresh and (types := await self._if_allowed(SHIPPING_TYPES, answers.ShippingTypes)) is not None:
            ways = [way for way in types.shipping_types or () if way.code is not None]
            tracked = _codes([way for way in ways if way.mandatory_tracking])
            return self._so_far(known, SHIPPING_TYPES, replace(known.seen, methods=_codes(ways), tracked_methods=tracked))
        seen, whole = await self._read(known.seen), len(known.fresh) == len(LISTS)
        self._client.platform, self.every = seen, DAY if whole else AGAIN
        now = self._clock.now()
        told = of_channel(seen, self._client.place, now, fingerprint(seen), now.isoformat(), same=lambda last: last == seen)
        return Sight((told,), _written(Cursor(now, seen, whole)))

    def _so_far(self, known: Cursor, endpoint: Endpoint, seen: PlatformSeen) -> Sight:
        return Sight((), _written(replace(known, seen=seen, fresh=(*known.fresh, endpoint.code))), again=0.0)

    async def _read(self, known: PlatformSeen) -> PlatformSeen:
        """What stands now, with the lists as they are known."""
        features = (await self._ask(PLATFORM, answers.Platform)).features or answers.Features()
        reasons = await self._ask(REASONS, answers.Reasons)
        return replace(
            known,
            multi_shipment=bool(features.shipment and features.shipment.multi_shipment),
            acceptance=(features.order_workflows and features.order_workflows.order_acceptance) or "",
            tax_mode=features.order_tax_mode or "",
            returns=bool(features.returns and features.returns.marketplace),
            own_carriers=not features.disable_seller_alternative_carrier,
            refund_reasons=_codes([each for each in reasons.reasons or () if each.type == "REFUND" and each.is_shop_right]),
        )

    async def _ask(self, endpoint: Endpoint, kind: type[T]) -> T:
        return self._client.read(endpoint, await self._client.send(endpoint, expect="json"), kind)

    async def _if_allowed(self, endpoint: Endpoint, kind: type[T]) -> T | None:
        """None where the limiter would let us wait for tomorrow."""
        with suppress(ThrottledError):
            return await self._ask(endpoint, kind)
        return None


def _written(cursor: Cursor) -> str:
    return msgspec.json.encode(cursor).decode()


def _codes(items: list[answers.Carrier] | list[answers.ShippingType] | list[answers.Reason] | None) -> tuple[str, ...]:
    return tuple(sorted({str(item.code) for item in items or () if item.code is not None}))
