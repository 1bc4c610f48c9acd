"""Idempotency keys: what was asked under a key is done once, for a day."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from ops.sandbox.chance import happens
from ops.sandbox.shopify.state import BrokenError, KeyUse, Problem, RefusedError, Shop

LIFE = timedelta(hours=24)

MISMATCH = "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"
CONCURRENT = "IDEMPOTENCY_CONCURRENT_REQUEST"
BURNT = "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"
SAYS = {
    MISMATCH: "The idempotency key was used before with other parameters.",
    CONCURRENT: "A request with this idempotency key is still in progress.",
    BURNT: "The previous attempt with this idempotency key failed: use a new one.",
}


def once(shop: Shop, operation: str, asked: Any, *, key: str | None, at: datetime, do: Callable[[], int]) -> int:
    """What `do` makes: a number. Under a key that is known, what it made then. Nothing is kept of what was refused.

    Without a key, which only versions before 2026-04 allow, it is simply done.
    """
    if key is None:
        return do()
    if not key.strip():
        raise RefusedError(Problem(("idempotencyKey",), "The idempotency key can't be blank."))
    _forget_old(shop, at)
    use = shop.keys.get(key)
    if use is not None:
        if (use.operation, use.fingerprint) != (operation, _fingerprint(asked)):
            raise _refusal(MISMATCH)
        if use.failed:
            raise _refusal(BURNT)
        if at - use.first_at < timedelta(seconds=shop.switches.key_busy):
            raise _refusal(CONCURRENT)
        if shop.switches.key_life_from == "last_use":
            shop.keys[key] = shop.keys.pop(key)  # the youngest stand last
            use.at = at
        return use.result
    use = KeyUse(operation, _fingerprint(asked), first_at=at, at=at)
    if happens(shop.seed, shop.switches.keyed_failure, "keyed failure", key):
        use.failed = True
        shop.keys[key] = use
        raise BrokenError("Internal error. Looks like something went wrong on our end.")
    use.result = do()
    shop.keys[key] = use
    return use.result


def _forget_old(shop: Shop, at: datetime) -> None:
    """Keys stand in the order of their age."""
    while shop.keys:
        oldest = next(iter(shop.keys))
        if at - shop.keys[oldest].at < LIFE:
            return
        del shop.keys[oldest]


def _refusal(code: str) -> RefusedError:
    return RefusedError(Problem(None, SAYS[code], code))


def _fingerprint(asked: Any) -> str:
    return json.dumps(asked, sort_keys=True, separators=(",", ":"))
