"""What an offer costs, when and where; and the files that say so, every one of its prices at once."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from ops.sandbox.mirakl.goods import Offer, Price
from ops.sandbox.mirakl.state import Account
from ops.sandbox.money import SCALES, minor

COLUMNS = (
    "offer-sku", "price", "discount-price", "discount-start-date", "discount-end-date", "price-ranges", "discount-ranges", "channels",
    "start-date", "end-date", "customer-organization-ids", "customer-group-ids", "price-type",
)  # fmt: skip
MOST_PRICES = 50  # of one offer
DATES = ("discount-start-date", "discount-end-date", "start-date", "end-date")


def listed(offer: Offer) -> list[Price]:
    """Every price it has, the default one first."""
    return offer.prices or [Price(offer.price)]


def applicable(offer: Offer, at: datetime, channel: str | None = None) -> Price:
    """The one that sells now: of the channel if it has one there, scheduled before standing, else the default."""
    for price in listed(offer)[1:]:
        there = not price.channels or channel in price.channels
        then = (price.starts is None or price.starts <= at) and (price.ends is None or price.ends > at)
        if there and then and not price.organisations and not price.groups:
            return price
    return listed(offer)[0]


def turns(offer: Offer, after: datetime) -> list[datetime]:
    """When the default price will change by itself."""
    default = listed(offer)[0]
    dated = default.discount is not None or default.discount_ranges
    return sorted({at for at in (default.discount_from, default.discount_until) if dated and at is not None and at > after})


# ----------------------------------------------------------------------------------------------------------- reading files


def read(account: Account, line: dict[str, str]) -> Price | str:
    """The price that a line of a file tells, or what is wrong with it."""
    switches = account.switches
    try:
        amounts = {name: _amount(account, line.get(name, "")) for name in ("price", "discount-price")}
        ladders = {name: _ladder(account, line.get(name, "")) for name in ("price-ranges", "discount-ranges")}
        dates = {name: _date(line.get(name, "")) for name in DATES}
    except ValueError as problem:
        return str(problem)
    if (price := amounts["price"]) is None:
        return "The price is mandatory"
    discount = amounts["discount-price"]
    begins, ends = dates["discount-start-date"], dates["discount-end-date"]
    channels = tuple(filter(None, line.get("channels", "").replace("|", ",").split(",")))
    if price <= 0 or (discount is not None and discount <= 0):
        return "The price must be greater than zero"
    if discount is not None and discount >= price:
        return "The discount price must be lower than the price"
    if discount is not None and switches.discount_period_required and not (begins and ends):
        return "The discount start and end dates are mandatory"
    if begins and ends and begins >= ends:
        return "The discount start date must be before its end date"
    if channels and switches.channel_pricing == "DISABLED":
        return "Channel pricing is not enabled"
    if unknown := [code for code in channels if code not in switches.channels]:
        return f"The channel with code {unknown[0]} does not exist"
    if len(channels) > 1 and switches.channel_pricing == "SINGLE":
        return "A price applies to one channel only"
    if (ladders["price-ranges"] or ladders["discount-ranges"]) and not switches.volume_pricing:
        return "Volume pricing is not enabled"
    if (dates["start-date"] or dates["end-date"]) and not switches.scheduled_pricing:
        return "Scheduled pricing is not enabled"
    return Price(
        price=price,
        discount=discount,
        discount_from=begins,
        discount_until=ends,
        ranges=ladders["price-ranges"],
        discount_ranges=ladders["discount-ranges"],
        channels=channels,
        starts=dates["start-date"],
        ends=dates["end-date"],
        organisations=tuple(filter(None, line.get("customer-organization-ids", "").split(","))),
        groups=tuple(filter(None, line.get("customer-group-ids", "").split(","))),
    )


def together(prices: Iterable[Price]) -> list[Price] | str:
    """All prices of an offer, the default one first; or why they cannot stand together."""
    found = list(prices)
    if len(found) > MOST_PRICES:
        return f"An offer has at most {MOST_PRICES} prices"
    defaults = [price for price in found if price.default]
    if len(defaults) != 1:
        return "The default price of the offer is missing" if not defaults else "The default price of the offer is given more than once"
    return defaults + [price for price in found if not price.default]


def _amount(account: Account, text: str) -> int | None:
    """With a point, and no more decimals than the currency has. Raises ValueError with the reason."""
    if not text:
        return None
    try:
        amount = Decimal(text)
        decimals = -int(amount.as_tuple().exponent)
    except (InvalidOperation, TypeError, ValueError):
        raise ValueError(f"The price {text} is not a number") from None
    if not amount.is_finite() or decimals > SCALES.get(account.currency, 2) or amount > 10**7:
        raise ValueError(f"The price {text} is not valid")
    return minor(amount, account.currency)


def _ladder(account: Account, text: str) -> tuple[tuple[int, int], ...]:
    """As in "5|9.50,10|9": from so many units, so much each."""
    steps = []
    for step in filter(None, text.split(",")):
        threshold, _, amount = step.partition("|")
        price = _amount(account, amount)
        if not threshold.isdigit() or price is None:
            raise ValueError(f"The price ranges {text} are not valid")
        steps.append((int(threshold), price))
    return tuple(sorted(steps))


def _date(text: str) -> datetime | None:
    """ISO 8601; without an offset it is UTC."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"The date {text} is not valid") from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
