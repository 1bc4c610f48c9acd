"""Webhook bodies, as far as they say whom they are about: older shapes, with underscores, and numbers for ids."""

from msgspec import Raw, Struct

Id = int | str | None  # a number, or a GID, or its digits


class Body(Struct, frozen=True):
    """Of a thing named in a webhook: its id, spelled one way or the other."""

    id: Id = None
    admin_graphql_api_id: str | None = None


class Edit(Struct, frozen=True):
    order_id: Id = None


class Merge(Struct, frozen=True):
    fulfillment_order: Body | None = None


class NoteAttribute(Struct, frozen=True):
    name: str | None = None


class Variant(Struct, frozen=True):
    inventory_item_id: Id = None
    inventory_policy: str | None = None


class Notice(Body, frozen=True, rename={"return_": "return"}):
    """Everything in a webhook's body that says whom it is about and when. What it says of people is not even decoded."""

    order_id: Id = None
    order: Body | None = None
    order_edit: Edit | None = None
    return_: Body | None = None
    fulfillment_id: Id = None
    fulfillment_order: Body | None = None
    original_fulfillment_order: Body | None = None
    moved_fulfillment_order: Body | None = None
    submitted_fulfillment_order: Body | None = None
    remaining_fulfillment_order: Body | None = None
    replacement_fulfillment_order: Body | None = None
    fulfillment_order_merges: Merge | list[Merge] | None = None
    inventory_item_id: Id = None
    status: str | None = None  # of a product
    product_type: str | None = None
    variants: list[Variant] | None = None
    tags: str | list[str] | None = None
    note_attributes: list[NoteAttribute] | dict[str, Raw] | None = None  # {} has been seen for none
    updated_at: str | None = None
    shop_domain: str | None = None
    myshopify_domain: str | None = None


class PrivateCustomer(Struct, frozen=True):
    email: str | None = None


class PrivacyNotice(Body, frozen=True):
    """The body of a privacy topic: who it is about, and which orders."""

    shop_domain: str | None = None
    customer: PrivateCustomer | None = None
    orders_requested: list[Id] | None = None
    orders_to_redact: list[Id] | None = None
    data_request: Body | None = None
