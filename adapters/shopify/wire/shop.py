"""The shop itself: access, definitions, subscriptions."""

from adapters.shopify.wire.frame import Page, Ref, Refusals, UserError, Wire


class Plan(Wire, frozen=True):
    public_display_name: str
    partner_development: bool


class ShopFacts(Wire, frozen=True):
    id: str
    myshopify_domain: str
    currency_code: str
    plan: Plan


class Scope(Wire, frozen=True):
    handle: str


class Installation(Wire, frozen=True):
    app: Ref
    access_scopes: list[Scope]


class Version(Wire, frozen=True):
    handle: str
    supported: bool


class ShopProbe(Wire, frozen=True):
    shop: ShopFacts
    current_app_installation: Installation
    public_api_versions: list[Version]


class DefinitionType(Wire, frozen=True):
    name: str


class Enabled(Wire, frozen=True):
    enabled: bool


class DefinitionCapabilities(Wire, frozen=True):
    unique_values: Enabled


class Definition(Wire, frozen=True):
    id: str
    type: DefinitionType
    capabilities: DefinitionCapabilities


class DefinitionList(Wire, frozen=True):
    nodes: list[Definition]


class Definitions(Wire, frozen=True):
    metafield_definitions: DefinitionList


class DefinitionCreatePayload(Wire, frozen=True):
    created_definition: Definition | None
    user_errors: list[UserError]


class DefinitionCreate(Wire, frozen=True):
    metafield_definition_create: DefinitionCreatePayload


class MetafieldsSetPayload(Wire, frozen=True):
    user_errors: list[UserError]


class MetafieldsSet(Wire, frozen=True):
    metafields_set: MetafieldsSetPayload


class Subscription(Wire, frozen=True):
    id: str
    topic: str
    uri: str
    format: str
    filter: str | None
    include_fields: list[str]


class Subscriptions(Wire, frozen=True):
    webhook_subscriptions: Page[Subscription]


class SubscriptionCreate(Wire, frozen=True):
    webhook_subscription_create: Refusals


class SubscriptionDelete(Wire, frozen=True):
    webhook_subscription_delete: Refusals
