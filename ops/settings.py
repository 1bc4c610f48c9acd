"""One TOML file says what is connected to what; secrets stand in files or in the environment, never in it.

What is wrong with it is refused with its name, its line and the mend. The annotated example is ops/crossdock.example.toml.
"""

import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from adapters.http import Secret
from adapters.mirakl.countries import ALPHA_2, CODES, by_name
from adapters.shopify.endpoints import A_SECOND
from engine.errors import StartupError
from ops.declared import Steps, read_declared, wrong
from projections.recipes import write_recipe
from projections.rules import OrderRules
from projections.stock_rules import Layer, Rules
from schemas.values import ChannelId, ShopId, Sku, TenantId

# What a value must be, beyond its type; and in words, for whoever wrote another.
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
_PORT = ":0*([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
Url = Annotated[
    str, Meta(pattern=rf"^(https://([^\s/:?#@\[\]]+|\[[0-9A-Fa-f:.]+\])|http://(127\.0\.0\.1|localhost|\[::1\]))({_PORT})?(/\S*)?$")
]
Listen = Annotated[str, Meta(pattern=rf"^[A-Za-z0-9_.:\[\]-]*{_PORT}$")]
Shop = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]*\.myshopify\.com$")]
Quarter = Annotated[str, Meta(pattern=r"^[0-9]{4}-(01|04|07|10)$")]
Units = Annotated[int, Meta(ge=0)]
Each = Annotated[int, Meta(ge=1)]
Origin = Annotated[str, Meta(pattern=r"^[^\s+]{1,100}$")]
CheckpointSeconds = Annotated[float, Meta(ge=10, le=600)]
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_WORDS = {
    "id": "lower-case letters, digits, - and _, at most 40",
    "shop": "the permanent domain, such as example.myshopify.com, in lower case",
    "base_url": "https://host/… or https://host:port/…, the port at most 65535 (http:// only for a sandbox on this machine)",
    "callback_url": "https://host/… or https://host:port/…, the port at most 65535 (http:// only for a sandbox on this machine)",
    "webhooks": "host:port, the port from 0 to 65535 (0: any free one)",
    "operations": "host:port, the port from 0 to 65535 (0: any free one)",
    "api_version": "a quarter such as 2026-10",
    "orders_every": "at least 60 s: the marketplace's published ceiling is one call a minute",
    "offers_every": "at least 60 s: the marketplace's published ceiling is one export a minute",
    "publish_every": "at least 60 s: the marketplace's published ceiling is one file a minute",
    "settle_every": "at least 15 s: the marketplace's published ceiling",
    "sweep_every": "at least 60 s",
    "origin": "a name without blanks and +, such as crossdock.example.com/asos",
    "every": "from 10 to 600 s: a checkpoint is promised every ten minutes",
    "events": "1 or more",
    "hook": 'the command and its words, as in ["/usr/local/bin/keep", "--bucket", "evidence"]',
    "mark": 'what `crossdock mark` makes of the customer id, the relay e-mail or "last name|zip"',
    "channel": "one [[channel]] table, with double brackets, for each seller account",
}


class SecretRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a secret stands: `{ env = "NAME" }` or `{ file = "/run/secrets/name" }`."""

    env: str = ""
    file: str = ""


class TenantSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: Name


class DatabaseSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two logins of one database: the owner migrates, the engine may append and read. The owner's is needed by `crossdock migrate` only."""

    url: SecretRef | None = None  # None: CROSSDOCK_DATABASE_URL, or a database of our own in `directory`
    owner_url: SecretRef | None = None  # None: as `url`
    directory: str = ""  # of the embedded database, where no url is given


class ShopifySection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    shop: Shop  # example.myshopify.com
    access_token: SecretRef
    webhook_secret: SecretRef  # the app's client secret
    webhook_path: SecretRef  # an unguessable piece of the webhook address, at least 32 characters
    previous_webhook_secret: SecretRef | None = None  # during a rotation both are accepted
    callback_url: Url | None = None  # where Shopify reaches us, without the unguessable piece; None: subscriptions are left alone
    base_url: Url | None = None  # of a sandbox; None: https://{shop}
    api_version: Quarter = "2026-10"
    orders_per_minute: Annotated[int, Meta(ge=1)] = 60 * A_SECOND  # creations; development shops allow 5
    map_methods: bool = False  # an order whose shipping method nobody has mapped waits; else it goes by the marketplace's label
    relay_email: bool = False  # put the marketplace's relay address on orders: whoever ships them may then notify the buyer
    sweep_every: Annotated[float, Meta(ge=60)] = 900.0  # seconds between two sweeps of stock and of orders


