"""How a marketplace is configured, read once a day. It stays in the cursor, since some of it may be asked for once a day only."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import anyio
import msgspec
from msgspec import Struct

from adapters.mirakl import answers
from adapters.mirakl.client import Client
from adapters.mirakl.endpoints import CARRIERS, PLATFORM, REASONS, SHIPPING_TYPES
from adapters.mirakl.translate.story import fingerprint, of_channel
from engine.adapter import Endpoint, Sight
from engine.ports import Clock
from schemas.events.channels import PlatformSeen
from schemas.values import Instant

DAY = 86400.0  # seconds
AGAIN = 3600.0  # seconds, where a list could not be asked for yet
PATIENCE = 45.0  # seconds of the event loop that a list is waited for
T = TypeVar("T", bound=Struct)


class Cursor(Struct, frozen=True):
    read_at: Instant
    seen: PlatformSeen
    whole: bool = True  # False: a list is missing or old, since it had been asked for within a day


class PlatformSource:
    """PC01, SH12, SH21, RE01."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self.name, self.target = f"mirakl:{client.place.channel}:platform", f"mirakl:{client.place.channel}"
        self._client, self._clock = client, clock
        self.every = DAY

    async def poll(self, cursor: str | None) -> Sight:
        known = None if cursor is None else msgspec.json.decode(cursor, type=Cursor)
        if known is not None:
            self._client.platform = known.seen
            rest = (known.read_at + timedelta(seconds=DAY if known.whole else AGAIN) - self._clock.now()).total_seconds()
            if 0.0 < rest <= DAY:
                self.every = rest
                return Sight((), cursor or "")
        seen, whole = await self._read(known.seen if known is not None else None)
        self._client.platform, self.every = seen, DAY if whole else AGAIN
        now = self._clock.now()
        told = of_channel(seen, self._client.place, now, fingerprint(seen), now.isoformat(), same=lambda last: last == seen)
        return Sight((told,), msgspec.json.encode(Cursor(now, seen, whole)).decode())

    async def _read(self, known: PlatformSeen | None) -> tuple[PlatformSeen, bool]:
        """What stands now, and whether every list of it was read; one that was not is as it was known."""
        features = (await self._ask(PLATFORM, answers.Platform)).features or answers.Features()
        reasons = await self._ask(REASONS, answers.Reasons)
        carriers = await self._patiently(lambda: self._ask(CARRIERS, answers.Carriers))
        methods = await self._patiently(lambda: self._ask(SHIPPING_TYPES, answers.ShippingTypes))
        known = known or PlatformSeen(channel=self._client.place.channel, multi_shipment=False)
        ways = [] if methods is None else [way for way in methods.shipping_types or () if way.code is not None]
        seen = PlatformSeen(
            channel=self._client.place.channel,
            multi_shipment=bool(features.shipment and features.shipment.multi_shipment),
            acceptance=(features.order_workflows and features.order_workflows.order_acceptance) or "",
            tax_mode=features.order_tax_mode or "",
            returns=bool(features.returns and features.returns.marketplace),
            own_carriers=not features.disable_seller_alternative_carrier,
            carriers=known.carriers if carriers is None else _codes(carriers.carriers),
            tracked_methods=known.tracked_methods if methods is None else _codes([way for way in ways if way.mandatory_tracking]),
            methods=known.methods if methods is None else _codes(ways),
            refund_reasons=_codes([each for each in reasons.reasons or () if each.type == "REFUND" and each.is_shop_right]),
        )
        return seen, carriers is not None and methods is not None

    async def _ask(self, endpoint: Endpoint, kind: type[T]) -> T:
        return self._client.read(endpoint, await self._client.send(endpoint, expect="json"), kind)

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        """None where the limiter would let us wait for tomorrow."""
        with anyio.move_on_after(PATIENCE):
            return await ask()
        return None


def _codes(items: list[answers.Carrier] | list[answers.ShippingType] | list[answers.Reason] | None) -> tuple[str, ...]:
    return tuple(sorted({str(item.code) for item in items or () if item.code is not None}))
