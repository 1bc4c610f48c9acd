"""By which rules a channel shows stock, layer upon layer. The narrower layer wins: a SKU's, then a tag's, a type's, the channel's."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from schemas.values import Instant, ShopId, Sku

Units = Annotated[int, Meta(ge=0)]
Percent = Annotated[int, Meta(ge=0, le=100)]
Minutes = Annotated[float, Meta(gt=0)]


class Layer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is kept back and what may be listed. What is left out is for the wider layer to say."""

    buffer: Units | None = None  # units kept back, against sales we have not heard of yet
    percent: Percent | None = None  # the same as a share of what is there, rounded up; with `buffer`, whichever keeps back more
    floor: Units | None = None  # units kept for the shop's own customers
    min_to_list: Units | None = None  # fewer than so many are not listed at all
    max_listed: Units | None = None  # never more than so many


class Place(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One location of the shop."""

    on: bool = True  # its stock counts
    buffer: Units = 0  # units kept back there, before anything is summed


class Window(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A time in which nothing is on offer: a stock-taking, a sale of the shop's own."""

    name: str
    starts: Instant
    ends: Instant


class Rules(Layer, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """All of it for one channel; the layer that it is itself is the widest."""

    locations: tuple[ShopId, ...] = ()  # whose stock counts; empty: every one that `places` does not switch off
    places: dict[ShopId, Place] = {}
    tags: dict[str, Layer] = {}  # of the product; compared without case. Of several that fit, the first by name
    types: dict[str, Layer] = {}  # the product's type; where a tag says something too, the tag wins
    skus: dict[Sku, Layer] = {}  # Shopify's
    untracked: Units = 0  # units shown of what Shopify does not count
    continue_selling: Units | None = None  # units shown, at least, of what Shopify sells beyond zero; left out: only what is there
    velocity: bool = False  # keep back, too, what is sold while a file is on its way, as measured
    velocity_cap: Units = 20  # units, at most, for that
    blackouts: tuple[Window, ...] = ()
    stale_shop: Literal["hold", "decay", "zero"] = "hold"  # what becomes of what is shown when Shopify cannot be read
    stale_shop_minutes: Minutes = 45.0  # without a reading; three sweeps
    stale_orders: Literal["hold", "decay", "zero"] = "hold"  # the same, when the channel's orders cannot be polled
    stale_orders_minutes: Minutes = 20.0
    decay_minutes: Minutes = 30.0  # after each of which half as much is shown
    import_minutes: Minutes = 30.0  # that a file may be worked on

    def layers(self, sku: Sku, tags: tuple[str, ...], product_type: str) -> Iterator[tuple[str, Layer]]:
        """Those that concern a SKU, the narrowest first, each by its name."""
        if sku in self.skus:
            yield f"sku {sku}", self.skus[sku]
        folded = {tag.strip().casefold() for tag in tags}
        for tag in sorted(self.tags):
            if tag.strip().casefold() in folded:
                yield f"tag {tag}", self.tags[tag]
        for name in sorted(self.types):
            if product_type and name.strip().casefold() == product_type.strip().casefold():
                yield f"type {name}", self.types[name]
        yield "channel", self

    def counts(self, location: ShopId) -> bool:
        """Whether the stock of a location is there for this channel."""
        return self.places.get(location, _ANYWHERE).on and (not self.locations or location in self.locations)

    def without(self, **fields: object) -> "Rules":
        """The same, but for these."""
        return replace(self, **fields)


_ANYWHERE = Place()
