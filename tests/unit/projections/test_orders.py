"""The row of an order, and what follows from its life (R34, R36, R95-R97, R100-R114; invariants O1, O4, O5, F1-F4).

The table is to be read as documentation: given what had happened, when this comes, then so much is asked and told.
"""

import itertools
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from projections.order_policy import policy
from projections.orders import RANKS, Order, initial, orders
from projections.rules import Channel, OrderRules, Platform
from schemas.commands import AcceptOrder, CorrectTracking, CreateShopOrder, Remind, ShipOrder, ShipParcel
from schemas.events import Event
from schemas.events.aftercare import RefundedUnits, RefundPushed, RefundSeen, ShopRefundSeen, UnitsCanceled
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened, ExceptionResolved, ExceptionRetried
from schemas.events.orders import (
    AcceptanceDecided,
    BuyerFlagged,
    DeliveryAddressGiven,
    OrderAccepted,
    OrderShipped,
    OrderSignalled,
    OrderStateChanged,
    OrderTermsChanged,
    ShipmentMade,
    ShopOrderHeld,
    TrackingCorrected,
    TrackingShown,
)
from schemas.events.people import OrderHeld, OrderRefusalAsked, OrderReleased, Redriven
from schemas.values import LineId, Money, ShopId, Sku, Tax
from tests.examples import (
    CHANNEL,
    KEY,
    NOON,
    ORDER,
    address,
    assessed,
    confirmed,
    created,
    fulfilled,
    line,
    line_state,
    placed,
    refused,
    reminded,
    shop_seen,
    state,
)
from tests.spec import Spec, spec

LINE = LineId(f"{ORDER}-1")
STREAM = f"order-{CHANNEL}:{ORDER}"
PARCEL = ShopId("gid://shopify/Fulfillment/1")
MULTI = Channel(platform=Platform(multi_shipment=True))
HOUR = timedelta(hours=1)


def life(channel: Channel | None = None) -> Spec[Order]:
    return spec(orders, policy(lambda _: channel or Channel()))


def asked(story: Spec[Order]) -> list[str]:
    """What was asked, as tag or tag:part; reminders aside."""
    return [
        f"{command.__struct_config__.tag}:{command.part}" if command.part else str(command.__struct_config__.tag)
        for command in story.asked
        if not isinstance(command, Remind)
    ]


def told(story: Spec[Order]) -> list[str]:
    """What was told: a decision's outcome, the code of an exception, and the code of one that is over with a minus."""
    signs: list[str] = []
    for note in story.told:
        match note:
            case AcceptanceDecided(outcome=outcome):
                signs.append(outcome)
            case ExceptionOpened(code=code):
                signs.append(code)
            case ExceptionClosed(key=key):
                signs.append(f"-{key.partition(':')[0]}")
    return signs


# ---------------------------------------------------------------- the table

WAITING = [placed(), state("WAITING_ACCEPTANCE")]
ACCEPTED = [*WAITING, assessed(), OrderAccepted(channel=CHANNEL, order_id=ORDER, accepted=(LINE,)), state("WAITING_DEBIT_PAYMENT")]
SHIPPABLE = [*ACCEPTED, address(), state("SHIPPING")]
STANDS = [*SHIPPABLE, created(), shop_seen()]
PACKED = [*STANDS, fulfilled()]
SHIPPED = [
    *PACKED,
    OrderShipped(
        channel=CHANNEL, order_id=ORDER, carrier_code="RM", tracking_number="AB123456789GB", fulfilments=(PARCEL,), carrier="Royal Mail"
    ),
    state("SHIPPED"),
]
SPLIT = [*STANDS[:-2], created(), shop_seen()]
HELD = OrderHeld(channel=CHANNEL, order_id=ORDER, reason="a call from the buyer")
RELEASED = OrderReleased(channel=CHANNEL, order_id=ORDER, reason="all is well")
REFUSE = OrderRefusalAsked(channel=CHANNEL, order_id=ORDER, reason="not ours")
TAKEN_BACK = [*SHIPPED, fulfilled(status="CANCELLED", updated_at=NOON + HOUR)]
OTHER = ShopId("gid://shopify/Fulfillment/2")
SENT_AGAIN = fulfilled(fulfilment=OTHER, tracking_number="NEW1", updated_at=NOON + 2 * HOUR)
CORRECTED_AGAIN = TrackingCorrected(channel=CHANNEL, order_id=ORDER, fulfilment=OTHER, carrier="Royal Mail", tracking_number="NEW1")
ALL_OR_NOTHING = refused("accept_order", "ORDER_PARTIAL_ACCEPTANCE_DISABLED", field="partial_acceptance")
LOST = DeliveryAddressGiven(channel=CHANNEL, order_id=ORDER, lacks=("city", "country"))
SEEN = LineId("seen")
OPEN_INCIDENT = OrderSignalled(channel=CHANNEL, order_id=ORDER, incident=True, at=NOON)
NO_INCIDENT = OrderSignalled(channel=CHANNEL, order_id=ORDER, at=NOON)
MESSAGE = OrderSignalled(channel=CHANNEL, order_id=ORDER, message=True, at=NOON)
WAITS = ShopOrderHeld(channel=CHANNEL, order_id=ORDER)
SHOWN = TrackingShown(channel=CHANNEL, order_id=ORDER, carrier_code="RM", tracking_number="BY-HAND")
RELABELLED = fulfilled(tracking_number="NEW1", updated_at=NOON + HOUR)
LATE = placed(ship_by=NOON + 48 * HOUR)


