"""Everything of Shopify: webhooks and reads into events, commands into calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from msgspec import structs

from adapters.http import Secret
from adapters.shopify.client import TARGET, Client, StaticToken, Tokens
from adapters.shopify.endpoints import ORDER_CREATE
from adapters.shopify.inbound import Counts, Orders, OrdersSweep, ShopOrderReader, StockReader, StockSweep, SubscriptionsSweep
from adapters.shopify.outbound import QUIET, OrderCreation
from adapters.shopify.shop import Subscriptions, define_order_id, findings
from engine.adapter import Admission, Finding, Performer, Reader, Source
from engine.limits import CostBucket
from engine.metrics import Metrics
from engine.ports import Clock, Net, Rng
from schemas.commands import Command, CreateShopOrder
from schemas.values import TenantId

log = structlog.get_logger()


@dataclass(frozen=True)
class ShopifySettings:
    """One shop."""

    shop: str  # example.myshopify.com
    access_token: Secret
    webhook_secrets: tuple[Secret, ...]  # the app's client secret; during a rotation the one before, too
    webhook_token: Secret  # an unguessable piece of the webhook address
    callback_url: str = ""  # where Shopify reaches us, without that piece; "": subscriptions are left alone
    base_url: str = ""  # of a sandbox; "": https://{shop}
    api_version: str = "2026-10"
    sweep_every: float = 900.0  # seconds between two sweeps of stock and of orders
    subscriptions_every: float = 3600.0  # seconds between two looks at our webhook subscriptions
    orders_per_minute: int = 120  # ours; development shops allow 5. Shopify, orderCreate, 2026-10
    relay_email: bool = False  # put the marketplace's relay address on the order: whoever ships it may then notify the buyer


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
    ) -> None:
        self._shop = settings.shop
        self.client = client = Client(
            base_url=settings.base_url or f"https://{settings.shop}",
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
        orders, counts = Orders(client, tenant), Counts(client, tenant, metrics)
        self._subscriptions = Subscriptions(client, settings.callback_url, settings.webhook_token)
        self.sources: Sequence[Source] = (
            OrdersSweep(orders, client, settings.sweep_every),
            StockSweep(counts, client, tenant, settings.sweep_every),
            SubscriptionsSweep(self._subscriptions, client, tenant, settings.subscriptions_every),
        )
        self.readers: Sequence[Reader] = (ShopOrderReader(orders, client), StockReader(counts, client))
        create = replace(ORDER_CREATE, endpoint=structs.replace(ORDER_CREATE.endpoint, calls=settings.orders_per_minute, per=60))
        creation = OrderCreation(create, relay_email=settings.relay_email)
        self.performs: Mapping[type[Command], Performer[Any]] = {
            CreateShopOrder: Performer(creation.perform, create.endpoint, look=creation.look, quiet=QUIET)
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
        await self.client.aclose()
