"""What goes wrong between the packing and the marketplace's knowing of it."""

from ops.simulate.provocations.orders import tried_again
from ops.simulate.provocations.stage import Stage, provokes

NOBODYS = "Pigeon & Sons"  # a carrier that no marketplace lists


@provokes("X36")
async def a_carrier_is_new(stage: Stage) -> None:
    """The warehouse sends a parcel with somebody whom nobody has mapped."""
    order = await stage.bought()
    stage.pack(await stage.copied(order), NOBODYS)
    await stage.trouble("X36", order)
    await stage.desk.map("carrier", stage.settings.channel[0].id, NOBODYS, "YODEL", "a new contract", replace=True)
    await stage.cured("X36", order)


@provokes("X37", rules={"tracking_hours": 0.5})
async def a_parcel_has_no_number(stage: Stage) -> None:
    """The tracking number follows late."""
    order = await stage.bought()
    copy = await stage.copied(order)
    [parcel, *_] = stage.pack(copy, number="")
    await stage.trouble("X37", order)
    for one in copy.fulfillments:
        stage.act("shopify", "staffTrack", fulfillment=one, tracking={"company": "Royal Mail", "number": f"LT{parcel}"})
    await stage.cured("X37", order)


@provokes("X38")
async def a_number_is_used_twice(stage: Stage) -> None:
    """One label is stuck on two parcels."""
    first, second = await stage.bought(), await stage.bought()
    one, other = await stage.copied(first), await stage.copied(second)
    stage.pack(one, number="TWICE1234GB")
    [parcel, *_] = stage.pack(other, number="TWICE1234GB")
    trouble = await stage.trouble("X38")
    late = first if first in trouble.subject else second
    for fulfilment in (one if late == first else other).fulfillments:
        stage.act("shopify", "staffTrack", fulfillment=fulfilment, tracking={"company": "Royal Mail", "number": f"ONCE{parcel}"})
    await stage.cured("X38")


@provokes("X39", mirakl={"multi_shipment": False})
async def a_dispatch_is_refused(stage: Stage) -> None:
    """The marketplace will not hear of a parcel, for no reason."""
    stage.spoil("OR24", "http_400")
    order = await stage.bought()
    stage.pack(await stage.copied(order))
    await tried_again(stage, "X39")


@provokes("X41", rules={"dispatch_warning_hours": 47.0})
async def a_parcel_is_late(stage: Stage) -> None:
    """The warehouse has put an order aside, and its promise is near."""
    order = await stage.bought()
    copy = await stage.copied(order)
    for one in copy.fulfillment_orders:
        stage.act("shopify", "staffHold", parcel=one, reason="OTHER", notes="later")
    await stage.trouble("X41", order)
    for one in copy.fulfillment_orders:
        stage.act("shopify", "staffRelease", parcel=one)
    stage.pack(copy)
    await stage.cured("X41", order)


@provokes("X42")
async def somebody_dispatches_by_hand(stage: Stage) -> None:
    """Somebody presses the button at the back office, and the parcel is still here."""
    order = await stage.bought()
    copy = await stage.copied(order)
    stage.act("mirakl", "operator_ship", order_id=order)
    await stage.trouble("X42", order)
    stage.pack(copy)
    await stage.cured("X42", order)


@provokes("X43")
async def more_is_packed_than_is_owed(stage: Stage) -> None:
    """A unit is taken off an order on the marketplace at the moment at which it is packed."""
    order = await stage.bought(2, workflow="PAY_ON_SHIPMENT")
    copy = await stage.copied(order)
    [line] = stage.order(order).lines
    stage.act("mirakl", "operator_cancel_line", order_line_id=line.id, quantity=1)
    [parcel] = stage.pack(copy)
    await stage.trouble("X43", order)
    stage.act("shopify", "staffUnfulfil", fulfillment=parcel)
    await stage.cured("X43", order)
    await stage.until(lambda: copy.lines[0].current == 1, "the unit is off in Shopify")
    [waiting] = [one for one in map(stage.shop.fulfillment_orders.__getitem__, copy.fulfillment_orders) if one.remaining]
    tracking = {"company": "Royal Mail", "number": "ONE1234GB", "url": None}
    stage.act("shopify", "staffFulfil", parcel=waiting.id, lines=[[waiting.lines[0].id, 1]], tracking=tracking)


@provokes("X44")
async def a_parcel_is_taken_back(stage: Stage) -> None:
    """A fulfilment is cancelled after the marketplace was told of it."""
    order, _, parcel = await stage.shipped()
    stage.act("shopify", "staffUnfulfil", fulfillment=parcel)
    trouble = await stage.trouble("X44", order)
    stage.pack(await stage.copied(order))
    await stage.resolve(trouble)
    await stage.cured("X44", order)


@provokes("X45", rules={"receipt_days": 0.1}, mirakl={"receive_hours": 4.0})
async def a_parcel_does_not_arrive(stage: Stage) -> None:
    """A parcel is longer on its way than it should be."""
    order, _, _ = await stage.shipped()
    await stage.trouble("X45", order)
    await stage.cured("X45", order)


@provokes("X47")
async def what_is_packed_is_given_up(stage: Stage) -> None:
    """An order is packed and cancelled at the same moment."""
    order = await stage.bought()
    copy = await stage.copied(order)
    stage.act("mirakl", "operator_cancel", order_id=order)
    stage.pack(copy)
    await stage.resolve(await stage.trouble("X47", order))
    await stage.cured("X47", order)
