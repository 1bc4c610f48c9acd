"""What must be in place in the shop before work starts: the definition that makes order ids unique, webhook subscriptions, scopes."""

from collections.abc import Iterator
from datetime import date

from adapters.http import Secret
from adapters.shopify import wire
from adapters.shopify.client import TARGET, Client, insist
from adapters.shopify.endpoints import (
    DEFINITION,
    DEFINITION_CREATE,
    SCOPES,
    SHOP_PROBE,
    SUBSCRIPTION_CREATE,
    SUBSCRIPTION_DELETE,
    SUBSCRIPTIONS,
    TOPICS,
)
from adapters.shopify.inbound.paging import check_that_it_goes_on
from engine.adapter import Finding
from engine.errors import AdapterError, AuthError, StartupError, UnavailableError
from schemas.commands import Lane
from schemas.values import minor_digits

DAYS_OF_GRACE = 60  # before a version of the API ends: time to test and release
CLOCK_TOLERANCE = 30.0  # seconds; the sweeps' overlap bears twenty times as much

_DEFINITION_INPUT = {
    "name": "Mirakl order id",
    "namespace": "$app",
    "key": "mirakl_order_id",
    "ownerType": "ORDER",
    "type": "id",
    "access": {"admin": "MERCHANT_READ"},
    "capabilities": {"adminFilterable": {"enabled": True}},
}


# ---------------------------------------------------------------- the unique id


async def define_order_id(client: Client) -> None:
    """See to it that no two orders can have one marketplace id. StartupError where the shop holds a definition that does not do that."""
    there = await _definition(client)
    if there is None:
        payload = (
            await client.ask(DEFINITION_CREATE, {"definition": _DEFINITION_INPUT}, wire.shop.DefinitionCreate)
        ).metafield_definition_create
        if not any(error.code == "TAKEN" for error in payload.user_errors):
            insist(DEFINITION_CREATE, payload.user_errors)
        there = payload.created_definition or await _definition(client)
    if there is None:  # and yet it could not be made, since there is one
        raise UnavailableError(
            "the metafield mirakl_order_id is said to be taken, and is not shown", target=TARGET, endpoint=DEFINITION.name
        )
    if not _unique(there):
        raise StartupError(
            "the shop's definition of the order metafield mirakl_order_id does not make its values unique: "
            "delete it in Settings > Custom data > Orders, while no order has a value, and start again"
        )


async def _definition(client: Client) -> wire.shop.Definition | None:
    return next(iter((await client.ask(DEFINITION, {}, wire.shop.Definitions)).metafield_definitions.nodes), None)


def _unique(definition: wire.shop.Definition) -> bool:
    return definition.type.name == "id" and definition.capabilities.unique_values.enabled


# ---------------------------------------------------------------- the books


class Books:
    """In what currency the shop keeps its books; asked once: it never changes once something was sold."""

    def __init__(self, client: Client) -> None:
        self._client, self._currency = client, ""

    async def currency(self) -> str:
        if not self._currency:
            said = (await self._client.ask(SHOP_PROBE, {}, wire.shop.ShopProbe, lane=Lane.CREATE)).shop.currency_code
            try:
                minor_digits(said)
            except ValueError:
                raise UnavailableError("the shop's currency is no currency", target=TARGET, field="currencyCode") from None
            self._currency = said
        return self._currency


# ---------------------------------------------------------------- webhooks


class Subscriptions:
    """Our subscriptions: one a topic, all to one address, whole bodies. Those to other addresses are somebody else's, or die of themselves.

    Without an address there is nothing to keep: the sweeps read everything.
    """

    def __init__(self, client: Client, callback_url: str, token: Secret) -> None:
        self._client = client
        self._uri = f"{callback_url.rstrip('/')}/{token.reveal()}" if callback_url else ""

    @property
    def wanted(self) -> bool:
        return bool(self._uri)

    async def missing(self) -> list[str]:
        """Topics that nobody would tell us of; changes nothing."""
        return [topic for topic in TOPICS if topic not in (await self._sorted())[0]] if self._uri else []

    async def repair(self) -> list[str]:
        """Subscribe to what is missing, take away what is not as it should be. Returns the topics that were missing."""
        if not self._uri:
            return []
        sound, odd = await self._sorted()
        for known in odd:
            gone = await self._client.ask(SUBSCRIPTION_DELETE, {"id": known.id}, wire.shop.SubscriptionDelete)
            insist(SUBSCRIPTION_DELETE, gone.webhook_subscription_delete.user_errors)
        missing = [topic for topic in TOPICS if topic not in sound]
        for topic in missing:
            variables = {"topic": _enum(topic), "subscription": {"uri": self._uri, "format": "JSON"}}
            made = await self._client.ask(SUBSCRIPTION_CREATE, variables, wire.shop.SubscriptionCreate)
            insist(SUBSCRIPTION_CREATE, made.webhook_subscription_create.user_errors)
        return missing

    async def _sorted(self) -> tuple[set[str], list[wire.shop.Subscription]]:
        """The topics told to our address as they should be; and the subscriptions to it that are filtered, doubled or not asked for."""
        wanted = {_enum(topic): topic for topic in TOPICS}
        sound: set[str] = set()
        odd: list[wire.shop.Subscription] = []
        after: str | None = None
        before: wire.frame.PageInfo | None = None
        while True:
            page = (await self._client.ask(SUBSCRIPTIONS, {"after": after}, wire.shop.Subscriptions)).webhook_subscriptions
            for known in page.nodes:
                topic = wanted.get(known.topic)
                if known.uri != self._uri:
                    continue
                if topic is None or topic in sound or known.format != "JSON" or known.filter or known.include_fields:
                    odd.append(known)
                else:
                    sound.add(topic)
            if not page.page_info.has_next_page:
                return sound, odd
            if before is not None:
                check_that_it_goes_on(before, page.page_info)
            before, after = page.page_info, page.page_info.end_cursor


