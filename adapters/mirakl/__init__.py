"""Mirakl: orders polled, accepted and shipped; stock published. One seller account on one marketplace."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import anyio
import msgspec

from adapters.http import Http, Secret
from adapters.mirakl import wire
from adapters.mirakl.endpoints import ACCOUNT, CARRIERS, LIST_ORDERS, PLATFORM, VERSION, Client
from adapters.mirakl.inbound import OrdersSource
from adapters.mirakl.outbound import PERFORMS
from adapters.mirakl.translate import Place
from engine.adapter import Admission, Endpoint, Finding, Performer, Reader, Source
from engine.errors import AdapterError, AuthError, StartupError
from engine.metrics import Metrics
from engine.ports import Clock, Net
from schemas.commands import Command
from schemas.values import ChannelId, TenantId

PATIENCE = 45.0  # seconds of the event loop; some answers may be asked for once a day only, and a check must not wait for tomorrow
SKEW = 300.0  # seconds between their clock and ours before somebody should look; the overlap of the polls bears more


@dataclass(frozen=True, kw_only=True)
class MiraklSettings:
    """One seller account: where it is, and how it is to be asked."""

    channel: ChannelId
    base_url: str
    api_key: Secret
    shop_id: int
    carriers: Mapping[str, str] = field(default_factory=dict)  # company as written in Shopify -> carrier code; compared without case
    tax_mode: Literal["TAX_INCLUDED", "TAX_EXCLUDED", ""] = "TAX_INCLUDED"  # "": the platform's own
    orders_every: float = 300.0  # seconds between two polls; the recommended rate
    orders_ceiling: float = 60.0  # seconds between two calls of OR11; the published maximum. 900 for an External Partner's key
    order_overlap: float = 1800.0  # seconds that a poll reaches back beyond the last one
    first_look_days: int = 14  # how far back the first poll reaches
    settle_every: float = 15.0  # seconds between two looks at a stock file's progress; the published maximum

    def __post_init__(self) -> None:
        names = [name.strip().casefold() for name in self.carriers]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise StartupError(f"the carriers of {self.channel} name {twice[0]!r} twice: case makes no difference")


class Mirakl:
    """engine.adapter.Adapter for one channel."""

    def __init__(
        self, settings: MiraklSettings, *, tenant: TenantId, net: Net, clock: Clock, admission: Admission, metrics: Metrics
    ) -> None:
        self.target = f"mirakl:{settings.channel}"
        self._settings, self._clock = settings, clock
        http = Http(
            target=self.target,
            base_url=settings.base_url,
            net=net,
            clock=clock,
            admission=admission,
            metrics=metrics,
            headers=lambda: {"Authorization": settings.api_key.reveal()},
        )
        self.client = Client(
            http=http,
            metrics=metrics,
            place=Place(tenant, settings.channel, settings.tax_mode),
            shop_id=settings.shop_id,
            list_orders=msgspec.structs.replace(LIST_ORDERS, per=max(LIST_ORDERS.per, settings.orders_ceiling)),
            settle_every=settings.settle_every,
            carriers=MappingProxyType({name.strip().casefold(): code for name, code in settings.carriers.items()}),
        )
        orders = OrdersSource(
            self.client,
            clock,
            every=settings.orders_every,
            overlap=settings.order_overlap,
            first_look_days=settings.first_look_days,
        )
        self.sources: Sequence[Source] = (orders,)
        self.readers: Sequence[Reader] = ()
        self.performs: Mapping[type[Command], Performer[Any]] = PERFORMS

    async def prepare(self) -> None:
        """Nothing of ours has to stand on a marketplace."""

    async def aclose(self) -> None:
        await self.client.http.aclose()

    # ------------------------------------------------------------ probe

    async def probe(self) -> Sequence[Finding]:
        reached = await self._ask("address", VERSION, self._version)
        if not all(finding.ok for finding in reached):
            return reached
        return [
            *reached,
            *await self._ask("key and shop", ACCOUNT, self._account),
            *await self._ask("platform", PLATFORM, self._platform),
            *await self._ask("carriers", CARRIERS, self._carriers),
        ]

    async def _ask(self, what: str, endpoint: Endpoint, look: Callable[[Endpoint], Awaitable[list[Finding]]]) -> list[Finding]:
        """What one question told; its failure is a finding too."""
        try:
            with anyio.fail_after(PATIENCE):
                return await look(endpoint)
        except TimeoutError:
            return [Finding(what, ok=True, detail=f"{endpoint.code} was asked lately and may not be asked again yet")]
        except AuthError as error:
            fix = f"take a key of a user of shop {self._settings.shop_id} with the role to manage orders and offers"
            return [Finding(what, ok=False, detail=str(error), fix=fix)]
        except AdapterError as error:
            return [Finding(what, ok=False, detail=str(error), fix=f"see that base_url of {self._settings.channel} is the seller's API")]

    async def _version(self, endpoint: Endpoint) -> list[Finding]:
        """V01 only says that it is up; its body is not to be relied on. The answer's date is their clock."""
        reply = await self.client.send(endpoint, expect="nothing")
        findings = [Finding("address", ok=True, detail="answers")]
        if reply.date is not None:
            offset = (reply.date - self._clock.now()).total_seconds()
            fix = "set this machine's clock by NTP; if it is right, theirs is wrong"
            findings.append(Finding("clock", ok=abs(offset) < SKEW, detail=f"theirs minus ours: {offset:+.0f} s", fix=fix))
        return findings

    async def _account(self, endpoint: Endpoint) -> list[Finding]:
        account = self.client.read(endpoint, await self.client.send(endpoint, expect="json"), wire.Account)
        ours = self._settings.shop_id
        right = str(account.shop_id) == str(ours)
        seen = f"shop {account.shop_id} ({account.shop_name}), in {account.currency_iso_code}"
        state = account.shop_state or "unknown"
        return [
            Finding("key and shop", ok=right, detail=seen, fix=f"set shop_id of {self._settings.channel} to {account.shop_id}, not {ours}"),
            Finding("shop state", ok=state == "OPEN", detail=state, fix="open the shop in the marketplace's back office"),
        ]

    async def _platform(self, endpoint: Endpoint) -> list[Finding]:
        """PC01: what decides the flow of orders."""
        platform = self.client.read(endpoint, await self.client.send(endpoint, expect="json"), wire.Platform)
        features = platform.features or wire.Features()
        single = not (features.shipment and features.shipment.multi_shipment)
        acceptance = (features.order_workflows and features.order_workflows.order_acceptance) or "unknown"
        fix = "ask the operator to switch multi_shipment off for this shop: whole orders are shipped, by OR23 and OR24"
        return [
            Finding("shipment", ok=single, detail="single" if single else "multi_shipment", fix=fix),
            Finding("acceptance", ok=True, detail=acceptance),
            Finding("tax mode", ok=True, detail=f"{self._settings.tax_mode or 'not asked for'}; the platform's: {features.order_tax_mode}"),
        ]

    async def _carriers(self, endpoint: Endpoint) -> list[Finding]:
        """Each carrier of the settings must be one of theirs: a wrong code is refused when an order ships."""
        answer = self.client.read(endpoint, await self.client.send(endpoint, expect="json"), wire.Carriers)
        theirs = sorted(str(carrier.code) for carrier in answer.carriers or ())
        known = ", ".join(theirs) or "none"
        if not self._settings.carriers:
            fix = f"map each carrier written in Shopify to a code of theirs: {known}"
            return [Finding("carriers", ok=False, detail="none is mapped", fix=fix)]
        return [
            Finding(f"carrier {name}", ok=code in theirs, detail=code, fix=f"codes are compared as written; theirs: {known}")
            for name, code in sorted(self._settings.carriers.items())
        ]
