"""What an operator configures about orders, and what nobody documents: both positions of each uncertainty."""

from typing import Literal

from ops.sandbox.mirakl.terms import MoneyTerms


class OrderSwitches(MoneyTerms):
    acceptance: Literal["NOT_AUTOMATIC", "AUTOMATIC"] = "NOT_AUTOMATIC"
    partial_acceptance: bool = True
    acceptance_hours: float = 48.0  # then a waiting order is refused by itself
    addresses_before_acceptance: bool = False
    multi_shipment: bool = False
    alternative_carriers: bool = True
    mandatory_tracking: bool = False
    tax_mode: Literal["TAX_INCLUDED", "TAX_EXCLUDED"] = "TAX_INCLUDED"
    debit_delay: float = 20.0  # seconds from acceptance to the debit being asked for
    payment_delay: float = 40.0  # seconds from there to SHIPPING
    receive_hours: float = 72.0
    close_hours: float = 336.0
    ship_hours: float = 48.0  # the promise: shipping_deadline
    quantity_falls: Literal["creation", "acceptance", "never"] = "creation"
    quantity_returns: bool = True  # when a line is refused after all
    update_overlap: float = 300.0  # seconds that OR11 quietly takes off start_update_date
    enforce_ceilings: bool = False  # answer 429 as well as counting
    ceiling_slack: float = 1.0  # seconds by which a call may come early: the wire's jitter is not the caller's fault
    pages_count: bool = True  # whether every page of a list is a call of its own
    external_partner: bool = False  # then OR11 may be called every 15 minutes only
