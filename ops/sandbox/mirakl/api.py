"""What Mirakl answers: the key, the contract, the ceilings, then the operation."""

from datetime import datetime

from ops.sandbox.mirakl.answers import ANSWERS
from ops.sandbox.mirakl.answers.call import Call, Change, Rendered, refusal
from ops.sandbox.mirakl.answers.orders import problem_code
from ops.sandbox.mirakl.ceilings import DIFFERENTIAL, EACH, PAGED
from ops.sandbox.mirakl.contract import published
from ops.sandbox.mirakl.state import Account, RefusedError, identifier
from ops.sandbox.wire import Reply, Request


class Api:
    """One seller account's address."""

    def __init__(self, openapi: str, key: str) -> None:
        self.contract = published(openapi)
        self._key = key
        self._requests = 0
        self._rendered = Rendered()

    def names(self, request: Request) -> set[str]:
        """The code of the operation, for whoever wants it to fail."""
        try:
            return {self.contract.find(request.method, request.path)[0].code}
        except RefusedError:
            return set()

    def answer(self, account: Account, request: Request, at: datetime, change: Change) -> Reply:
        self._requests += 1
        headers = {"X-Correlation-Id": identifier(account.seed, self._requests)}
        if request.header("authorization") != self._key:
            return refusal(401, "Unauthorized", headers)
        code = ""
        try:
            operation, path = self.contract.find(request.method, request.path)
            code = headers["Mirakl-Api-Code"] = operation.code
            if (wait := _counted(account, code, request, change)) is not None and account.switches.enforce_ceilings:
                return refusal(429, "Too Many Requests", headers | _retry_after(account, wait))
            asked = self.contract.check(operation, path, request)
            if asked.values.get("shop_id", account.shop_id) != account.shop_id:
                raise RefusedError(403, f"The user has no access to the shop {asked.values['shop_id']}")
            if (answers := ANSWERS.get(code)) is None:
                raise RefusedError(501, f"{code} is not simulated")
            reply = answers(Call(self.contract, account, asked, at, change=change, base=request.base, rendered=self._rendered))
        except RefusedError as refused:
            errors = problem_code(code, refused) if account.switches.refusal_codes == "in_errors" else None
            return refusal(refused.status, str(refused), headers, errors)
        return Reply(reply.status, reply.body, {**headers, **reply.headers}, reply.kind)


def _counted(account: Account, code: str, request: Request, change: Change) -> float | None:
    """What `ceilings.count` says, or None for a page that is no call of its own."""
    further_page = request.first("offset") not in (None, "0") or request.first("page_token") is not None
    if further_page and (code in PAGED or not account.switches.pages_count):
        return None
    called = {"operation": code}
    if code in DIFFERENTIAL and f'"{DIFFERENTIAL[code]}"'.encode() not in request.body:
        called["kind"] = "full"
    if code in EACH:
        called["address"] = request.path
    wait: float | None = change("called", called)
    return wait


def _retry_after(account: Account, wait: float) -> dict[str, str]:
    match account.switches.retry_after:
        case "seconds":
            return {"Retry-After": str(int(wait) + 1)}
        case "garbage":
            return {"Retry-After": "soon"}
    return {}
