"""By what an order of ours, and each of its lines, is known again."""

from collections.abc import Iterable, Mapping

from adapters.shopify import wire
from engine.adapter import Heard
from schemas.envelope import Fact, event_id
from schemas.events import Event, Personal, tag_of
from schemas.events.exceptions import ExceptionOpened
from schemas.events.orders import ShopOrderSeen
from schemas.events.shop import ShopOrderOrphaned
from schemas.streams import order_stream
from schemas.values import ChannelId, Instant, LineId, Money, OrderId, ShopId, Sku, TenantId, money

SOURCE = "shopify"
TAG = "crossdock"  # on every order of ours
HANDLE = "crossdock"  # of our holds, and of no one else's
LINE_ID = "_mirakl_line_id"  # a leading underscore hides it from the buyer
CHANNEL, ORDER = "Marketplace channel", "Marketplace order"
LONGEST_TAG = 40  # characters, on orders


def fact(
    tenant: TenantId,
    event: Event,
    external_id: str,
    at: Instant,
    *,
    personal: Personal | None = None,
    subject: str = "",
) -> Fact:
    identity = event_id(tenant, SOURCE, external_id, tag_of(event))
    return Fact(event=event, event_id=identity, occurred_at=at, personal=personal, subject=subject, actor=SOURCE)


def owner(marks: wire.orders.OrderMarks) -> tuple[ChannelId, OrderId] | None:
    """Whose order this is by the id that only we can give it, and the channel beside it; None: not ours, or not plainly."""
    said = attributes(marks.custom_attributes)
    if marks.marketplace_order_id is None or not said.get(CHANNEL):
        return None
    return ChannelId(said[CHANNEL]), OrderId(marks.marketplace_order_id.value)


def marked(marks: wire.orders.OrderMarks) -> bool:
    """It looks like an order of ours, whether it is one or not."""
    said = attributes(marks.custom_attributes)
    return TAG in {tag.lower() for tag in marks.tags} or bool(said.get(CHANNEL) or said.get(ORDER))


def orphan(tenant: TenantId, marks: wire.orders.OrderMarks, holder: wire.orders.OrderMarks | None, read_at: Instant) -> Heard:
    """An order that looks like ours without being it: a twin of the one that has the id, or one that has lost its own."""
    said = attributes(marks.custom_attributes)
    channel, order_id = ChannelId(said.get(CHANNEL, "")), OrderId(said.get(ORDER, ""))
    event = ShopOrderOrphaned(
        shop_order=ShopId(marks.id),
        channel=channel or None,
        order_id=order_id or None,
        name=marks.name,
        twin_of=holder.name if holder is not None and holder.id != marks.id else "",
        cancelled=marks.cancelled_at is not None,
    )
    updated_at = wire.frame.utc(marks.updated_at)
    heard = fact(tenant, event, f"{marks.id}:orphan@{updated_at.isoformat()}@{read_at.isoformat()}", updated_at)
    stream = order_stream(channel, order_id) if channel and order_id else f"hint-orphan:{number(marks.id)}"
    return Heard(stream, heard, same=lambda last: last == event, part="shop_order", beside=ShopOrderSeen)


def attributes(said: Iterable[wire.frame.Attribute]) -> Mapping[str, str]:
    return {one.key: one.value or "" for one in said}


def marketplace_line(said: Iterable[wire.frame.Attribute]) -> LineId | None:
    return next((LineId(one.value) for one in said if one.key == LINE_ID and one.value), None)


def number(gid: str) -> str:
    """The last part of a GID, by which people and streams call a thing."""
    return gid.rpartition("/")[2]


def sku_of(item: wire.stock.Item | wire.stock.Variant | wire.stock.Offer | wire.orders.LineItem) -> Sku:
    """As it is compared: case and all, blanks around it aside; "" where there is none."""
    return Sku((item.sku or "").strip())


def amount(bag: wire.frame.MoneyBag) -> Money:
    """In the shop's currency, which is the order's: an order in another one is never made. ValueError where it is no amount."""
    return money(bag.shop_money.amount, bag.shop_money.currency_code)


def quoted(text: str) -> str:
    """A value in Shopify's search language."""
    if '"' not in text and "\\" not in text:
        return f'"{text}"'
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def fit_for_a_tag(text: str) -> str:
    """Tags hold 40 characters on orders, and no commas: a comma would make two of one."""
    return " ".join(text.replace(",", "-").split())[:LONGEST_TAG].strip()


def order_tag(order_id: OrderId) -> str:
    """For people and for the search; cut, so two orders may share it."""
    return fit_for_a_tag(f"mirakl-{order_id}")


def unfit(tenant: TenantId, gid: str, field: str, read_at: Instant) -> Heard:
    """One thing that Shopify describes in a way we cannot read: set aside, so that its neighbours go on. At most one a day."""
    stream = f"hint-unreadable:{gid.removeprefix('gid://shopify/')}"
    trouble = ExceptionOpened(
        key=f"X79:{gid}:{field}", code="X79", subject=stream, summary=f"what Shopify says of {gid} cannot be read", field=field
    )
    return Heard(stream, fact(tenant, trouble, f"{gid}:{field}:{read_at.date()}", read_at))
