"""Metafields of orders, and the definitions that make their values unique."""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from ops.sandbox.shopify import index
from ops.sandbox.shopify.state import (
    Definition,
    Metafield,
    Order,
    Problem,
    RefusedError,
    Shop,
    namespace_of,
    number_of,
)
from ops.sandbox.shopify.webhooks import touch

MOST_AT_ONCE = 25  # metafields that one metafieldsSet may carry

Input = dict[str, Any]


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
            fields.append(Metafield(shop.new_id(), namespace, one["key"], type_, one["value"], created_at=at, updated_at=at))
    return fields


def digest(metafield: Metafield) -> str:
    return hashlib.sha256(metafield.value.encode()).hexdigest()


def set_metafields(shop: Shop, wanted: list[Input], at: datetime) -> list[tuple[int, int]]:
    """All of them or none, on orders. Returns the numbers of each order and its metafield."""
    if len(wanted) > MOST_AT_ONCE:
        raise RefusedError(
            Problem(("metafields",), f"Exceeded the maximum metafields input limit of {MOST_AT_ONCE}", "LESS_THAN_OR_EQUAL_TO")
        )
    refusals = [problem for n, one in enumerate(wanted) if (problem := _refusal(shop, one, ("metafields", str(n)))) is not None]
    if refusals:
        raise RefusedError(*refusals)
    changed = []
    for one in wanted:
        order = shop.orders[number_of(one["ownerId"], "Order")]
        changed.append((order.id, set_on(shop, order, one, at)))
    for number in dict.fromkeys(number for number, _ in changed):
        note_change(shop, shop.orders[number], at)
    return changed


def note_change(shop: Shop, order: Order, at: datetime) -> None:
    """Whether a metafield's change is a change of its order is a switch; the index learns of it in either case."""
    if shop.switches.metafield_touches_order:
        touch(shop, order, at)
    else:
        index.learn(shop, order, at)


def _refusal(shop: Shop, one: Input, where: tuple[str, ...]) -> Problem | None:
    order = shop.orders.get(number_of(one["ownerId"], "Order"))
    namespace = namespace_of(one.get("namespace"))
    definition = definition_of(shop, "ORDER", namespace, one["key"])
    if order is None:
        return Problem((*where, "ownerId"), "Owner does not exist.", "INVALID")
    kept = _kept(order, namespace, one["key"])
    if "compareDigest" in one and one["compareDigest"] != (digest(kept) if kept else None):
        return Problem(where, "The resource has been updated since it was loaded.", "STALE_OBJECT")
    if definition is None and not one.get("type") and kept is None:
        return Problem((*where, "type"), "Type can't be blank", "BLANK")
    if definition is not None and one.get("type") not in (None, definition.type):
        return Problem((*where, "type"), f"Type must be '{definition.type}'", "INVALID_TYPE")
    if not one["value"]:
        return Problem((*where, "value"), "Value can't be blank", "BLANK")
    if _holder(shop, definition, one["value"]) not in (None, order.id):
        return Problem((*where, "value"), "Value has already been assigned to another metafield", "TAKEN")
    return None


def _kept(order: Order, namespace: str, key: str) -> Metafield | None:
    return next((one for one in order.metafields if (one.namespace, one.key) == (namespace, key)), None)


def set_on(shop: Shop, order: Order, wanted: Input, at: datetime) -> int:
    """Whatever was to be checked has been. Returns the metafield's number."""
    namespace, key = namespace_of(wanted.get("namespace")), wanted["key"]
    definition = definition_of(shop, "ORDER", namespace, key)
    kept = _kept(order, namespace, key)
    if kept is None:
        type_ = wanted.get("type") or (definition.type if definition else "")
        kept = Metafield(shop.new_id(), namespace, key, type_, "", created_at=at, updated_at=at)
        order.metafields.append(kept)
    if definition is not None and definition.unique:
        shop.unique_values.pop(f"{namespace}/{key}/{kept.value}", None)
        shop.unique_values[f"{namespace}/{key}/{wanted['value']}"] = order.id
    kept.value, kept.updated_at = wanted["value"], at
    return kept.id