def stuck(name: str) -> OrderStateChanged:
    return OrderStateChanged(channel=CHANNEL, order_id=ORDER, state=name, at=NOON)


EDITED = shop_seen(units={})
UNIT_OFF = RefundedUnits(line_id=LINE, quantity=1, amount=Money(2450, "GBP"), tax=Money(0, "GBP"), restock="CANCEL")
PAID_BACK_HERE = ShopRefundSeen(
    channel=CHANNEL, order_id=ORDER, refund=ShopId("gid://shopify/Refund/1"), lines=(UNIT_OFF,), shipping=Money(0, "GBP"),
    shipping_tax=Money(0, "GBP"), other=Money(0, "GBP"), created_at=NOON,
)  # fmt: skip
OF_THE_EDIT = replace(PAID_BACK_HERE, other=Money(-2450, "GBP"))
OFF_THERE = UnitsCanceled(
    channel=CHANNEL, order_id=ORDER, line_id=LINE, sku=Sku("TEE-RED-M"), cancelation="C1", quantity=1, amount=Money(2450, "GBP"),
    shipping_amount=Money(0, "GBP"),
)  # fmt: skip
UNTRACKED, BACK = fulfilled(tracking_number=""), line_state("REFUNDED")
GOODWILL = RefundPushed(channel=CHANNEL, order_id=ORDER, refund="r", refunds=("R1",), leaving={LINE: 1})

