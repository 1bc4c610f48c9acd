"""TL*, SBC11, IV*: the ledger, what was paid out, what was invoiced."""

from ops.sandbox.mirakl import extracts, invoices, seek, statement
from ops.sandbox.mirakl.answers.call import DEFAULT_PAGE, Answer, Call, json, neighbours
from ops.sandbox.mirakl.answers.offers import extract, status
from ops.sandbox.mirakl.state import RefusedError
from ops.sandbox.wire import Reply

LEDGER_FILE = "/api/sellerpayment/transactions_logs/async/files/{id}?file={n}"


def _may_read(call: Call) -> None:
    if not call.account.switches.ledger_role:
        raise RefusedError(403, "Access to the resource is denied")


def _ledger(call: Call) -> Reply:
    _may_read(call)
    rows, tokens = statement.page(call.account, seek.turn(call.values))
    return json({"data": rows, **tokens})


def _export_ledger(call: Call) -> Reply:
    _may_read(call)
    return json({"tracking_id": call.change("TL03", {"asked": call.body})})


def _export_status(call: Call) -> Reply:
    _may_read(call)
    return json(status(call, extract(call, "TL03"), LEDGER_FILE))


def _ledger_file(call: Call) -> Reply:
    content, kind = extracts.file_of(call.account, "TL03", call.values["tracking_id"], call.values["file"])
    return Reply(200, content, kind=f"{kind}; charset=utf-8")


def _cycles(call: Call) -> Reply:
    """SBC11: the oldest first unless asked otherwise."""
    account, turn = call.account, seek.turn(call.values)
    asked, every = turn.asked, list(account.finance.cycles.values())

    def wanted(n: int) -> bool:
        one = every[n]
        return (
            one.id in (asked.get("id") or (one.id,))
            and account.currency in (asked.get("currency") or (account.currency,))
            and one.state in (asked.get("pay_out_state") or (one.state,))
            and "NOT_SPECIFIED" in (asked.get("pay_out_psp_code") or ("NOT_SPECIFIED",))
            and invoices.within(one.created_at, asked)
        )

    chosen, tokens = turn.page(range(len(every)), wanted, descending=turn.descending(default=False))
    return json({"data": [invoices.cycle(account, every[n]) for n in chosen], **tokens})


def _documents(call: Call) -> Reply:
    account, values = call.account, call.values
    found = [one for one in account.finance.documents if invoices.wanted(account, one, values)]
    if values.get("order") == "desc":
        found.reverse()
    size, offset = values.get("max", DEFAULT_PAGE), values.get("offset", 0)
    shown = [invoices.document(account, one) for one in found[offset : offset + size]]
    links = neighbours(call, "/api/invoices", size, offset, len(found))
    return json({"invoices": shown, "total_count": len(found)}, headers=links)


def _document_file(call: Call) -> Reply:
    wanted = call.values["accounting_document_id"]
    found = next((one for one in call.account.finance.documents if one.invoice_id == wanted), None)
    if found is None:
        raise RefusedError(404, f"Accounting document with identifier '{wanted}' not found")
    name = {"Content-Disposition": f'attachment; filename="{found.number}.pdf"'}
    return Reply(200, invoices.pdf(call.account, found), name, "application/octet-stream")


ANSWERS: dict[str, Answer] = {
    "TL02": _ledger,
    "TL03": _export_ledger,
    "TL04": _export_status,
    "TL05": _ledger_file,
    "SBC11": _cycles,
    "IV01": _documents,
    "IV02": _document_file,
}
