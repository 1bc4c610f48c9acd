"""Metafields of orders, and the definitions that make their values unique."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from ops.sandbox.shopify.state import (
    APP_ID,
    Definition,
    Metafield,
    NotSimulatedError,
    Order,
    Problem,
    RefusedError,
    Shop,
    number_of,
)
from ops.sandbox.shopify.webhooks import touch

APP_NAMESPACE = f"app--{APP_ID}"  # what $app stands for

Input = dict[str, Any]


def namespace_of(name: str | None) -> str:
    return APP_NAMESPACE if name in (None, "$app") else str(name).replace("$app:", f"{APP_NAMESPACE}--")


def define_metafield(shop: Shop, wanted: Input, at: datetime) -> int:
    namespace, key = namespace_of(wanted.get("namespace")), wanted["key"]
    if definition_of(shop, wanted["ownerType"], namespace, key):
        message = f"Key is in use for {wanted['ownerType'].title()} metafields on the '{namespace}' namespace."
        raise RefusedError(Problem(("definition", "key"), message, "TAKEN"))
    capabilities = wanted.get("capabilities") or {}
    definition = Definition(
        id=shop.new_id(),
        namespace=namespace,
        key=key,
        name=wanted["name"],
        type=wanted["type"],
        owner_type=wanted["ownerType"],
        admin_access=(wanted.get("access") or {}).get("admin"),
        filterable=bool((capabilities.get("adminFilterable") or {}).get("enabled")),
        unique=wanted["type"] == "id" or bool((capabilities.get("uniqueValues") or {}).get("enabled")),
    )
    existing = any(known.namespace == namespace and known.key == key for order in shop.orders.values() for known in order.metafields)
    if definition.unique and existing:
        message = "Unique values cannot be switched on while there are values."
        raise RefusedError(Problem(("definition", "capabilities"), message, "INVALID_CAPABILITY"))
    shop.definitions[definition.id] = definition
    return definition.id


def definition_of(shop: Shop, owner_type: str, namespace: str, key: str) -> Definition | None:
    found = (one for one in shop.definitions.values() if (one.owner_type, one.namespace, one.key) == (owner_type, namespace, key))
    return next(found, None)


def order_by_unique_value(shop: Shop, namespace: str | None, key: str, value: str, at: datetime) -> Order | None:
    number = shop.unique_values.get(f"{namespace_of(namespace)}/{key}/{value}")
    if number is None or at - shop.orders[number].created_at < timedelta(seconds=shop.switches.lookup_lag):
        return None
    return shop.orders[number]


def problems(shop: Shop, wanted: list[Input]) -> Iterator[Problem]:
    for n, one in enumerate(wanted):
        where = ("order", "metafields", str(n))
        definition = definition_of(shop, "ORDER", namespace_of(one.get("namespace")), one.get("key") or "")
        if not one.get("key") or not one.get("value"):
            yield Problem((*where, "value"), "Key and value can't be blank", "INVALID")
        elif definition is None and not one.get("type"):
            yield Problem((*where, "type"), "Type can't be blank", "INVALID")
        elif definition is not None and one.get("type") not in (None, definition.type):
            yield Problem((*where, "type"), f"Type must be consistent with the definition's type: '{definition.type}'", "INVALID")
        elif _is_taken(shop, definition, one["value"]) and shop.switches.duplicate_metafield == "refuse":
            yield Problem((*where, "value"), "Value has already been assigned to another metafield", "INVALID")


def _is_taken(shop: Shop, definition: Definition | None, value: str) -> bool:
    return _holder(shop, definition, value) is not None


def _holder(shop: Shop, definition: Definition | None, value: str) -> int | None:
    """The order that has this value, where only one can."""
    if definition is None or not definition.unique:
        return None
    return shop.unique_values.get(f"{definition.namespace}/{definition.key}/{value}")


def made(shop: Shop, wanted: list[Input], at: datetime) -> list[Metafield]:
    """A taken value, where it is not refused, is left out in silence."""
    fields = []
    for one in wanted:
        namespace = namespace_of(one.get("namespace"))
        definition = definition_of(shop, "ORDER", namespace, one["key"])
        if not _is_taken(shop, definition, one["value"]):
            type_ = one.get("type") or (definition.type if definition else "")
            fields.append(Metafield(shop.new_id(), namespace, one["key"], type_, one["value"], created_at=at))
    return fields


def set_metafields(shop: Shop, wanted: list[Input], at: datetime) -> list[tuple[int, int]]:
    """All of them or none, on orders. Returns the numbers of each order and its metafield."""
    refusals = []
    for n, one in enumerate(wanted):
        where = ("metafields", str(n))
        order = shop.orders.get(number_of(one["ownerId"], "Order"))
        definition = definition_of(shop, "ORDER", namespace_of(one.get("namespace")), one["key"])
        if order is None:
            refusals.append(Problem((*where, "ownerId"), "Owner does not exist.", "INVALID"))
        elif one.get("compareDigest") is not None:
            raise NotSimulatedError("metafieldsSet with compareDigest is not simulated")
        elif definition is None and not one.get("type"):
            refusals.append(Problem((*where, "type"), "Type can't be blank", "BLANK"))
        elif definition is not None and one.get("type") not in (None, definition.type):
            refusals.append(Problem((*where, "type"), f"Type must be '{definition.type}'", "INVALID_TYPE"))
        elif _holder(shop, definition, one["value"]) not in (None, order.id):
            refusals.append(Problem((*where, "value"), "Value has already been assigned to another metafield", "TAKEN"))
    if refusals:
        raise RefusedError(*refusals)
    return [_set(shop, one, at) for one in wanted]


def _set(shop: Shop, wanted: Input, at: datetime) -> tuple[int, int]:
    order = shop.orders[number_of(wanted["ownerId"], "Order")]
    namespace, key = namespace_of(wanted.get("namespace")), wanted["key"]
    definition = definition_of(shop, "ORDER", namespace, key)
    kept = next((one for one in order.metafields if (one.namespace, one.key) == (namespace, key)), None)
    if kept is None:
        kept = Metafield(shop.new_id(), namespace, key, wanted.get("type") or (definition.type if definition else ""), "", created_at=at)
        order.metafields.append(kept)
    if definition is not None and definition.unique:
        shop.unique_values.pop(f"{namespace}/{key}/{kept.value}", None)
        shop.unique_values[f"{namespace}/{key}/{wanted['value']}"] = order.id
    kept.value = wanted["value"]
    touch(shop, order, at)
    return order.id, kept.id
