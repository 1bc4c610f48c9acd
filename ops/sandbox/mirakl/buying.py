"""How an order comes to be: what was in the basket, what it costs, which taxes, fees and promotions are in it."""

from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from msgspec import Struct, convert

from ops.sandbox.chance import choose, digits, happens
from ops.sandbox.mirakl import offers, orders, prices
from ops.sandbox.mirakl.amounts import tax_of
from ops.sandbox.mirakl.registry import FEES, ORDINARY, PICK_UP
from ops.sandbox.mirakl.sale import Fee, Line, Order, Promotion, PromotionKind, Tax
from ops.sandbox.mirakl.state import Account, RefusedError
from ops.sandbox.money import share, tax_within
from ops.sandbox.people import Person

SHIPPING_PRICES = (0, 0, 295, 350, 499, 599)
TAX_RATES = (Decimal(20), Decimal(20), Decimal(20), Decimal(0), Decimal(5))  # percent; most of it standard rate
SEVERAL_RATES = {"STATE": Decimal("6.25"), "CITY": Decimal("2.5")}  # percent
COMMISSION, COMMISSION_TAX = Decimal("0.2"), Decimal(20)  # a share; percent
NUMBERINGS = ("{n:09d}", "ASOS-{n:06d}", "{n:04d}-XK-{n:05d}", "D{n:08d}")  # commercial ids can hold dashes themselves
CENTRES = ("OPERATOR-01", "HUB-NORTH")
PROMOTIONS: tuple[PromotionKind, ...] = ("PERCENTAGE_OFF", "AMOUNT_OFF", "REDUCED_UNIT_PRICE", "FREE_ITEMS")


class Options(Struct, forbid_unknown_fields=True, frozen=True):
    """What a scene may settle that is left to chance otherwise. None: chance."""

    commercial_id: str | None = None
    channel: str | None = None
    centre: str | None = None
    shipping_type: str | None = None
    workflow: str | None = None
    promotion: bool | None = None
    fees: bool | None = None
    several_taxes: bool | None = None
    tax_rates: tuple[str, ...] | None = None  # percent, one a line; the last one for all further lines
    shipping_prices: tuple[int, ...] | None = None  # minor units, likewise; else the first line carries it
    test: bool | None = None
    split: bool | None = None
    customer_reference: str | None = None


