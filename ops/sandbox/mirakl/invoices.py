"""SBC11, IV01 and IV02: cycles and documents as they are told."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from ops.sandbox.mirakl.charges import TAX_CODE
from ops.sandbox.mirakl.finance import Cycle, Detail, Document
from ops.sandbox.mirakl.shapes import moment
from ops.sandbox.mirakl.state import Account
from ops.sandbox.money import number, rest_text

ONLY_ON_INVOICES = ("reserve_funding", "reserve_settlement")  # SBC11 publishes no such figures


def cycle(account: Account, found: Cycle) -> dict[str, Any]:
    pay_out: dict[str, Any] = {"state": found.state}
    if found.state == "PAID":
        pay_out |= {"reference": found.reference, "transaction_date": moment(found.paid_at)}
    if found.state == "FAILED":
        pay_out |= {"failure_reason": found.failure}
    return {
        "id": found.id,
        "date_created": moment(found.created_at),
        "currency_iso_code": account.currency,
        "payment_voucher_number": found.voucher,
        "amount_transferred_to_seller": number(found.to_seller, account.currency),
        "amount_transferred_to_operator": number(found.to_operator, account.currency),
        "pay_out": pay_out,
        "pay_out_psp_code": "NOT_SPECIFIED",
        "shop": {
            "shop_id": account.shop_id,
            "shop_name": account.shop_name,
            "shop_corporate_name": f"{account.shop_name} Ltd",
            "shop_model": "MARKETPLACE",
            "shop_operator_internal_id": None,
        },
        "summary": {name: value for name, value in _summary(account, found).items() if name not in ONLY_ON_INVOICES},
    }


def _summary(account: Account, found: Cycle) -> dict[str, Decimal]:
    return {name: number(amount, account.currency) for name, amount in found.summary.items()}


def document(account: Account, found: Document) -> dict[str, Any]:
    run = account.finance.cycles[found.cycle] if found.cycle else None
    automatic = found.type == "AUTO_INVOICE"
    total = number(found.total, account.currency)
    with_tax = number(found.total + found.tax, account.currency)
    shown: dict[str, Any] = {
        "id": found.id,
        "invoice_id": found.invoice_id,
        "type": found.type,
        "state": "COMPLETE",
        "currency_iso_code": account.currency,
        "date_created": moment(found.created_at),
        "issue_date": moment(found.created_at),
        "due_date": moment(found.due_at),
        "details": [_detail(account, found, detail) for detail in found.details],
        "issuing_user": {"type": "BATCH" if automatic else "OPERATOR", "information": "Automatic action" if automatic else "Seller care"},
        "pay_out_psp_code": "NOT_SPECIFIED",
        "payment": _payment(found, run),
        "payment_voucher_number": run and run.voucher,
        "shop_id": account.shop_id,
        "shop_name": account.shop_name,
        "shop_corporate_name": f"{account.shop_name} Ltd",
        "shop_model": "MARKETPLACE",
        "shop_operator_internal_id": None,
        "shop_tax_number": "GB123456789",
        "shop_address": ADDRESS,
        "total_amount_excl_taxes": total,
        "total_amount_incl_taxes": with_tax,
        "total_charged_amount": with_tax,
        "total_taxes": [{"code": TAX_CODE, "amount": number(found.tax, account.currency)}] if found.tax else [],
    }
    if run is not None:
        shown["seller_billing_cycle_id"] = run.id
    if automatic and run is not None:
        transferred = {"amount_transferred": run.to_seller, "amount_transferred_to_operator": run.to_operator}
        shown |= {
            "start_time": moment(run.started_at),
            "end_time": moment(run.created_at),
            "summary": _summary(account, run) | {name: number(amount, account.currency) for name, amount in transferred.items()},
        }
    return shown


ADDRESS = {
    "civility": None, "firstname": None, "lastname": "Accounts", "company": "Harbour & Thread Ltd", "street1": "Unit 4, Old Mill",
    "street2": None, "complementary": None, "zip_code": "LS9 8AA", "city": "Leeds", "state": None, "country": "GBR", "phone": None,
    "phone_secondary": None,
}  # fmt: skip


def payment_state(found: Document, run: Cycle | None) -> str:
    """PENDING until paid; where the operator confirms payments, until he has."""
    if run is None or run.state == "TO_PAY" or (run.state == "PAID" and not found.confirmed):
        return "PENDING"
    return run.state


def _payment(found: Document, run: Cycle | None) -> dict[str, Any]:
    state = payment_state(found, run)
    paid = run if state == "PAID" else None
    failed = {"failure_reason": run.failure} if run is not None and state == "FAILED" else {}
    return {"state": state, "reference": paid and paid.reference, "transaction_date": moment(paid.paid_at if paid else None), **failed}


def _detail(account: Account, found: Document, detail: Detail) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "description": detail.description,
        "amount_excl_taxes": number(detail.amount, account.currency),
        "quantity": detail.quantity,
        "taxes": [{"code": TAX_CODE, "amount": number(detail.tax, account.currency)}] if detail.tax else [],
    }
    if found.type != "AUTO_INVOICE":
        shown |= {"operation_date": moment(detail.on), "order_id": detail.order}
    return shown


def wanted(account: Account, found: Document, asked: Mapping[str, Any]) -> bool:
    """IV01: the invoices that runs made, unless others are asked for."""
    run = account.finance.cycles[found.cycle] if found.cycle else None
    kind = asked.get("type", "AUTO_INVOICE")
    issuer = "BATCH" if found.type == "AUTO_INVOICE" else "OPERATOR"
    return (
        kind in ("ALL", found.type)
        and asked.get("currency", account.currency) == account.currency
        and found.invoice_id in (asked.get("invoice_id") or (found.invoice_id,))
        and issuer in (asked.get("issuing_user_types") or (issuer,))
        and "NOT_SPECIFIED" in (asked.get("pay_out_psp_codes") or ("NOT_SPECIFIED",))
        and asked.get("payment_status") in (None, payment_state(found, run))
        and (not asked.get("seller_billing_cycle_id") or found.cycle in asked["seller_billing_cycle_id"])
        and within(found.created_at, asked)
    )


def within(at: datetime, asked: Mapping[str, Any]) -> bool:
    """Between start_date and end_date, both included."""
    begin, end = asked.get("start_date"), asked.get("end_date")
    return (not begin or at >= datetime.fromisoformat(begin)) and (not end or at <= datetime.fromisoformat(end))


def pdf(account: Account, found: Document) -> bytes:
    """IV02: one page that says what it is and what it asks for."""
    lines = [
        f"{found.type} {found.number}",
        f"{account.shop_id} {found.created_at:%Y-%m-%d}",
        *(f"{rest_text(detail.amount, account.currency)} {account.currency}" for detail in found.details),
        f"Total {rest_text(found.total + found.tax, account.currency)} {account.currency}",
    ]
    text = "BT /F1 11 Tf 60 780 Td 16 TL " + " ".join(f"({line}) Tj T*" for line in lines) + " ET"
    parts = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(text)} >>\nstream\n{text}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    body, starts = "%PDF-1.4\n", []
    for n, part in enumerate(parts, 1):
        starts.append(len(body))
        body += f"{n} 0 obj\n{part}\nendobj\n"
    table = "".join(f"{start:010d} 00000 n \n" for start in starts)
    end = f"trailer\n<< /Size {len(parts) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return f"{body}xref\n0 {len(parts) + 1}\n0000000000 65535 f \n{table}{end}".encode()
