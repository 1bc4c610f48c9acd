"""What stands in a webhook: bodies of the older, REST-shaped kind, with numbers for ids and texts for money."""

import json
from collections.abc import Mapping

from ops.sandbox.shopify.bodies import goods, orders, parcels, refunds, returns
from ops.sandbox.shopify.bodies.shop import bulk_body, scopes_body, shop_body
from ops.sandbox.shopify.bodies.writing import COUNTRIES, Body, local
from ops.sandbox.shopify.state import Shop

__all__ = ["COUNTRIES", "Body", "body_of", "local", "written"]


def written(body: Mapping[str, object], fields: list[str]) -> str:
    """The text that is signed: compact, its slashes escaped, so that whoever serialises it again gets another signature."""
    shown = {name: body[name] for name in body if not fields or name in fields}
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")


def body_of(shop: Shop, topic: str, subject: tuple[int, ...]) -> Body:
    """What a webhook of that topic says about its subject as things stand: numbers, as whoever emits it gives them."""
    kind, _, what = topic.partition("/")
    if what in ("delete", "disconnect"):
        return _gone(kind, subject)
    match kind:
        case "orders" if what == "edited":
            return orders.edit_body(shop, shop.orders[subject[0]], subject[1], subject[2:])
        case "orders":
            return orders.order_body(shop, shop.orders[subject[0]])
        case "fulfillments":
            return parcels.fulfillment_body(shop, shop.fulfillments[subject[0]])
        case "fulfillment_events":
            return parcels.event_body(shop, shop.fulfillments[subject[0]], subject[1])
        case "fulfillment_orders" | "fulfillment_holds":
            return parcels.parcel_body(shop, topic, subject)
    found = _of_money(shop, topic, subject)
    return _of_goods(shop, topic, subject) if found is None else found


def _of_money(shop: Shop, topic: str, subject: tuple[int, ...]) -> Body | None:
    """Refunds, transactions and returns; None for any other topic."""
    match topic.partition("/")[0]:
        case "refunds":
            return refunds.refund_body(shop, shop.refunds[subject[0]])
        case "order_transactions":
            order = shop.orders[subject[0]]
            return refunds.transaction_body(shop, order, next(one for one in order.transactions if one.id == subject[1]))
        case "tender_transactions":
            return refunds.tender_body(shop, subject[0])
        case "returns":
            return returns.told_return(shop, topic, shop.returns[subject[0]], subject[1:])
        case "reverse_fulfillment_orders":
            return returns.disposed_body(shop.reverse_orders[subject[0]], subject[1:])
        case "reverse_deliveries":
            return returns.delivery_body(shop, shop.reverse_deliveries[subject[0]])
    return None


def _of_goods(shop: Shop, topic: str, subject: tuple[int, ...]) -> Body:
    match topic.partition("/")[0]:
        case "inventory_levels":
            item, location = subject
            level = shop.levels.get(item, {}).get(location)
            if level is None:  # the variant was deleted before this was sent
                return _gone("inventory_levels", subject)
            return goods.level_body(level, tracked=shop.items[item].tracked)
        case "inventory_items":
            return goods.item_body(shop.items[subject[0]])
        case "variants":
            return goods.variant_body(shop, shop.variants[subject[0]])
        case "products":
            return goods.product_body(shop, shop.products[subject[0]])
        case "locations":
            return goods.location_body(shop.locations[subject[0]])
        case "bulk_operations":
            return bulk_body(shop.bulk[subject[0]])
        case "app" if topic == "app/scopes_update":
            return scopes_body(shop)
        case "app" | "shop":
            return shop_body(shop)
    raise ValueError(f"nothing tells what {topic} says")


def _gone(kind: str, subject: tuple[int, ...]) -> Body:
    """Of what was deleted little more than its id is told."""
    if kind == "inventory_levels":
        return {"inventory_item_id": subject[0], "location_id": subject[1]}
    if kind == "inventory_items":
        origin = dict.fromkeys(("country_code_of_origin", "province_code_of_origin", "harmonized_system_code"))
        known = {"country_harmonized_system_codes": [], "admin_graphql_api_id": f"gid://shopify/InventoryItem/{subject[0]}"}
        return {"id": subject[0], **origin, **known}
    return {"id": subject[0]}
