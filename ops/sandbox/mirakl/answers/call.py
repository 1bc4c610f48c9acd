"""One request being answered, and the forms an answer takes."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from ops.sandbox.mirakl.contract import Asked, Contract
from ops.sandbox.mirakl.state import Account
from ops.sandbox.wire import Reply

ENCODER = msgspec.json.Encoder(decimal_format="number")
DEFAULT_PAGE = 10

Change = Callable[[str, dict[str, Any]], Any]


class Call:
    """One request being answered: the account as it is, the moment, and the one way to change anything."""

    def __init__(self, contract: Contract, account: Account, asked: Asked, at: datetime, change: Change) -> None:
        self.contract, self.account, self.at, self.change = contract, account, at, change
        self.values, self.body, self.parts, self.files = asked.values, asked.body, asked.parts, asked.files


Answer = Callable[[Call], Reply]


def refusal(status: int, message: str, headers: Mapping[str, str]) -> Reply:
    return Reply(status, ENCODER.encode({"status": status, "message": message}), headers)


def json(answer: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, ENCODER.encode(answer), headers or {})


def nothing() -> Reply:
    return Reply(204)
