"""Shopify orders that carry our marks and that nobody follows: a second one for a marketplace order, or one without its id."""

from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from engine.projection import Projection
from projections.kinds import opened
from schemas.events import Event, Note
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened
from schemas.events.orders import ShopOrderCreated, ShopOrderSeen
from schemas.events.shop import ShopOrderOrphaned
from schemas.streams import order_stream
from schemas.values import ShopId


class Stray(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One Shopify order. Key: its GID."""

    shop_order: ShopId
    astray: ShopOrderOrphaned | None = None  # as last read; None: it is followed, or cancelled


def keys(event: Event) -> Iterable[str]:
    return (event.shop_order,) if isinstance(event, ShopOrderOrphaned | ShopOrderSeen | ShopOrderCreated) else ()


def evolve(row: Stray, event: Event) -> Stray:
    astray = event if isinstance(event, ShopOrderOrphaned) and not event.cancelled else None
    return row if astray == row.astray else replace(row, astray=astray)


def decide(was: Stray, now: Stray) -> Iterator[Note]:
    """Told until it is cancelled, or followed again."""
    before, after = _trouble(was), _trouble(now)
    if after is not None and after != before:
        yield after
    if before is not None and (after is None or after.key != before.key):
        yield ExceptionClosed(key=before.key, reason="it is cancelled, or otherwise accounted for", subject=before.subject)


def _trouble(row: Stray) -> ExceptionOpened | None:
    """Its key is the one under which whoever creates orders tells of a twin, too."""
    if (it := row.astray) is None:
        return None
    number = row.shop_order.rpartition("/")[2]
    subject, whose = f"hint-orphan:{number}", "carries our marks and names no marketplace order"
    if it.channel and it.order_id:
        subject, whose = order_stream(it.channel, it.order_id), f"carries the marks of order {it.order_id} of {it.channel}, and not its id"
    code, what = "X35", f"{whose}: nobody follows it"
    if it.twin_of:
        code, what = "X30", f"is a second Shopify order for {it.order_id} of {it.channel}, which stands in {it.twin_of}: cancel it"
    return replace(opened(code, subject, f"{it.name} ({number}) {what}".lstrip()), key=f"{code}:{row.shop_order}")


strays = Projection(name="strays", state=Stray, initial=lambda key: Stray(shop_order=ShopId(key)), keys=keys, evolve=evolve)