TABLE: list[tuple[str, Sequence[Event], Event, list[str], list[str]]] = [
    # what it shows                                     given                      when                     asked, told
    ("nothing is promised before Shopify is read", [placed()], state("WAITING_ACCEPTANCE"), [], []),
    ("enough stock: accepted", WAITING, assessed(10), ["accept_order"], ["accept"]),
    ("too little stock: a person decides", WAITING, assessed(0), [], ["hold", "X14"]),
    ("sold beyond zero by the shop's own choice: accepted", WAITING, assessed(0, oversell=True), ["accept_order"], ["accept"]),
    ("untracked: accepted", WAITING, assessed(None), ["accept_order"], ["accept"]),
    ("SKU unknown: waits for a mapping", WAITING, assessed(0, variants=0), [], ["hold", "X01"]),
    ("SKU on two variants: a person decides", WAITING, assessed(5, variants=2), [], ["hold", "X02"]),
    ("on the list: a person decides", WAITING, BuyerFlagged(channel=CHANNEL, order_id=ORDER, entry="a"), [], ["hold", "X95"]),
    ("a test order: a person decides", [placed(test=True)], state("WAITING_ACCEPTANCE"), [], ["hold", "X95"]),
    ("held before it is accepted", WAITING, HELD, [], ["hold", "X95"]),
    ("held, then read in Shopify: it stays held", [*WAITING, HELD], assessed(), [], []),
    ("released by a person: accepted", [*WAITING, assessed(0)], RELEASED, ["accept_order"], ["accept", "-X14"]),
    ("refused by a person", [*WAITING, assessed(0)], REFUSE, ["accept_order"], ["refuse", "-X14"]),
    ("stock came since: accepted", [*WAITING, assessed(0)], assessed(5), ["accept_order"], ["accept", "-X14"]),
    ("its time runs out: somebody is told", [*WAITING, assessed(0)], reminded(NOON + 20 * HOUR), [], ["X24"]),
    ("its time runs out and Shopify was never read", WAITING, reminded(NOON + 20 * HOUR), [], ["X24"]),
    ("accepted orders of others are left alone", [placed(fulfilled_by="OPERATOR")], state("WAITING_ACCEPTANCE"), [], []),
    ("taken back after it was told, and sent again: its new number", TAKEN_BACK, SENT_AGAIN, ["correct_tracking:" + str(OTHER)], []),
    ("and that is known there", [*TAKEN_BACK, SENT_AGAIN, CORRECTED_AGAIN], shop_seen(), [], []),
    ("the marketplace has it otherwise now", [*WAITING, assessed()], refused("accept_order"), [], ["X27"]),
    ("a part may not be taken: a person decides", [*WAITING, assessed()], ALL_OR_NOTHING, [], ["X26"]),
    ("and takes all of it", [*WAITING, assessed(), ALL_OR_NOTHING], RELEASED, ["accept_order"], ["accept", "-X26"]),
    ("or refuses it", [*WAITING, assessed(), ALL_OR_NOTHING], REFUSE, ["accept_order"], ["refuse", "-X26"]),
    ("payment does not come through", [*WAITING[:1], stuck("WAITING_DEBIT")], reminded(NOON + 4 * HOUR), [], ["X25"]),
    ("shippable: into Shopify", [*ACCEPTED, address()], state("SHIPPING"), ["create_shop_order"], []),
    ("shippable, the address comes later", [*ACCEPTED, state("SHIPPING")], address(), ["create_shop_order"], []),
    ("the address lacks something: waits for CX", [*ACCEPTED, LOST], state("SHIPPING"), [], ["X22"]),
    ("the address was completed", [*ACCEPTED, LOST, state("SHIPPING")], address(), ["create_shop_order"], ["-X22"]),
    ("held: not brought into Shopify", [*ACCEPTED, address(), HELD], state("SHIPPING"), [], ["X95"]),
    ("released: brought into Shopify", [*ACCEPTED, address(), HELD, state("SHIPPING")], RELEASED, ["create_shop_order"], ["-X95"]),
    (
        "lines do not add up to what the marketplace says: held with the difference",
        [placed(stated_total=Money(2500, "GBP")), address()],
        state("SHIPPING"),
        [],
        ["X31"],
    ),
    ("not in Shopify for too long", [placed(), address(), stuck("SHIPPING")], reminded(NOON + HOUR), [], ["X34"]),
    ("first heard of when over: not created", [placed(), address()], state("RECEIVED"), [], []),
    ("of a fulfilment centre: not created", [placed(fulfilled_by="OPERATOR"), address()], state("SHIPPING"), [], []),
    ("a SKU that Shopify has not got", SHIPPABLE, refused("create_shop_order", "unknown SKU: TEE", "lines.0.sku"), [], ["X01"]),
    ("a shipping method that nobody mapped", SHIPPABLE, refused("create_shop_order", "unmapped: EXP", "method"), [], ["X21"]),
    ("Shopify will not take it", SHIPPABLE, refused("create_shop_order", "INVALID", "phone"), [], ["X28"]),
    ("it stands in Shopify: the marketplace learns its name", SHIPPABLE, created(), ["set_seller_reference"], []),
    ("another total in Shopify: the warehouse waits", SHIPPABLE, created(total=Money(2451, "GBP")),
     ["set_seller_reference", "hold_shop_order"], ["X31"]),
    ("held: the warehouse waits", STANDS, HELD, ["hold_shop_order"], []),
    ("released: the warehouse goes on", [*STANDS, HELD, WAITS], RELEASED, ["release_shop_order"], []),
    ("an incident: the warehouse waits", STANDS, OPEN_INCIDENT, ["hold_shop_order"], ["X60"]),
    ("the incident is over", [*STANDS, OPEN_INCIDENT, WAITS], NO_INCIDENT,
     ["release_shop_order"], ["-X60"]),
    ("the buyer waits for an answer", [*STANDS, MESSAGE], reminded(NOON + 24 * HOUR), [], ["X61"]),
    ("more in Shopify than was sold", STANDS, shop_seen(strangers=1), [], ["X94"]),
    ("the edit is undone", [*STANDS, shop_seen(strangers=1)], shop_seen(), [], ["-X94"]),
    ("an edit takes units off, and may be undone", [*STANDS, EDITED], reminded(NOON + timedelta(minutes=14)), [], []),
    ("and is not", [*STANDS, EDITED], reminded(NOON + timedelta(minutes=15)), [], ["X94"]),
    ("it leaves a refund without money behind", [*STANDS, EDITED, OF_THE_EDIT], reminded(NOON + HOUR), [], ["X94"]),
    ("the order changes in another way", [*STANDS, EDITED, reminded(NOON + HOUR)], replace(EDITED, updated_at=NOON + HOUR), [], []),
    ("they are put back", [*STANDS, EDITED, reminded(NOON + HOUR)], shop_seen(updated_at=NOON + HOUR), [], ["-X94"]),
    ("they are canceled on the marketplace", [*STANDS, EDITED, reminded(NOON + HOUR)], OFF_THERE, [], ["-X94"]),
    ("the order is released", [*STANDS, EDITED, reminded(NOON + HOUR)], RELEASED, [], ["-X94"]),
    ("a refund takes units off", [*STANDS, EDITED, PAID_BACK_HERE], reminded(NOON + HOUR), [], []),
    ("a record of a cancelation does", [*STANDS, EDITED, replace(OF_THE_EDIT, mirrors="C1")], reminded(NOON + HOUR), [], []),
    ("its cancellation does", [*STANDS, replace(EDITED, cancelled_at=NOON)], reminded(NOON + HOUR), [], []),
    ("edited: nothing is dispatched", [*STANDS, shop_seen(units={LINE: 2})], fulfilled(), [], []),
    ("its dispatch is due", [LATE, *STANDS[1:]], reminded(NOON + 42 * HOUR), ["signal_on_order:dispatch-now"], ["X41"]),
    ("cancelled on the marketplace: stopped in Shopify", STANDS, state("CANCELED"), ["cancel_shop_order"], []),
    ("all lines cancelled: stopped in Shopify", STANDS, line_state("CANCELED"), ["cancel_shop_order"], []),
    ("cancelled on the marketplace, packed already", PACKED, state("CANCELED"), [], ["X47"]),
    ("cancelled, and Shopify will not", [*STANDS, state("CANCELED")], refused("cancel_shop_order"), [], ["X47"]),
    ("fulfilled: the marketplace is told", STANDS, fulfilled(), ["ship_order"], []),
    ("fulfilled and read again: told once", PACKED, fulfilled(updated_at=NOON + HOUR), [], []),
    ("fulfilled before we knew that it stands there", [*SHIPPABLE, fulfilled()], created(), ["set_seller_reference", "ship_order"], []),
    ("fulfilled without a number: waits for it", STANDS, fulfilled(tracking_number=""), [], []),
    ("the number never comes", [*STANDS, fulfilled(tracking_number="")], reminded(NOON + 4 * HOUR), [], ["X37"]),
    ("the number comes", [*STANDS, fulfilled(tracking_number="")], fulfilled(updated_at=NOON + HOUR), ["ship_order"], []),
    ("paid back meanwhile: told all the same", [*STANDS, UNTRACKED, BACK], fulfilled(updated_at=NOON + HOUR), ["ship_order"], []),
    ("paid back before it left: it should have stayed", [*STANDS, BACK], fulfilled(), [], ["X43"]),
    ("paid back at our word, and to leave", [*STANDS, GOODWILL, BACK], fulfilled(), ["ship_order"], []),
    ("a failed fulfilment ships nothing", STANDS, fulfilled(status="FAILURE"), [], []),
    ("held: nothing is dispatched", [*STANDS, HELD], fulfilled(), [], []),
    ("a carrier that nobody mapped", PACKED, refused("ship_order", "unmapped carrier: Royal Mail", "carrier"), [], ["X36"]),
    ("the channel will not take the dispatch", PACKED, refused("ship_order", "not now"), [], ["X39"]),
    ("new tracking after the dispatch", SHIPPED, RELABELLED, [f"correct_tracking:{PARCEL}"], []),
    ("cancelled in Shopify after the dispatch", SHIPPED, fulfilled(status="CANCELLED", updated_at=NOON + HOUR), [], ["X44"]),
    ("dispatched on the marketplace by hand", STANDS, state("SHIPPED"), [], ["X42"]),
    ("dispatched by hand, then fulfilled here", [*STANDS, state("SHIPPED")], fulfilled(), [f"correct_tracking:{PARCEL}"], ["-X42"]),
    ("dispatched by hand with its number", [*STANDS, SHOWN, state("SHIPPED")], fulfilled(), [], ["-X42"]),
    ("never received", [*PACKED, stuck("SHIPPED")], reminded(NOON + timedelta(days=21)), [], ["X45"]),
    ("a state nobody told us about", STANDS, state("FROZEN"), [], ["X80"]),
    ("a state that we know, after it", [*STANDS, state("FROZEN")], state("SHIPPING"), [], ["-X80"]),
    ("a parcel in a state nobody told us about", STANDS, fulfilled(status="ON_A_BOAT"), [], ["X80"]),
    ("a parcel's state that we know, after it", [*STANDS, fulfilled(status="ON_A_BOAT")], fulfilled(), ["ship_order"], ["-X80"]),
    ("two parcels with one line each: more than was sold", PACKED, fulfilled(fulfilment="gid://shopify/Fulfillment/2"), [], ["X43"]),
]  # fmt: skip


