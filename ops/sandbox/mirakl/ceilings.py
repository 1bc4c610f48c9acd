"""How often each operation may be called: what Mirakl publishes as the maximum, counted in simulated time."""

from datetime import datetime, timedelta

from ops.sandbox.mirakl.state import Account, Violation

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

# operation -> (calls, seconds) …; seller API, "Call Frequency", maximum usage. Read 2026-08-13.
CEILINGS: dict[str, tuple[tuple[int, float], ...]] = {
    "OR11": ((1, MINUTE),),
    "OR04": ((1, MINUTE),),
    "OR13": ((1, 5 * MINUTE),),
    "OR14": ((1, 2.0),),
    "OR31": ((5, 1.0),),
    "ST12": ((1, 5 * MINUTE),),
    "RT11": ((1, 5 * MINUTE),),
    "OF52": ((1, MINUTE),),
    "OF53": ((1, 10.0),),
    "STO01": ((1, MINUTE),),
    "STO02": ((1, 15.0),),
    "STO03": ((1, MINUTE),),
    "PRI01": ((1, MINUTE),),
    "PRI02": ((1, MINUTE),),
    "PRI03": ((1, MINUTE),),
    "TL02": ((20, MINUTE), (60, HOUR)),
    "TL03": ((1, DAY),),
    "TL04": ((1, 10.0),),
}
EXTERNAL_PARTNER = {"OR11": ((1, 15 * MINUTE),)}


def ceilings(account: Account, operation: str) -> tuple[tuple[int, float], ...]:
    partner = EXTERNAL_PARTNER.get(operation) if account.switches.external_partner else None
    return partner or CEILINGS.get(operation, ())


def count(account: Account, operation: str, at: datetime) -> float | None:
    """Takes note of a call. Returns None if it was allowed, else the seconds until the next one would be."""
    account.called[operation] = account.called.get(operation, 0) + 1
    limits = ceilings(account, operation)
    if not limits:
        return None
    slack = account.switches.ceiling_slack
    longest = timedelta(seconds=max(per for _, per in limits))
    recent = [*(call for call in account.calls.get(operation, []) if at - call < longest), at]
    account.calls[operation] = recent
    for calls, per in limits:
        within = [call for call in recent if (at - call).total_seconds() < per - slack]
        if len(within) > calls:
            account.violations.append(Violation(operation, at, len(within), per))
            return per - (at - within[0]).total_seconds()
    return None
