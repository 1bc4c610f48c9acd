"""What an operator configures about offers, files and money, and what nobody documents: both positions of each uncertainty."""

from typing import Literal

from msgspec import Struct


class OfferTerms(Struct, forbid_unknown_fields=True):
    """Offers, and the files that set their stock and prices."""

    import_wait: float = 5.0  # seconds until an import starts
    import_run: float = 5.0  # and until it is complete
    import_spread: float = 0.5  # by which share both vary either way: 0 finishes files in the order they came
    imports_serial: bool = False  # the next file starts when the one before is done; else an older one can win
    imports_stuck: bool = False  # they wait for ever, or until this is switched off
    import_stuck: float = 0.0  # share of files that chance lets hang for ever
    stuck_at: Literal["WAITING", "RUNNING"] = "WAITING"
    import_fails: float = 0.0  # share of files that are refused as a whole
    line_fails: float = 0.0  # share of lines refused although nothing is wrong with them
    import_rows: int = 0  # most lines a file may have; 0: no limit. None is published
    zero_quantity: bool = True  # whether a stock line may say 0
    repeated_lines: Literal["last_wins", "refused"] = "last_wins"  # one offer and warehouse twice in a file
    unchanged_touches: bool = False  # whether a line that changes nothing moves the offer's last update
    identical_files: Literal["new_import", "same_import"] = "new_import"  # what STO01 and PRI01 say to the same file again
    report_locale: Literal["en_GB", "fr_FR"] = "en_GB"
    report_charset: Literal["utf-8", "utf-8-sig", "iso-8859-1"] = "utf-8"
    report_delimiter: Literal[";", ","] = ";"
    report_quotes: Literal["all", "needed"] = "all"
    report_missing: bool = False  # has_error_report is true, and there is none
    warehouses: list[str] = []  # their codes; none: quantities are global
    price_approval: bool = False  # then PRI01 only makes prices that wait
    channel_pricing: Literal["DISABLED", "SINGLE", "MULTI"] = "DISABLED"
    volume_pricing: bool = False
    scheduled_pricing: bool = False
    discount_period_required: bool = False
    export_repeats: float = 60.0  # seconds in which the same OF52 again is handed the earlier one
    export_keeps: float = 86400.0  # seconds for which the files can be fetched


class MoneyTerms(OfferTerms):
    """When money is due, what is charged, how it is told."""

    payable_after: Literal["SHIPPED", "RECEIVED"] = "RECEIVED"
    payable_days: float = 0.0  # from there
    ledger_taxes: Literal["tax_mode", "apart", "within"] = "tax_mode"  # ORDER_AMOUNT net with _TAX lines beside it, or with tax in it
    amount_sign: Literal["signed", "positive"] = "signed"  # of `amount` on debits
    zero_lines: bool = True  # lines of nothing are written too
    lines_per_tax_code: bool = False  # and repeated for each tax code
    payment_line_state: Literal["PAID", "NOT_APPLICABLE"] = "PAID"
    milliseconds: bool = True  # in the ledger's dates
    billing_days: tuple[int, ...] = (1, 11, 21)  # of the month, at 00:00 UTC; a day that a month lacks is its last
    billing_hours: float = 0.0  # if not 0, a cycle each so many hours instead
    empty_cycles: bool = False  # whether a period without lines is a cycle too
    payout_hours: float = 24.0  # from the cycle to the bank
    payouts_fail: Literal["", "INCOMPLETE_KYC", "AWAITING_INVOICE_CHECK"] = ""  # tried again a day later
    invoice_hours: float = 0.0  # from the cycle to its accounting document
    payment_confirmation: bool = False  # documents stay PENDING until the operator confirms them
    negative_cycles: Literal["carried_over", "to_operator"] = "carried_over"
    subscription: int = 0  # minor units without tax, in the first cycle of a month
    shop_tax: str = "20"  # percent, on what the operator charges
    fee_on_order: int = 0  # minor units without tax, for each debited order
    reserve_rate: str = "0"  # percent of a cycle that is held back
    reserve_target: int = 0  # minor units; no more than this is held; 0: no limit
    reserve_cycles: int = 0  # after so many cycles it is given back; 0: when the operator says so
    fees_remitted_by_operator: bool = False  # and so are the fees that buyers pay
    operator_pays_shipping: bool = False  # shipping charges are the operator's
    operator_paid_shipping: Literal["debit", "credit"] = "debit"  # what OPERATOR_PAID_ORDER_SHIPPING_* does to the shop
    penalty_as: Literal["SELLER_PENALTY_FEE", "MANUAL_INVOICE"] = "SELLER_PENALTY_FEE"
    late_penalty: int = 0  # minor units without tax, for each order shipped after its deadline
    ledger_role: bool = True  # whether the key may read the transaction log
