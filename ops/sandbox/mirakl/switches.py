"""How an operator has set up orders, and both positions of whatever nobody documents. Shares are from 0 to 1."""

from typing import Literal

from ops.sandbox.mirakl.terms import MoneyTerms


class OrderSwitches(MoneyTerms):
    # ------------------------------------------------------------------------------------- what PC01 and the lists tell
    acceptance: Literal["NOT_AUTOMATIC", "AUTOMATIC", "BOTH"] = "NOT_AUTOMATIC"
    automatic_share: float = 0.5  # of orders, where BOTH
    addresses_before_acceptance: bool = False
    multi_shipment: bool = False  # shipments by ST*; else OR23 and OR24, and ST01 is not found
    alternative_carriers: bool = True  # a carrier outside the list may be named
    mandatory_tracking: bool = False  # for every shipping method
    tracking_mandatory_for: tuple[str, ...] = ()  # and else for these, by code
    tax_mode: Literal["TAX_INCLUDED", "TAX_EXCLUDED"] = "TAX_INCLUDED"
    taxes_remitted_by_operator: bool = False  # then a tax is not payable to the shop, and says so in its breakdown
    order_level_taxes: bool = False  # "order level tax calculation": sums per order; refunds and cancelations in the platform's mode
    payment_workflow: Literal[
        "PAY_ON_ACCEPTANCE", "PAY_ON_SHIPMENT", "PAY_ON_DELIVERY", "PAY_ON_DUE_DATE", "NO_CUSTOMER_PAYMENT_CONFIRMATION"
    ] = "PAY_ON_ACCEPTANCE"
    payment_days: int = 30  # PAY_ON_DUE_DATE: from the receipt to the debit
    returns: bool = False
    return_days: int = 28  # the window in which an item may come back, from its receipt
    returns_accepted: Literal["by_hand", "automatically"] = "by_hand"  # a return that says nothing of it
    return_method_editable: bool = True  # "Allow store accounts to update the return method before acceptance"
    currency: str = "GBP"  # the shop's own
    platform_currency: str = "GBP"  # where they differ, amounts must come with their currency
    channels: tuple[str, ...] = ()  # codes of the storefronts; none: orders have no channel
    partial_acceptance: bool = True
    partial_cancelation: Literal["open", "closed_400", "closed_403"] = "closed_400"  # OR30 to a shop; how it is refused is not documented

    # -------------------------------------------------------------------------------------------- how long things take
    staging_seconds: float = 0.0  # the operator's fraud check; 0: there is none
    acceptance_hours: float = 48.0  # then a waiting order is refused by itself
    debit_delay: float = 20.0  # seconds from acceptance to the debit being asked for
    payment_delay: float = 40.0  # seconds from there to SHIPPING
    ship_hours: float = 48.0  # the promise: shipping_deadline
    collect_hours: float = 24.0  # a parcel for a pick-up point: from SHIPPED to TO_COLLECT
    receive_hours: float = 72.0
    close_hours: float = 336.0
    refund_delay: float = 60.0  # seconds that a refund stays in each of its states
    refund_tax_confirmation: bool = False  # whether it waits for its taxes first
    incident_holds: bool = True  # whether an open incident keeps an order from closing by itself
    export_delay: float = 30.0  # seconds until an OR13 export is there
    export_items: int = 0  # the operator's own limit of orders a file; 0: what was asked for

    # ---------------------------------------------------------------------- what an order looks like, share of all orders
    split_orders: float = 0.0  # of baskets with several lines: one commercial order, two orders
    promotions: float = 0.0
    fees: float = 0.0
    other_centres: float = 0.0  # fulfilled by the operator: not the shop's to accept or ship
    pick_up: float = 0.0  # shipped to a pick-up point
    test_orders: float = 0.0  # marked so by an additional field
    several_taxes: float = 0.0
    tax_rule: Literal["NONE", "PROPORTIONAL_TO_AMOUNT"] = "NONE"
    tax_rounding: Literal["unit", "line"] = "unit"  # line: price_unit × quantity may miss the net price by a penny
    commission_on_shipping: bool = True
    amount_breakdowns: bool = False  # "advanced features"

    # ------------------------------------------------------------------------------------------------ what goes wrong
    debits_refused: float = 0.0  # share of debits; the order is then cancelled if it has not left
    debits_stuck: bool = False  # they are asked for and never answered
    exports_fail: bool = False
    exports_cancelled: bool = False

    # -------------------------------------------------------------------------------- what nobody documents: both ways
    staging_shown: bool = True  # whether OR11 answers orders in STAGING
    quantity_falls: Literal["creation", "acceptance", "never"] = "creation"
    quantity_returns: bool = True  # when a line is refused or cancelled after all
    quantity_returns_on_refund: bool = False  # of units that are not shipped any more
    cancelled_keeps_prices: bool = True  # a whole order cancelled: its prices stay filled, or move into cancelations
    refund_after_closed: bool = False  # OR28; the operator always can
    missing_refund_taxes: Literal["refused", "not_refunded"] = "not_refunded"  # rule NONE and no tax sent
    excluded_units: Literal["line_closed", "line_refunded", "ignored"] = "line_closed"  # a line none of whose units ships any more
    refunded_lines: bool = True  # whether a line shows REFUNDED once all of it was paid back
    prepared_until_debited: bool = False  # PAY_ON_SHIPMENT: a shipment stays SHIPMENT_PREPARED until its debit is confirmed
    reception_refunds: bool = False  # whether the operator refunds by itself what came back and is compliant
    update_overlap: float = 300.0  # seconds that OR11 quietly takes off start_update_date
    refusal_codes: Literal["in_message", "in_errors"] = "in_message"  # where OR21's published codes stand

    # ----------------------------------------------------------------------------------------------- published ceilings
    enforce_ceilings: bool = False  # answer 429 as well as counting
    retry_after: Literal["seconds", "missing", "garbage"] = "seconds"
    ceiling_slack: float = 1.0  # seconds by which a call may come early: the wire's jitter is not the caller's fault
    pages_count: bool = True  # whether every page of a list is a call of its own
    external_partner: bool = False  # then OR11 may be called every 15 minutes only