@pytest.mark.parametrize(("history", "event", "commands", "notes"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_follows(history: Sequence[Event], event: Event, commands: list[str], notes: list[str]) -> None:
    story = life().given(*history).when(event)
    assert (asked(story), told(story)) == (commands, notes)


@pytest.mark.parametrize("event", [row[2] for row in TABLE], ids=[row[0] for row in TABLE])
def test_whatever_is_heard_twice_asks_and_tells_nothing_more(event: Event) -> None:
    story = life().given(*STANDS, event).when(event)
    assert (asked(story), told(story)) == ([], [])


def test_every_command_and_every_exception_of_an_order_has_its_row() -> None:
    commands = {each.partition(":")[0] for row in TABLE for each in row[3]}
    assert commands | {"ship_parcel"} == {
        "accept_order", "create_shop_order", "set_seller_reference", "signal_on_order", "ship_order", "ship_parcel", "correct_tracking",
        "hold_shop_order", "release_shop_order", "cancel_shop_order",
    }  # fmt: skip
    from projections import order_troubles  # noqa: PLC0415

    codes = {*order_troubles._BY_RULE.values(), *order_troubles._BY_STEP.values(), *(code for code, _ in order_troubles._BY_FIELD.values())}
    seen = {code for row in TABLE for code in row[4] if code.startswith("X")}
    assert codes - seen == {"X09", "X33"}  # which need rules of their own: see below


# ---------------------------------------------------------------- rules


def decided(rules: OrderRules, *events: Event) -> list[str]:
    story = life(Channel(rules=rules)).when(*WAITING, *events)
    return [*told(story), *asked(story)]


def test_rules_that_refuse_do_so_by_themselves() -> None:
    assert decided(OrderRules(short_stock="refuse"), assessed(0)) == ["refuse", "accept_order"]
    assert decided(OrderRules(unknown_sku="refuse"), assessed(variants=0)) == ["refuse", "accept_order"]
    assert decided(OrderRules(short_stock="accept"), assessed(0)) == ["accept", "accept_order"]
    assert decided(OrderRules(check_stock=False), assessed(0)) == ["accept", "accept_order"]


def test_a_price_beyond_the_tolerance_is_held() -> None:
    assert decided(OrderRules(price_tolerance=10), assessed(price=Money(2722, "GBP"))) == ["accept", "accept_order"]
    assert decided(OrderRules(price_tolerance=10), assessed(price=Money(2723, "GBP"))) == ["hold", "X09"]
    assert decided(OrderRules(price_tolerance=10), assessed(price=Money(9900, "EUR"))) == ["accept", "accept_order"]  # not comparable


def test_another_currency_is_held() -> None:
    assert decided(OrderRules(currency="EUR"), assessed()) == ["hold", "X33"]


def test_an_address_known_early_counts_in_the_decision() -> None:
    early = DeliveryAddressGiven(channel=CHANNEL, order_id=ORDER, country_code="US", po_box=True)
    assert decided(OrderRules(countries=("GB",)), early, assessed()) == ["hold", "X22"]
    assert decided(OrderRules(po_boxes=False), early, assessed()) == ["hold", "X22"]
    assert decided(OrderRules(), early, assessed()) == ["accept", "accept_order"]


def test_what_is_still_held_at_the_last_call_goes_by_the_rule_for_it() -> None:
    """Never refused by running out of time without somebody having been warned hours before."""
    warning, last_call = reminded(NOON + 20 * HOUR), reminded(NOON + 23.5 * HOUR)
    assert decided(OrderRules(), assessed(0), warning, last_call) == ["hold", "X14", "X24"]
    assert decided(OrderRules(at_deadline="refuse"), assessed(0), warning, last_call) == [
        "hold", "X14", "X24", "refuse", "-X14", "-X24", "accept_order",
    ]  # fmt: skip


def two_lines() -> list[Event]:
    return [placed(line(1), line(2, sku="CAP")), state("WAITING_ACCEPTANCE")]


def both(first: int, second: int) -> Event:
    one, other = assessed(first), assessed(second, line=f"{ORDER}-2", sku="CAP")
    return type(one)(channel=CHANNEL, order_id=ORDER, lines=one.lines | other.lines, read_at=NOON)


@pytest.mark.parametrize(("partial", "expected"), [(True, ["partly"]), (False, ["hold", "X14"])])
def test_part_of_an_order_is_taken_where_the_channel_allows_it(partial: bool, expected: list[str]) -> None:
    story = life(Channel(rules=OrderRules(short_stock="refuse", partial=partial))).given(*two_lines()).when(both(5, 0))
    assert told(story) == expected
    if partial:
        [command] = [each for each in story.asked if isinstance(each, AcceptOrder)]
        assert (command.accepted, command.refused) == ((LINE,), (LineId(f"{ORDER}-2"),))


def test_lines_of_one_sku_share_what_there_is() -> None:
    same = [placed(line(1), line(2)), state("WAITING_ACCEPTANCE")]
    seen = assessed(1)
    twice = type(seen)(channel=CHANNEL, order_id=ORDER, lines=seen.lines | {LineId(f"{ORDER}-2"): seen.lines[LINE]}, read_at=NOON)
    assert told(life().given(*same).when(twice)) == ["hold", "X14"]


def test_a_decision_holds_its_inputs() -> None:
    story = life().given(*WAITING).when(assessed(0))
    [decision, _] = story.told
    assert isinstance(decision, AcceptanceDecided)
    [verdict] = decision.lines
    assert (verdict.rule, verdict.detail, verdict.take) == ("stock", "1 of TEE-RED-M sold, 0 there", False)


def test_a_platform_that_accepts_by_itself_is_asked_nothing() -> None:
    story = life(Channel(platform=Platform(automatic=True))).given(*WAITING).when(assessed(0))
    assert (asked(story), told(story)) == ([], [])


# ---------------------------------------------------------------- several parcels


def test_each_parcel_is_told_once_where_the_marketplace_takes_several() -> None:
    story = life(MULTI).given(placed(line(quantity=2)), address(), state("SHIPPING"), created(), shop_seen(units={LINE: 2}))
    story.when(fulfilled({LINE: 1}))
    assert asked(story) == [f"ship_parcel:{PARCEL}"]
    shipment = ShipmentMade(
        channel=CHANNEL, order_id=ORDER, shipment="S1", fulfilment=PARCEL, units={LINE: 1}, carrier="Royal Mail", carrier_code="RM",
        tracking_number="AB123456789GB",
    )  # fmt: skip
    story.given(shipment).when(fulfilled({LINE: 1}, fulfilment="gid://shopify/Fulfillment/2", tracking_number="AB2"))
    assert asked(story) == ["ship_parcel:gid://shopify/Fulfillment/2"]
    story.given().when(fulfilled({LINE: 1}, tracking_number="AB3", updated_at=NOON + HOUR))
    [correction] = [each for each in story.asked if isinstance(each, CorrectTracking)]
    assert (correction.shipment, correction.tracking_number) == ("S1", "AB3")


def test_a_dispatch_by_hand_without_its_number_waits_for_somebody_where_the_marketplace_takes_several() -> None:
    """Which shipment was made by hand is not known, so its number cannot be told."""
    story = life(MULTI).given(*PACKED).when(state("SHIPPED"))
    assert (asked(story), told(story)) == ([], ["X42"])
    story.when(SHOWN)
    assert (asked(story), told(story)) == ([], ["X42", "-X42"])


def test_more_than_was_sold_is_never_told() -> None:
    story = life(MULTI).given(placed(), address(), state("SHIPPING"), created())
    story.when(fulfilled({LINE: 2}))
    assert (asked(story), told(story)) == ([], ["X43"])


def test_a_whole_order_waits_for_its_last_parcel_where_the_marketplace_takes_one() -> None:
    story = life().given(placed(line(quantity=2)), address(), state("SHIPPING"), created(), shop_seen(units={LINE: 2}))
    story.when(fulfilled({LINE: 1}))
    assert asked(story) == []
    story.when(fulfilled({LINE: 1}, fulfilment="gid://shopify/Fulfillment/2", tracking_number="AB2", updated_at=NOON + HOUR))
    [command] = [each for each in story.asked if isinstance(each, ShipOrder)]
    assert command.tracking_number == "AB2" and len(command.fulfilments) == 2


def test_units_that_the_marketplace_cancelled_are_not_waited_for() -> None:
    two = [placed(line(1), line(2, sku="CAP")), address(), state("SHIPPING"), created(total=Money(4900, "GBP"))]
    story = life().given(*two, line_state("CANCELED", 2, "CAP")).when(fulfilled())
    assert asked(story) == ["ship_order"]


def test_units_that_were_paid_back_instead_are_not_waited_for() -> None:
    two = [placed(line(quantity=2)), address(), state("SHIPPING"), created(total=Money(4900, "GBP")), fulfilled()]
    back = RefundPushed(channel=CHANNEL, order_id=ORDER, refund="gid://shopify/Refund/1", refunds=("R1",), not_to_ship={LINE: 1})
    assert asked(life().given(*two).when(back)) == ["ship_order"]


def test_a_way_of_shipping_that_people_named_goes_without_a_number() -> None:
    channel = Channel(rules=OrderRules(untracked_methods=("LETTER",)))
    history = [placed(shipping_method="LETTER"), address(), state("SHIPPING"), created()]
    assert asked(life(channel).given(*history).when(fulfilled(tracking_number=""))) == ["ship_order"]
    demanding = Channel(rules=channel.rules, platform=Platform(tracked_methods=frozenset({"LETTER"})))
    assert asked(life(demanding).given(*history).when(fulfilled(tracking_number=""))) == []


def test_parcels_are_values() -> None:
    story = life(MULTI).given(placed(), address(), state("SHIPPING"), created()).when(fulfilled())
    [command] = [each for each in story.asked if not isinstance(each, Remind)]
    assert command == ShipParcel(
        channel=CHANNEL, order_id=ORDER, fulfilment=PARCEL, units={LINE: 1}, carrier="Royal Mail", tracking_number="AB123456789GB"
    )


@pytest.mark.parametrize(
    ("units", "packed", "says"),
    [
        (1, [], "The warehouse waits."),
        (2, [fulfilled()], "is open on order 00012345-A."),
        (1, [fulfilled()], "is open on order 00012345-A."),
    ],
    ids=["waits", "packed in part", "packed"],
)
def test_the_warehouse_is_said_to_wait_only_where_it_does(units: int, packed: list[Event], says: str) -> None:
    stands = [placed(line(quantity=units)), address(), state("SHIPPING"), created(total=placed(line(quantity=units)).total), *packed]
    story = life().given(*stands).when(OPEN_INCIDENT)
    [trouble] = [note for note in story.told if isinstance(note, ExceptionOpened) and note.code == "X60"]
    assert trouble.summary.endswith(says) and (asked(story) == ["hold_shop_order"]) == (says == "The warehouse waits.")


# ---------------------------------------------------------------- steps that are let go on


def test_what_was_refused_is_asked_anew_once_it_is_let_go_on() -> None:
    story = life().given(*PACKED, refused("ship_order", "unmapped carrier: Royal Mail", "carrier"))
    key = f"X36:{STREAM}:ship_order"
    story.when(Redriven(channel=CHANNEL, order_id=ORDER, key="X36:somebody else:ship_order2", because="x"))
    assert asked(story) == []
    story.when(Redriven(channel=CHANNEL, order_id=ORDER, key=key, because="mapped"))
    assert (asked(story), told(story)) == (["ship_order"], ["-X36"])
    story.given(refused("ship_order", "again", "carrier")).when(ExceptionRetried(key=key, subject=STREAM, reason="sure"))
    assert asked(story) == ["ship_order"]


def test_what_a_person_settled_is_not_asked_again() -> None:
    story = (
        life().given(*PACKED, refused("ship_order")).when(ExceptionResolved(key=f"X39:{STREAM}:ship_order", subject=STREAM, reason="done"))
    )
    assert (asked(story), told(story)) == ([], ["-X39"])


def test_a_confirmation_closes_what_a_refusal_opened() -> None:
    story = life().given(*PACKED, refused("ship_order")).when(confirmed("ship_order"))
    assert told(story) == ["-X39"]


def test_an_exception_names_whom_it_waits_for_until_when_and_what_is_at_stake() -> None:
    story = life().given(LATE, *PACKED[1:]).when(refused("ship_order", "unmapped carrier: Royal Mail", "carrier", word="Royal Mail"))
    [trouble] = story.told
    assert trouble == ExceptionOpened(
        key=f"X36:{STREAM}:ship_order",
        code="X36",
        subject=STREAM,
        summary="ship order of 00012345-A: unmapped carrier: Royal Mail",
        field="carrier",
        owner="OPS",
        severity=1,
        next_step="crossdock map carrier",
        deadline=NOON + 48 * HOUR,
        at_stake=Money(2450, "GBP"),
        waits_for="carrier:asos:Royal Mail",
    )


# ---------------------------------------------------------------- what is created


def creation(*events: Event) -> CreateShopOrder:
    story = life().given(*events, address()).when(state("SHIPPING"))
    [command] = [each for each in story.asked if isinstance(each, CreateShopOrder)]
    return command


def test_what_is_created_leaves_out_refused_lines_and_their_money() -> None:
    two = placed(line(1), line(2, sku="CAP", price=1000, shipping_price=Money(350, "GBP")))
    command = creation(two, line_state("REFUSED", 2, "CAP"))
    assert [each.line_id for each in command.lines] == [LINE]
    assert command.total == Money(2450, "GBP")


def test_taxes_on_top_are_part_of_what_shopify_must_arrive_at() -> None:
    taxed = line(taxes=(Tax(code="VAT", amount=Money(490, "GBP")),), shipping_taxes=(Tax(code="VAT", amount=Money(10, "GBP")),))
    assert creation(placed(taxed, taxes_included=False)).total == Money(2450 + 500, "GBP")


# ---------------------------------------------------------------- time, and laws


def test_somebody_looks_again_when_the_next_clock_runs_out() -> None:
    """One reminder for each moment, and none for one that has passed."""
    story = life().when(placed(), state("WAITING_ACCEPTANCE"))
    assert [each.at for each in story.asked if isinstance(each, Remind)] == [NOON + 20 * HOUR]
    story.given().when(reminded(NOON + 20 * HOUR))
    assert [each.at for each in story.asked if isinstance(each, Remind)] == [NOON + 23.5 * HOUR]
    story.given().when(reminded(NOON + 23.5 * HOUR))
    assert [each for each in story.asked if isinstance(each, Remind)] == []


def test_an_older_reading_of_a_fulfilment_changes_nothing() -> None:
    story = spec(orders).given(placed(), created(), fulfilled(updated_at=NOON.replace(hour=14), status="CANCELLED"))
    story.when(fulfilled(updated_at=NOON)).then_row(KEY, left_the_house=False)


@given(st.permutations([state(name) for name in ("WAITING_ACCEPTANCE", "WAITING_DEBIT_PAYMENT", "SHIPPING", "SHIPPED", "RECEIVED")]))
def test_late_states_never_move_an_order_back(events: list[Event]) -> None:
    """O4: shuffled news ends in the same state."""
    spec(orders).given(placed()).when(*events).then_row(KEY, state="RECEIVED")


@given(
    st.lists(st.sampled_from([placed(), address(), state("SHIPPING"), state("SHIPPED"), created(), fulfilled(), line_state("SHIPPING")]))
)
def test_hearing_everything_twice_changes_nothing_and_asks_nothing(events: list[Event]) -> None:
    story = life().given(*events)
    rows = dict(story.rows)
    story.when(*(event for event in events if not isinstance(event, OrderStateChanged)))
    assert asked(story) == []
    assert story.rows == rows


def test_every_rank_is_reachable_upwards_only() -> None:
    for low, high in itertools.combinations(sorted(RANKS, key=RANKS.__getitem__), 2):
        if RANKS[low] < RANKS[high]:
            row = orders.evolve(orders.evolve(initial(KEY), state(high)), state(low))
            assert row.state == high


def test_what_could_not_be_read_is_over_once_it_is() -> None:
    unread = ExceptionOpened(key=f"X79:{STREAM}", code="X79", subject=STREAM, summary="x")
    story = life().given(unread).when(placed())
    assert told(story) == ["-X79"]
    assert told(story.given(*story.told).when(placed())) == []  # once it is in the log that it is over


def test_a_refund_that_could_not_be_read_is_over_once_it_is() -> None:
    unread = ExceptionOpened(key=f"X79:{STREAM}:refund:1120", code="X79", subject=STREAM, summary="x")
    story = life().given(placed(), unread)
    seen = RefundSeen(
        channel=CHANNEL,
        order_id=ORDER,
        line_id=LINE,
        sku=Sku("TEE-RED-M"),
        refund="1120",
        amount=Money(100, "GBP"),
        shipping_amount=Money(0, "GBP"),
    )
    assert told(story.when(OrderTermsChanged(channel=CHANNEL, order_id=ORDER, terms=placed(deliver_by=NOON)))) == []
    assert told(story.when(replace(seen, refund="1119"))) == []
    assert told(story.when(seen)) == ["-X79"]
