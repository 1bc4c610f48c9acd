"""Orders whose state nobody knew are heard again once a person says that it works now: a poll hears only of what changed."""

from collections.abc import Sequence
from itertools import islice

from adapters.mirakl import wire
from adapters.mirakl.client import ASKED_TOGETHER, Client
from adapters.mirakl.inbound.orders import heard_of, not_before_its_time
from engine.adapter import Heard
from engine.ports import Clock
from schemas.envelope import Envelope
from schemas.events import Event
from schemas.events.exceptions import ExceptionRetried
from schemas.streams import order_stream
from schemas.values import OrderId

CODE = "X80"  # a state unknown to us


class AgainReader:
    """OR11, by id. It is a call by that ceiling, for which the next poll waits; people ask seldom, and for many at once."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self.name, self.target = f"mirakl:{client.place.channel}:again", f"mirakl:{client.place.channel}"
        self._client, self._clock = client, clock
        self._stream = order_stream(client.place.channel, OrderId(""))  # what those of our orders begin with

    def follows(self, event: Event) -> bool:
        """Of an order's own state: of a parcel's the key says more, and Shopify is asked."""
        return isinstance(event, ExceptionRetried) and event.key == f"{CODE}:{event.subject}" and event.subject.startswith(self._stream)

    async def read(self, hints: Sequence[Envelope]) -> Sequence[Heard]:
        retried = (hint.event for hint in hints if isinstance(hint.event, ExceptionRetried))
        orders = iter(dict.fromkeys(event.subject.removeprefix(self._stream) for event in retried))
        heard: list[Heard] = []
        while some := list(islice(orders, ASKED_TOGETHER)):
            heard += await self._read(some)
        return heard

    async def _read(self, orders: Sequence[str]) -> list[Heard]:
        asked_at = self._clock.now()

        def leaves() -> Sequence[tuple[str, str]]:
            nonlocal asked_at
            asked_at = self._clock.now()  # the ceiling may have let it wait
            return ("order_ids", ",".join(orders)), ("max", str(ASKED_TOGETHER))

        page, _ = await self._client.orders(leaves)
        found = [bytes(raw) for raw in page.orders or () if wire.identity(raw) in orders]  # an unknown filter would be none
        return not_before_its_time(heard_of(self._client, found, self._clock.now()), asked_at)
