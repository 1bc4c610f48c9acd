"""What a cycle's lines add up to: the summary of SBC11 and IV01, and what the operator invoices for. Signed as the shop sees it."""

from collections.abc import Iterable

from ops.sandbox.mirakl.finance import Detail, Entry

TERMS: dict[str, str] = {  # type of line -> the term of the summary it belongs to
    "ORDER_AMOUNT": "total_payable_orders",
    "ORDER_SHIPPING_AMOUNT": "total_payable_orders",
    "REFUND_ORDER_AMOUNT": "total_refund_orders",
    "REFUND_ORDER_SHIPPING_AMOUNT": "total_refund_orders",
    "COMMISSION_FEE": "total_commissions",
    "PURCHASE_COMMISSION_FEE": "total_commissions",
    "PURCHASE_SHIPPING_COMMISSION_FEE": "total_commissions",
    "PURCHASE_FEE_COMMISSION_FEE": "total_commissions",
    "REFUND_COMMISSION_FEE": "total_refund_commissions",
    "REFUND_PURCHASE_COMMISSION_FEE": "total_refund_commissions",
    "REFUND_PURCHASE_SHIPPING_COMMISSION_FEE": "total_refund_commissions",
    "REFUND_PURCHASE_FEE_COMMISSION_FEE": "total_refund_commissions",
    "SUBSCRIPTION_FEE": "total_subscription",
    "MANUAL_CREDIT": "total_other_credits",
    "INVOICEABLE_ONE_OFF_CREDIT": "total_other_credits",
    "MANUAL_INVOICE": "total_other_invoices",
    "INVOICEABLE_ONE_OFF_DEBIT": "total_other_invoices",
    "SELLER_FEE_ON_ORDER": "total_seller_fees_on_orders",
    "SELLER_PENALTY_FEE": "total_seller_penalty_fees",
    "ORDER_FEE_AMOUNT": "total_fee",
    "REFUND_ORDER_FEE_AMOUNT": "total_refund_fee",
    "OPERATOR_REMITTED_ORDER_FEE_AMOUNT": "total_fee_operator_remitted",
    "OPERATOR_REMITTED_REFUND_ORDER_FEE_AMOUNT": "total_refund_fee_operator_remitted",
    "OPERATOR_PAID_ORDER_SHIPPING_AMOUNT": "total_operator_paid_shipping_charges",
    "OPERATOR_PAID_REFUND_ORDER_SHIPPING_AMOUNT": "total_refund_operator_paid_shipping_charges",
}
TAXES: dict[str, str] = {  # type of line that is tax -> the term whose tax it is
    "ORDER_AMOUNT_TAX": "total_payable_orders",
    "ORDER_SHIPPING_AMOUNT_TAX": "total_payable_orders",
    "REFUND_ORDER_AMOUNT_TAX": "total_refund_orders",
    "REFUND_ORDER_SHIPPING_AMOUNT_TAX": "total_refund_orders",
    "COMMISSION_VAT": "total_commissions",
    "REFUND_COMMISSION_VAT": "total_refund_commissions",
    "SUBSCRIPTION_VAT": "total_subscription",
    "MANUAL_CREDIT_VAT": "total_other_credits",
    "INVOICEABLE_ONE_OFF_CREDIT_TAX": "total_other_credits",
    "MANUAL_INVOICE_VAT": "total_other_invoices",
    "INVOICEABLE_ONE_OFF_DEBIT_TAX": "total_other_invoices",
    "SELLER_FEE_ON_ORDER_TAX": "total_seller_fees_on_orders",
    "SELLER_PENALTY_FEE_TAX": "total_seller_penalty_fees",
    "OPERATOR_PAID_ORDER_SHIPPING_AMOUNT_TAX": "total_operator_paid_shipping_charges",
    "OPERATOR_PAID_REFUND_ORDER_SHIPPING_AMOUNT_TAX": "total_refund_operator_paid_shipping_charges",
}
SINGLE: dict[str, str] = {  # type of line -> a figure that stands alone
    "OPERATOR_REMITTED_ORDER_AMOUNT_TAX": "total_operator_remitted_taxes",
    "OPERATOR_REMITTED_ORDER_SHIPPING_AMOUNT_TAX": "total_operator_remitted_taxes",
    "OPERATOR_REMITTED_REFUND_ORDER_AMOUNT_TAX": "total_refund_operator_remitted_taxes",
    "OPERATOR_REMITTED_REFUND_ORDER_SHIPPING_AMOUNT_TAX": "total_refund_operator_remitted_taxes",
    "PURCHASE_ORDER_AMOUNT_TAX": "total_purchase_taxes",
    "PURCHASE_ORDER_SHIPPING_AMOUNT_TAX": "total_purchase_taxes",
    "REFUND_PURCHASE_ORDER_AMOUNT_TAX": "total_refund_purchase_taxes",
    "REFUND_PURCHASE_ORDER_SHIPPING_AMOUNT_TAX": "total_refund_purchase_taxes",
    "RESERVE_FUNDING": "reserve_funding",
    "RESERVE_SETTLEMENT": "reserve_settlement",
}
NEVER = ("total_non_payable_orders", "total_refund_non_payable_orders")  # orders that the buyer pays to the seller himself
PAIRS = tuple(dict.fromkeys((*TERMS.values(), "total_refund_payable_orders", *NEVER)))
ALONE = tuple(dict.fromkeys(SINGLE.values()))
PUBLISHED = frozenset(TERMS) | frozenset(TAXES) | frozenset(SINGLE) | {"PAYMENT"}  # every type that the contract lists

INVOICED = {  # term -> how the invoice calls it; what is not here is not the operator's to invoice, or has a document of its own
    "total_commissions": "Commissions of completed orders",
    "total_refund_commissions": "Commissions of refunded orders",
    "total_subscription": "Subscription",
    "total_seller_fees_on_orders": "Seller fees on orders",
    "total_seller_penalty_fees": "Seller penalty fees",
}
ONE_OFFS = "INVOICEABLE_ONE_OFF"


def of(entries: Iterable[Entry]) -> dict[str, int]:
    """Every figure of the summary, the zeros too. A type that is in none of the tables is in no figure."""
    found = {f"{term}_{form}_tax": 0 for term in PAIRS for form in ("excl", "incl")} | dict.fromkeys(ALONE, 0)
    for entry in entries:
        if term := TERMS.get(entry.type) or TAXES.get(entry.type):
            found[f"{term}_incl_tax"] += entry.amount
            found[f"{term}_excl_tax"] += entry.amount - entry.within if entry.type in TERMS else 0
        elif term := SINGLE.get(entry.type):
            found[term] += entry.amount
    for form in ("excl", "incl"):  # the two are published side by side; here every order is payable
        found[f"total_refund_payable_orders_{form}_tax"] = found[f"total_refund_orders_{form}_tax"]
    return found


def invoice_details(entries: Iterable[Entry]) -> list[Detail]:
    """What the shop is charged, positive; one-off items one by one."""
    amounts: dict[str, int] = {}
    taxes: dict[str, int] = {}
    for entry in entries:
        if entry.type.startswith(ONE_OFFS) and entry.item is not None:
            name = entry.item.description
        else:
            name = INVOICED.get(TERMS.get(entry.type) or TAXES.get(entry.type) or "", "")
        if name:
            into = taxes if entry.type in TAXES else amounts
            into[name] = into.get(name, 0) - entry.amount
    return [Detail(name, amounts.get(name, 0), taxes.get(name, 0)) for name in dict.fromkeys((*amounts, *taxes))]