def place(
    account: Account, lines: list[tuple[str, int]], buyer: dict[str, Any], at: datetime, options: dict[str, Any] | None = None
) -> str:
    """A buyer has ordered these offers, each line its own SKU and quantity. Only what is shown can be bought. Returns the order's id.

    Where the basket is split, one commercial order has become two orders, and the first is the one returned.
    """
    wanted: dict[str, int] = {}
    for sku, quantity in lines:
        wanted[sku] = wanted.get(sku, 0) + quantity
    for sku, quantity in wanted.items():
        if offers.for_sale(account, sku, at) < quantity:
            raise RefusedError(409, f"{quantity} of {sku} are not on offer")
    settled, number = convert(options or {}, Options), account.last_order + 1
    commercial = settled.commercial_id or choose(account.seed, NUMBERINGS, "numbering", number).format(n=1000 + number)
    split = settled.split if settled.split is not None else happens(account.seed, account.switches.split_orders, "split", number)
    baskets = [lines[: (len(lines) + 1) // 2], lines[(len(lines) + 1) // 2 :]] if split and len(lines) > 1 else [lines]
    ids = [_place(account, commercial, settled, basket, convert(buyer, Person), at=at) for basket in baskets]
    return ids[0]


def _place(account: Account, commercial: str, options: Options, lines: list[tuple[str, int]], buyer: Person, *, at: datetime) -> str:
    account.last_order += 1
    seed, number, switches = account.seed, account.last_order, account.switches
    part = len(account.book.by_commercial_id.get(commercial, ()))

    def drawn(settled: bool | None, share_of_orders: float, what: str) -> bool:
        return settled if settled is not None else happens(seed, share_of_orders, what, number)

    shipping_type = options.shipping_type or (
        PICK_UP if happens(seed, switches.pick_up, "pick up", number) else choose(seed, ORDINARY, "shipping type", number)
    )
    elsewhere = happens(seed, switches.other_centres, "centre", number)
    channels = switches.channels
    order = Order(
        id=f"{commercial}-{chr(ord('A') + part)}",
        commercial_id=commercial,
        number=number,
        state="STAGING" if switches.staging_seconds else "WAITING_ACCEPTANCE",
        created_at=at,
        updated_at=at,
        shipping_deadline=at + timedelta(hours=switches.ship_hours),
        currency=account.currency,
        workflow=options.workflow or switches.payment_workflow,
        buyer=buyer,
        lines=[],
        shipping_type=shipping_type,
        channel=options.channel or (choose(seed, channels, "channel", number) if channels else None),
        centre=options.centre or (choose(seed, CENTRES, "which centre", number) if elsewhere else "DEFAULT"),
        customer_reference=options.customer_reference,
        fields={"test-order": ("BOOLEAN", "true")} if drawn(options.test, switches.test_orders, "test order") else {},
    )
    has_fees = drawn(options.fees, switches.fees, "fees")
    reduced = drawn(options.promotion, switches.promotions, "promotion")
    for index, wanted in enumerate(lines, 1):
        line = _line(account, order, index, wanted, options, reduced=reduced)
        if has_fees:
            line.fees = [Fee(code, amount) for code, amount in FEES.items() if happens(seed, 0.6, "fee", number, index, code)]
        order.lines.append(line)
    account.orders[order.id] = order
    account.book.add(order)
    orders.begin(account, order, at)
    return order.id


def _line(account: Account, order: Order, index: int, wanted: tuple[str, int], options: Options, *, reduced: bool) -> Line:
    (sku, quantity), n = wanted, order.number
    seed, offer, switches = account.seed, account.offers[sku], account.switches
    several = options.several_taxes if options.several_taxes is not None else happens(seed, switches.several_taxes, "several taxes", n)
    rates = SEVERAL_RATES if several else {"GB-VAT": _nth(options.tax_rates, index) or choose(seed, TAX_RATES, "tax", n, index)}
    if options.shipping_prices is not None:
        shipping = int(_nth(options.shipping_prices, index) or 0)
    else:
        shipping = choose(seed, SHIPPING_PRICES, "shipping", n) if index == 1 else 0
    price_now = prices.applicable(offer, order.created_at, order.channel)
    each = price_now.each(order.created_at, quantity)
    promotions, unit_price = _promoted(account, order, each, quantity) if reduced else ([], each)
    price = unit_price * quantity
    fee = share(price + shipping * switches.commission_on_shipping, COMMISSION)
    long = happens(seed, 0.3, "line id", n)
    taxes = _taxes(account, price, quantity, rates)
    return Line(
        id=str(10**23 + n * 10**6 + index) if long else f"{order.id}-{index}",
        index=index,
        offer_id=offer.id,
        offer_sku=sku,
        product_sku=offer.product_sku,
        title=offer.title,
        category=offer.category,
        quantity=quantity,
        unit_price=unit_price,
        origin_unit_price=price_now.price,
        unit_tax=round(Decimal(tax_of(taxes)) / quantity),
        price=price,
        shipping_price=shipping,
        taxes=taxes,
        shipping_taxes=_taxes(account, shipping, 1, rates),
        promotions=promotions,
        commission=fee,
        commission_tax=share(fee, COMMISSION_TAX / 100),
        commission_rate=f"{COMMISSION_TAX:.1f}",
        commission_share=str(COMMISSION),
        commission_on_shipping=switches.commission_on_shipping,
        state=order.state,
        created_at=order.created_at,
        updated_at=order.created_at,
    )


def _nth(listed: tuple[Any, ...] | None, index: int) -> Decimal | None:
    return Decimal(str(listed[min(index, len(listed)) - 1])) if listed else None


def _taxes(account: Account, price: int, units: int, rates: dict[str, Decimal]) -> list[Tax]:
    """The taxes that a price of so many units contains."""
    if not price or not any(rates.values()):
        return []
    each = account.switches.tax_rounding == "unit" and price % units == 0
    base, times = (price // units, units) if each else (price, 1)
    together = sum(rates.values(), Decimal(0)) / 100
    whole = tax_within(base, together) * times
    taxes = [
        Tax(code, int((whole * rate / 100 / together).to_integral_value(ROUND_HALF_UP)), f"{rate}", account.switches.tax_rule)
        for code, rate in rates.items()
    ]
    taxes[-1].amount += whole - tax_of(taxes)
    return taxes


def _promoted(account: Account, order: Order, price: int, quantity: int) -> tuple[list[Promotion], int]:
    """What is taken off every unit, so that the price is still its quantity times the unit price. Returns the new unit price."""
    seed, n = account.seed, order.number
    kind = choose(seed, PROMOTIONS, "promotion kind", n)
    off, value = price // 10, "10"
    if kind == "FREE_ITEMS" and quantity > 1 and price % quantity == 0:
        off, value = price // quantity, "1"
    elif kind == "AMOUNT_OFF":
        off = max(1, min(price // 2, 500))
        value = str(Decimal(off * quantity))
    elif kind == "REDUCED_UNIT_PRICE":
        off = price - price * 3 // 4
        value = str(price - off)
    else:
        kind = "PERCENTAGE_OFF"
    campaign = f"CMP-{digits(seed, 4, 'campaign', n)}" if happens(seed, 0.5, "whose promotion", n) else None
    promotion = Promotion(
        id=f"PROMO-{digits(seed, 5, 'promotion id', n)}",
        deduced=off * quantity,
        kind=kind,
        value=value,
        funded_by="OPERATOR" if campaign else "SELLER",
        campaign=campaign,
        code="WELCOME10" if happens(seed, 0.3, "promo code", n) else None,
        apportioned=kind == "AMOUNT_OFF",
    )
    return ([promotion], price - off) if 0 < off < price else ([], price)
