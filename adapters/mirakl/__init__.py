"""Mirakl: orders, returns and the platform heard; orders, parcels, money and stock told. One seller account on one marketplace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from adapters.http import Http, Secret
from adapters.mirakl.client import Client
from adapters.mirakl.endpoints import LIST_ORDERS
from adapters.mirakl.inbound.again import AgainReader
from adapters.mirakl.inbound.count import CountSource
from adapters.mirakl.inbound.offers import OffersSource
from adapters.mirakl.inbound.orders import OrdersSource
from adapters.mirakl.inbound.platform import PlatformSource
from adapters.mirakl.inbound.returns import ReturnsSource
from adapters.mirakl.inbound.sweep import SweepSource
from adapters.mirakl.outbound import PERFORMS
from adapters.mirakl.probe import probed
from adapters.mirakl.translate.story import Place
from engine.adapter import Admission, Finding, Maps, Performer, Reader, Source
from engine.errors import StartupError
from engine.metrics import Metrics
from engine.ports import Clock, Net
from schemas.commands import Command
from schemas.values import ChannelId, TenantId


@dataclass(frozen=True, kw_only=True)
class Blocked:
    """Somebody whose orders a person wants to see first."""

    name: str  # of the entry, for people; names nobody
    mark: str  # translate.buyers.buyer_mark, with the key below


@dataclass(frozen=True, kw_only=True)
class MiraklSettings:
    """One seller account: where it is, and how it is to be asked."""

    channel: ChannelId
    base_url: str
    api_key: Secret
    shop_id: int
    # Company as written in Shopify -> carrier code, or `name:` and the name of one that they do not list; compared without case.
    carriers: Mapping[str, str] = field(default_factory=dict)
    # cancel, refund or a Shopify return reason -> code of a refund in RE01; cancelation -> code of a cancelation; likewise.
    reasons: Mapping[str, str] = field(default_factory=dict)
    blocklist: Sequence[Blocked] = ()
    blocklist_key: bytes = field(default=b"", repr=False)
    test_field: str = "test-order"  # code of the additional field by which the operator marks test orders; "": there is none
    tax_mode: Literal["TAX_INCLUDED", "TAX_EXCLUDED", ""] = "TAX_INCLUDED"  # "": the platform's own
    orders_every: float = 300.0  # seconds between two polls; the recommended rate
    orders_ceiling: float = 60.0  # seconds between two calls of OR11; the published maximum. 900 for an External Partner's key
    order_overlap: float = 1800.0  # seconds that a poll reaches back beyond the last one; less where more than a page has changed in them
    pages_count: bool = True  # whether each page of a list is a call by the ceiling: yes until the operator says no
    first_look_days: int = 14  # how far back the first poll reaches
    returns_every: float = 900.0  # seconds between two polls; the recommended rate
    sweep_every: float = 86400.0  # seconds between two sweeps of all that changed of late
    settle_every: float = 15.0  # seconds between two looks at a stock file's progress; the published maximum
    settle_within: float = 1800.0  # seconds after which a stock file that is still worked on is given up
    offers_every: float = 300.0  # seconds between two readings of the offers that changed; the recommended rate

    def __post_init__(self) -> None:
        for what, mapped in (("carriers", self.carriers), ("reasons", self.reasons)):
            names = [name.strip().casefold() for name in mapped]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise StartupError(f"the {what} of {self.channel} name {twice[0]!r} twice: case makes no difference")


class SettingsMaps:
    """engine.adapter.Maps of what the settings say, and nothing else."""

    def __init__(self, settings: MiraklSettings) -> None:
        self._maps = {
            kind: {name.strip().casefold(): value for name, value in mapped.items()}
            for kind, mapped in (("carrier", settings.carriers), ("reason", settings.reasons))
        }

    async def find(self, channel: ChannelId, kind: str, name: str) -> str | None:
        return self._maps.get(kind, {}).get(name.strip().casefold())


class Mirakl:
    """engine.adapter.Adapter for one channel."""

    def __init__(
        self,
        settings: MiraklSettings,
        *,
        tenant: TenantId,
        net: Net,
        clock: Clock,
        admission: Admission,
        metrics: Metrics,
        maps: Maps | None = None,  # None: what the settings say
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
        blocklist = {blocked.mark.lower(): blocked.name for blocked in settings.blocklist}
        self.client = Client(
            http=http,
            metrics=metrics,
            place=Place(tenant, settings.channel, settings.tax_mode, settings.test_field, blocklist, settings.blocklist_key),
            maps=maps or SettingsMaps(settings),
            shop_id=settings.shop_id,
            list_orders=msgspec.structs.replace(LIST_ORDERS, per=max(LIST_ORDERS.per, settings.orders_ceiling)),
            pages_count=settings.pages_count,
            settle_every=settings.settle_every,
            settle_within=settings.settle_within,
        )
        overlap, first_look_days = settings.order_overlap, settings.first_look_days
        orders = OrdersSource(self.client, clock, every=settings.orders_every, overlap=overlap, first_look_days=first_look_days)
        self.offers = OffersSource(self.client, clock, every=settings.offers_every)
        self.sources: Sequence[Source] = (
            orders,
            PlatformSource(self.client, clock),
            ReturnsSource(self.client, clock, every=settings.returns_every, overlap=overlap, first_look_days=first_look_days),
            CountSource(self.client, clock, orders, overlap=overlap),
            self.offers,
            SweepSource(self.client, clock, every=settings.sweep_every, first_look_days=first_look_days),
        )
        self.readers: Sequence[Reader] = (AgainReader(self.client, clock),)
        self.performs: Mapping[type[Command], Performer[Any]] = PERFORMS

    async def prepare(self) -> None:
        """Nothing of ours has to stand on a marketplace."""

    async def probe(self) -> Sequence[Finding]:
        settings = self._settings
        return await probed(self.client, self._clock, carriers=settings.carriers, reasons=settings.reasons)

    async def aclose(self) -> None:
        await self.client.http.aclose()
