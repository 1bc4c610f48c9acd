"""How often each operation may be called: what Mirakl publishes as the maximum, counted in simulated time."""

from datetime import datetime, timedelta

from ops.sandbox.mirakl.state import Account, Violation

SECOND, MINUTE, HOUR, DAY = 1.0, 60.0, 3600.0, 86400.0
EVER = 3650 * DAY

Ceiling = tuple[tuple[int, float], ...]  # (calls, seconds) …
ONCE_A_MINUTE: Ceiling = ((1, MINUTE),)
ONCE_A_DAY: Ceiling = ((1, DAY),)
ONCE: Ceiling = ((1, EVER),)  # for each address

# Seller API, "Call Frequency", maximum usage. Read 2026-08-13. All else is "at each event", "at page view", or has no published rate.
CEILINGS: dict[str, Ceiling] = {
    "OR11": ONCE_A_MINUTE,
    "OR04": ONCE_A_MINUTE,
    "OR13": ((1, 5 * MINUTE),),
    "OR13 full": ONCE_A_DAY,  # no date of change
    "OR14": ((1, 2 * SECOND),),
    "OR15": ONCE,
    "OR31": ((5, SECOND),),
    "ST12": ((1, 5 * MINUTE),),
    "RT11": ((1, 5 * MINUTE),),
    "OF52": ONCE_A_MINUTE,
    "OF52 full": ONCE_A_DAY,
    "OF53": ((1, 10 * SECOND),),
    "STO01": ONCE_A_MINUTE,
    "STO02": ((1, 15 * SECOND),),
    "STO03": ONCE_A_MINUTE,
    "PRI01": ONCE_A_MINUTE,
    "PRI02": ONCE_A_MINUTE,
    "PRI03": ONCE_A_MINUTE,
    "SH42": ((1, HOUR),),
    "SH52": ((1, HOUR),),
    "TL02": ((20, MINUTE), (60, HOUR)),
    "TL03": ONCE_A_DAY,
    "TL04": ((1, 10 * SECOND),),
    **dict.fromkeys(("IV01", "SBC11", "A01", "A21", "CH11", "CUR01", "OR75", "SH11", "SH12", "SH21", "SH31"), ONCE_A_DAY),
}
EXTERNAL_PARTNER: dict[str, Ceiling] = {"OR11": ((1, 15 * MINUTE),)}
EACH = ("OR14", "OR15", "OF53", "TL04")  # counted for each address by itself
PAGED = ("IV01", "SBC11")  # "as many times as there are pages"
DIFFERENTIAL = {"OR13": "start_update_date", "OF52": "last_request_date"}  # without it the export is a full one


def ceilings(account: Account, operation: str) -> Ceiling:
    partner = EXTERNAL_PARTNER.get(operation) if account.switches.external_partner else None
    return partner or CEILINGS.get(operation, ())


def count(account: Account, operation: str, at: datetime, kind: str = "", address: str = "") -> float | None:
    """Takes note of a call. Returns None if it was allowed, else the seconds until the next one would be.

    `kind` is "full" for an export that is not a differential one; `address` is what was called, where each is counted by itself.
    """
    account.called[operation] = account.called.get(operation, 0) + 1
    limits = ceilings(account, f"{operation} {kind}".strip())
    if not limits:
        return None
    slack = account.switches.ceiling_slack
    name = " ".join(filter(None, (operation, kind, address)))
    longest = timedelta(seconds=max(per for _, per in limits))
    recent = [*(call for call in account.calls.get(name, []) if at - call < longest), at]
    account.calls[name] = recent
    for calls, per in limits:
        within = [call for call in recent if (at - call).total_seconds() < per - slack]
        if len(within) > calls:
            account.violations.append(Violation(operation, at, len(within), per))
            return per - (at - within[0]).total_seconds()
    return None
