"""Everything of Shopify: webhooks and reads into events, commands into calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from msgspec import structs

from adapters.download import Download
from adapters.http import Secret
from adapters.shopify.client import TARGET, Client, StaticToken, Tokens
from adapters.shopify.endpoints import (
    A_SECOND,
    HOLD_PLACE,
    HOLD_RELEASE,
    ORDER_CANCEL,
    ORDER_CREATE,
    REFUND_CREATE,
    RETURN_CREATE,
    TAGS_ADD,
)
from adapters.shopify.inbound.assessing import Counted, LinesReader
from adapters.shopify.inbound.changes import OrdersSweep, ShopOrderReader
from adapters.shopify.inbound.daily import DailySweep
from adapters.shopify.inbound.ears import SubscriptionsSweep
from adapters.shopify.inbound.orders import Orders
from adapters.shopify.inbound.stock import Counts, StockReader
from adapters.shopify.inbound.sweep import StockSweep
from adapters.shopify.outbound import returns, signals
from adapters.shopify.outbound.cancellation import Cancellation
from adapters.shopify.outbound.creation import QUIET, OrderCreation
from adapters.shopify.outbound.holds import Holds
from adapters.shopify.outbound.refunds import RefundRecords
from adapters.shopify.shop import Books, Subscriptions, define_order_id, findings
from adapters.shopify.translate.address import digest_key
from engine.adapter import Admission, Finding, Maps, Performer, Reader, Source
from engine.limits import CostBucket
from engine.metrics import Metrics
from engine.ports import Clock, Net, Rng
from schemas.commands import (
    CancelShopOrder,
    Command,
    CreateShopOrder,
    HoldShopOrder,
    RecordShopRefund,
    RecordShopReturn,
    ReleaseShopOrder,
    SignalOnOrder,
)
from schemas.values import ChannelId, TenantId

log = structlog.get_logger()


@dataclass(frozen=True)
class ShopifySettings:
    """One shop."""

    shop: str  # example.myshopify.com
    access_token: Secret
    webhook_secrets: tuple[Secret, ...]  # the app's client secret; during a rotation the one before, too
    webhook_token: Secret  # an unguessable piece of the webhook address; address digests are made with it, too
    callback_url: str = ""  # where Shopify reaches us, without that piece; "": subscriptions are left alone
    base_url: str = ""  # of a sandbox; "": https://{shop}
    api_version: str = "2026-10"
    sweep_every: float = 900.0  # seconds between two sweeps of stock and of orders
    daily_every: float = 86_400.0  # seconds between two lists of all orders in bulk
    subscriptions_every: float = 3600.0  # seconds between two looks at our webhook subscriptions
    orders_per_minute: int = 60 * A_SECOND  # development shops allow 5. Shopify, orderCreate, 2026-10
    relay_email: bool = False  # put the marketplace's relay address on the order: whoever ships it may then notify the buyer
    map_methods: bool = False  # refuse an order whose shipping method nobody has mapped; else it goes by the marketplace's label
    locations: Mapping[ChannelId, Counted] = field(default_factory=dict)  # of which locations a channel may sell; left out: of all


class NoMaps:
    """Nobody has said whose word is whose."""

    async def find(self, channel: ChannelId, kind: str, name: str) -> str | None:
        """Nothing."""
        return None


class Shopify:
    """One shop, wired up."""

    target = TARGET

    def __init__(
        self,
        settings: ShopifySettings,
        *,
        tenant: TenantId,
        net: Net,
        clock: Clock,
        rng: Rng,
        admission: Admission,
        metrics: Metrics,
        tokens: Tokens | None = None,
        maps: Maps | None = None,
    ) -> None:
        self._shop = settings.shop
        maps, home = maps or NoMaps(), settings.base_url or f"https://{settings.shop}"
        self.client = client = Client(
            base_url=home,
            version=settings.api_version,
            tokens=tokens or StaticToken(settings.access_token),
            net=net,
            clock=clock,
            rng=rng,
            admission=admission,
            bucket=CostBucket(clock),
            metrics=metrics,
            tenant=tenant,
        )
        key, books = digest_key(settings.webhook_token.reveal()), Books(client)
        orders, self.counts = Orders(client, tenant, key), Counts(client, tenant, metrics)
        self._subscriptions = Subscriptions(client, settings.callback_url, settings.webhook_token)
        self.lines = LinesReader(client, tenant, maps, books.currency, settings.locations)
        files = Download(target=TARGET, home=home, net=net)
        self._sweep = StockSweep(self.counts, client, files, settings.sweep_every)
        self.sources: Sequence[Source] = (
            OrdersSweep(orders, client, settings.sweep_every),
            self._sweep,
            SubscriptionsSweep(self._subscriptions, client, tenant, settings.subscriptions_every),
            DailySweep(orders, client, files, settings.daily_every),
        )
        self.readers: Sequence[Reader] = (ShopOrderReader(orders, client), StockReader(self.counts, client), self.lines)
        create = replace(ORDER_CREATE, endpoint=structs.replace(ORDER_CREATE.endpoint, calls=settings.orders_per_minute, per=60))
        creation = OrderCreation(create, books, maps, key=key, map_methods=settings.map_methods, relay_email=settings.relay_email)
        holds, cancellation, refunds, goods = Holds(), Cancellation(), RefundRecords(), returns.ReturnRecords()
        self.performs: Mapping[type[Command], Performer[Any]] = {
            CreateShopOrder: Performer(creation.perform, create.endpoint, look=creation.look, quiet=QUIET),
            HoldShopOrder: Performer(holds.hold, HOLD_PLACE.endpoint, look=holds.look_held),
            ReleaseShopOrder: Performer(holds.release, HOLD_RELEASE.endpoint, look=holds.look_released),
            CancelShopOrder: Performer(cancellation.perform, ORDER_CANCEL.endpoint, look=cancellation.look),
            RecordShopRefund: Performer(refunds.perform, REFUND_CREATE.endpoint, look=refunds.look),
            RecordShopReturn: Performer(goods.perform, RETURN_CREATE.endpoint, look=goods.look, quiet=returns.QUIET),
            SignalOnOrder: Performer(signals.signal, TAGS_ADD.endpoint),
        }

    async def probe(self) -> Sequence[Finding]:
        """Access, scopes, the order id's definition, webhooks, the API's version and its end, currency, clock; changes nothing."""
        return await findings(self.client, self._subscriptions, self._shop)

    async def prepare(self) -> None:
        """The order id's definition, which must be there before the first order, and our webhook subscriptions."""
        await define_order_id(self.client)
        if missing := await self._subscriptions.repair():
            log.info("subscribed to webhooks", topics=len(missing))

    async def aclose(self) -> None:
        await self._sweep.aclose()
        await self.client.aclose()