def _enum(topic: str) -> str:
    return topic.upper().replace("/", "_")


# ---------------------------------------------------------------- looking at all of it


async def findings(client: Client, subscriptions: Subscriptions, shop: str) -> list[Finding]:
    """Everything that must be in place, seen or missing; changes nothing."""
    try:
        probe = await client.ask(SHOP_PROBE, {}, wire.shop.ShopProbe)
    except AuthError as error:
        return [Finding("access", ok=False, detail=error.detail, fix="check the shop's domain and the access token")]
    except AdapterError as error:
        return [Finding("access", ok=False, detail=error.detail, fix="try again; if it stays, check the shop's domain")]
    there = probe.shop.myshopify_domain
    found = [
        Finding("access", ok=True, detail=f"{there}, plan {probe.shop.plan.public_display_name}"),
        Finding("shop", ok=there == shop, detail=there, fix="" if there == shop else f"this token is of {there}: set shopify.shop to it"),
        Finding("currency", ok=True, detail=f"{probe.shop.currency_code}: orders in another one are refused"),
    ]
    if probe.shop.plan.partner_development:
        found.append(Finding("plan", ok=True, detail="a development shop: five orders a minute, set shopify.orders_per_minute"))
    found += _scopes({scope.handle for scope in probe.current_app_installation.access_scopes})
    definition = await _definition(client)
    found.append(
        Finding(
            "order id definition",
            ok=definition is not None and _unique(definition),
            detail="values are unique" if definition and _unique(definition) else "missing" if not definition else "values are not unique",
            fix=""
            if definition and _unique(definition)
            else "it is made at start, before the first order"
            if not definition
            else "delete it in Settings > Custom data > Orders while no order has a value",
        )
    )
    found.append(await _webhooks(subscriptions))
    found += _versions(client, probe, client.clock.now().date())
    if client.offset is not None:
        ok = abs(client.offset) <= CLOCK_TOLERANCE
        fix = "" if ok else "set this machine's clock by a time server"
        found.append(Finding("clock", ok=ok, detail=f"Shopify's is {client.offset:+.0f} s from ours", fix=fix))
    return found


def _scopes(granted: set[str]) -> Iterator[Finding]:
    """Writing includes reading."""
    for scope, what_for in SCOPES.items():
        ok = scope in granted or scope.replace("read_", "write_", 1) in granted
        fix = "" if ok else f"grant {scope} to the app and install it again; without it it is not so that {what_for}"
        yield Finding(f"scope {scope}", ok=ok, detail="granted" if ok else "missing", fix=fix)


async def _webhooks(subscriptions: Subscriptions) -> Finding:
    if not subscriptions.wanted:
        return Finding("webhooks", ok=True, detail="no callback_url: subscriptions are left alone, sweeps find everything later")
    missing = await subscriptions.missing()
    detail = f"{len(TOPICS) - len(missing)} of {len(TOPICS)} topics"
    return Finding("webhooks", ok=not missing, detail=detail, fix="they are made at start, and hourly" if missing else "")


def _versions(client: Client, probe: wire.shop.ShopProbe, today: date) -> Iterator[Finding]:
    served, asked = client.served or "unknown", client.version
    fix = "" if served == asked else f"Shopify does not serve {asked} any more: set shopify.api_version to one that it does"
    yield Finding("API version", ok=served == asked, detail=f"asked for {asked}, served {served}", fix=fix)
    ends = date(int(asked[:4]) + 1, int(asked[5:]), 1)  # a version lives twelve months
    newer = sorted(version.handle for version in probe.public_api_versions if version.supported and version.handle > asked)
    ok = (ends - today).days > DAYS_OF_GRACE
    fix = "" if ok else f"move to {newer[-1]}" if newer else "move to a newer version"
    yield Finding("API version's end", ok=ok, detail=f"{asked} ends about {ends.isoformat()}", fix=fix)
