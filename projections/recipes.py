"""What an offer is made of: Shopify's SKUs, and how many of each. A multipack is a bundle of one."""

import re

from schemas.values import Sku

Recipe = dict[Sku, int]

_PART = re.compile(r"\s*(?:([1-9][0-9]{0,5})\s+x\s+)?(.+?)\s*", re.ASCII)


def read_recipe(kind: str, value: str) -> Recipe:
    """Of a mapping's value; empty where it says nothing. What cannot be read as `2 x MUG` is one of a SKU of that name."""
    if kind == "sku" or not value.strip():
        return {Sku(value): 1} if value.strip() else {}
    recipe: Recipe = {}
    for part in value.split(" + "):
        found = _PART.fullmatch(part)
        if found is not None:
            sku = Sku(found[2])
            recipe[sku] = recipe.get(sku, 0) + int(found[1] or 1)
    return recipe


def write_recipe(recipe: Recipe) -> str:
    return " + ".join(f"{units} x {sku}" for sku, units in recipe.items())