class BlockedBuyer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody at whose orders a person wants to look first. Whoever it is does not stand here, only a digest."""

    name: str  # ours to choose; it is shown
    mark: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]  # of the customer id, the relay e-mail or "last name|zip": crossdock mark


class ChannelSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One Mirakl seller account."""

    id: Name
    base_url: Url  # https://….mirakl.net
    api_key: SecretRef
    shop_id: int
    carriers: dict[str, str] = {}  # company as written in Shopify -> the marketplace's carrier code
    orders_every: Annotated[float, Meta(ge=60)] = (
        60.0  # seconds; the published ceiling is one call a minute, for external partners one in 15
    )
    pages_count: bool = True  # whether each page of the list of orders is a call by that ceiling; ask the operator
    first_look_days: Units = 14  # how far back the first poll reaches
    publish_every: Annotated[float, Meta(ge=60)] = 60.0  # seconds; the published ceiling is one file a minute
    settle_every: Annotated[float, Meta(ge=15)] = 15.0  # seconds between two looks at a file's progress
    offers_every: Annotated[float, Meta(ge=60)] = 300.0  # seconds between two readings of what the marketplace shows
    buffer: Units = 0  # units kept back from each SKU
    floor: Units = 0  # units kept for the shop's own customers
    locations: list[str] = []  # Shopify location GIDs whose stock counts; empty: all
    methods: dict[str, str] = {}  # the marketplace's shipping type -> title of the shipping line in Shopify
    reasons: dict[str, str] = {}  # cancel, refund, or a Shopify return reason -> the marketplace's reason code
    skus: dict[str, str] = {}  # the offer's SKU -> Shopify's, where they differ
    bundles: dict[str, dict[str, Each]] = {}  # the offer's SKU -> Shopify's SKUs in it, and how many of each
    stock: Rules = Rules()
    rules: OrderRules = OrderRules()
    blocklist: list[BlockedBuyer] = []

    @property
    def stock_rules(self) -> Rules:
        """With what the channel's own table says, which is the widest layer."""
        return self.stock.without(buffer=self.buffer, floor=self.floor, locations=tuple(ShopId(place) for place in self.locations))

    @property
    def recipes(self) -> dict[str, str]:
        """As a mapping has them."""
        return {offer: write_recipe({Sku(sku): each for sku, each in made.items()}) for offer, made in self.bundles.items()}


class WebSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    webhooks: Listen = "127.0.0.1:8080"  # host:port that Shopify reaches through your proxy
    operations: Listen = "127.0.0.1:9464"  # host:port of /metrics, /livez, /readyz: not for the public


class VaultSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    master_key: SecretRef | None = None  # None: CROSSDOCK_MASTER_KEY, or, with the embedded database, a file beside it


class EvidenceSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Signed checkpoints of the log, kept outside the database."""

    directory: str = ""  # "": with the embedded database, one beside it; else none are made
    signing_key: SecretRef | None = None  # 32 bytes in base64; None: with the embedded database, a file beside it
    previous_signing_key: SecretRef | None = None  # while the key is being changed: the new one is then signed by it
    origin: Origin | None = None  # what the log is called in its checkpoints; None: crossdock/ and the tenant's id
    every: CheckpointSeconds = 300.0  # at the latest
    events: Each = 1_000  # or after so many
    hook: list[Annotated[str, Meta(min_length=1)]] = []  # a command that is run with each checkpoint's file, to put it elsewhere too


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    tenant: TenantSettings
    shopify: ShopifySection
    channel: Annotated[list[ChannelSection], Meta(min_length=1)]
    database: DatabaseSettings = DatabaseSettings()
    vault: VaultSettings = VaultSettings()
    web: WebSettings = WebSettings()
    evidence: EvidenceSettings = EvidenceSettings()

    @property
    def tenant_id(self) -> TenantId:
        return TenantId(self.tenant.id)

    @property
    def channel_ids(self) -> list[ChannelId]:
        return [ChannelId(channel.id) for channel in self.channel]


def read_settings(path: Path) -> Settings:
    """Read and check the file; StartupError names the line, the key and the mend."""
    settings, text = read_declared(path, Settings, _wording, unknown="not a setting: see ops/crossdock.example.toml for those there are")
    for steps, sentence in _amiss(settings):
        raise wrong(path, text, steps, sentence)
    return settings


def _amiss(settings: Settings) -> Iterator[tuple[Steps, str]]:
    """What no type can say."""
    for number, channel in enumerate(settings.channel):
        at: Steps = ["channel", number]
        if channel.id in settings.channel_ids[:number]:
            yield [*at, "id"], f"{channel.id} is there twice"
        currency = channel.rules.currency
        if currency and not _CURRENCY.fullmatch(currency):
            yield [*at, "rules", "currency"], f"{currency}: three capital letters, such as GBP; it is compared as written"
        for nth, country in enumerate(channel.rules.countries):
            if country not in CODES:
                meant = ALPHA_2.get(country.upper()) or by_name(country) or (country.upper() if country.upper() in CODES else "")
                mend = f"write {meant}" if meant else "the two capital letters of ISO 3166, such as GB"
                yield [*at, "rules", "countries", nth], f"{country}: {mend}"
        for nth, window in enumerate(channel.stock.blackouts):
            for key, moment in (("starts", window.starts), ("ends", window.ends)):
                if moment.tzinfo is None:
                    yield [*at, "stock", "blackouts", nth, key], f"say in which zone, as in {moment.isoformat()}Z"
            if window.ends <= window.starts:
                yield [*at, "stock", "blackouts", nth, "ends"], f"{window.name} is over before it begins: ends must be after starts"
        yield from _never_listed(channel.stock, [*at, "stock"])


def _never_listed(rules: Rules, at: Steps) -> Iterator[tuple[Steps, str]]:
    """Whatever there is would be too few. With `max_listed` 0 somebody means it."""
    layers: list[tuple[Steps, Layer]] = [(at, rules)]
    for kind, named in (("tags", rules.tags), ("types", rules.types), ("skus", rules.skus)):
        layers += [([*at, kind, name], layer) for name, layer in named.items()]
    for place, layer in layers:
        least = rules.min_to_list if layer.min_to_list is None else layer.min_to_list
        most = rules.max_listed if layer.max_listed is None else layer.max_listed
        if least is not None and most and least > most:
            key = "min_to_list" if layer.min_to_list is not None else "max_listed"
            yield [*place, key], f"min_to_list {least} is above max_listed {most}: nothing would ever be listed"


def secrets_of(settings: Settings) -> Iterator[tuple[str, Steps, SecretRef]]:
    """Every secret that the settings name: what `reveal` is to call it, and where it stands in the file."""
    for table in ("database", "vault", "evidence", "shopify"):
        section = getattr(settings, table)
        for key in section.__struct_fields__:
            if isinstance(reference := getattr(section, key), SecretRef):
                yield f"{table}.{key}", [table, key], reference
    for number, channel in enumerate(settings.channel):
        yield f"channel {channel.id}: api_key", ["channel", number, "api_key"], channel.api_key


def reveal(reference: SecretRef, name: str, environment: Mapping[str, str]) -> Secret:
    """Fetch a secret from where the settings say it stands. StartupError names the setting and the place, never the secret."""
    if bool(reference.env) == bool(reference.file):
        raise StartupError(f'{name}: give exactly one of {{ env = "NAME" }} and {{ file = "PATH" }}')
    if reference.env:
        text = environment.get(reference.env, "").strip()
        if not text:
            raise StartupError(f"{name}: the environment variable {reference.env} is not set")
        return Secret(text)
    path = Path(reference.file)
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise StartupError(f"{name}: {path}: {error.strerror}") from None
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise StartupError(f"{name}: {path} can be read or written by everybody: chmod 600 {path}")
    if not text:
        raise StartupError(f"{name}: {path} is empty")
    return Secret(text)


_SECRETS = (
    "access_token",
    "webhook_secret",
    "webhook_path",
    "previous_webhook_secret",
    "api_key",
    "master_key",
    "url",
    "owner_url",
    "signing_key",
    "previous_signing_key",
)


def _wording(steps: Steps, sentence: str) -> str | None:
    """What a value must be, in our own words."""
    if not steps or sentence.startswith(("missing:", "not a setting:")):
        return None
    if steps[-1] in _SECRETS and "got `str`" in sentence:
        return 'a secret is never written here: use { env = "NAME" } or { file = "PATH" }'
    return _WORDS.get(str(steps[-1]))
