"""Our own ears: whether Shopify still tells us anything unasked."""

import structlog

from adapters.shopify.client import TARGET, Client
from adapters.shopify.shop import Subscriptions
from adapters.shopify.translate.marks import fact
from engine.adapter import Heard, Sight
from schemas.events import Event
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened
from schemas.values import TenantId

log = structlog.get_logger()


class SubscriptionsSweep:
    """Shopify takes a subscription away after eight failures. What was lost meanwhile the other sweeps read; somebody should know why."""

    name, target = "shopify:webhooks", TARGET

    def __init__(self, subscriptions: Subscriptions, client: Client, tenant: TenantId, every: float) -> None:
        self._subscriptions, self._client, self._tenant, self.every = subscriptions, client, tenant, every

    async def poll(self, cursor: str | None) -> Sight:
        now = self._client.clock.now()
        repaired = await self._subscriptions.repair()
        stream = "hint-webhooks:subscriptions"
        if repaired:
            log.warning("webhook subscriptions were missing", topics=len(repaired))
        opened = (cursor or "").startswith("repaired ")
        event: Event | None = None
        if repaired and cursor is not None:  # the first time there is nothing to miss
            summary = f"webhooks had stopped for {', '.join(repaired[:5])}{' …' if len(repaired) > 5 else ''}; subscribed again"
            event = ExceptionOpened(key="X18:webhooks", code="X18", subject=stream, summary=summary, severity=3)
        elif opened:
            event = ExceptionClosed(key="X18:webhooks", reason="all subscriptions are in place")
        heard = [Heard(stream, fact(self._tenant, event, f"webhooks@{now.isoformat()}", now))] if event else []
        return Sight(heard, f"{'repaired ' if repaired and cursor is not None else ''}{now.isoformat()}")
