"""What Mirakl answers: the key, the ceilings, the contract, then the operation."""

import uuid
from datetime import datetime

from ops.sandbox.mirakl.answers import ANSWERS
from ops.sandbox.mirakl.answers.call import Call, Change, refusal
from ops.sandbox.mirakl.contract import Contract
from ops.sandbox.mirakl.state import Account, RefusedError
from ops.sandbox.wire import Reply, Request

NAMESPACE = uuid.UUID("5d2f8b1e-0a6d-5c43-9f3c-2f6f5a1b7c90")


class Api:
    """One seller account's address."""

    def __init__(self, openapi: str, key: str) -> None:
        self.contract = Contract(openapi)
        self._key = key
        self._requests = 0

    def names(self, request: Request) -> set[str]:
        """The code of the operation, for whoever wants it to fail."""
        try:
            return {self.contract.find(request.method, request.path)[0].code}
        except RefusedError:
            return set()

    def answer(self, account: Account, request: Request, at: datetime, change: Change) -> Reply:
        self._requests += 1
        headers = {"X-Correlation-Id": str(uuid.uuid5(NAMESPACE, f"{account.seed}:{self._requests}"))}
        if request.header("authorization") != self._key:
            return refusal(401, "Unauthorized", headers)
        try:
            operation, path = self.contract.find(request.method, request.path)
            headers["Mirakl-Api-Code"] = operation.code
            further_page = request.first("offset") not in (None, "0") or request.first("page_token") is not None
            if account.switches.pages_count or not further_page:
                wait = change("called", {"operation": operation.code})
                if wait is not None and account.switches.enforce_ceilings:
                    return refusal(429, "Too Many Requests", headers | {"Retry-After": str(int(wait) + 1)})
            asked = self.contract.check(operation, path, request)
            if asked.values.get("shop_id", account.shop_id) != account.shop_id:
                raise RefusedError(403, f"The user has no access to the shop {asked.values['shop_id']}")
            if (answers := ANSWERS.get(operation.code)) is None:
                raise RefusedError(501, f"{operation.code} is not simulated")
            reply = answers(Call(self.contract, account, asked, at, change))
        except RefusedError as refused:
            return refusal(refused.status, str(refused), headers)
        return Reply(reply.status, reply.body, {**headers, **reply.headers}, reply.kind)
