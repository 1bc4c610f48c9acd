"""Asks Shopify's GraphQL API, and looks at all three places where it can say no."""

from typing import Any, Protocol, TypeVar

import msgspec
import structlog

from adapters.http import Http, Reply, Secret
from adapters.shopify import wire
from adapters.shopify.endpoints import Operation
from engine.adapter import Admission
from engine.errors import AdapterError, AuthError, RejectedError, ThrottledError, UnavailableError, UnknownOutcomeError
from engine.limits import CostBucket
from engine.metrics import Metrics
from engine.ports import Clock, Net, Rng
from schemas.commands import Lane

T = TypeVar("T")

TARGET = "shopify"
LONGEST_WAIT = 60.0  # seconds; a bucket of 2,000 points fills in 20 at the slowest rate there is
# Codes that say who we are is the trouble, not what we ask. Admin API, errors, 2026-10.
_AUTH = frozenset({"ACCESS_DENIED", "SHOP_INACTIVE", "FORBIDDEN", "UNAUTHORIZED", "PAYMENT_REQUIRED"})

log = structlog.get_logger()


class Tokens(Protocol):
    """Where access tokens come from."""

    async def current(self) -> Secret:
        """One that is valid now; asked before each call. Raises AdapterError."""
        ...


class StaticToken:
    """A token that stays valid until somebody takes it away."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    async def current(self) -> Secret:
        return self._token


class UnfitError(RejectedError):
    """An answer that does not fit what we know of Shopify; `field` names where. The thing asked about is set aside."""


class Client:
    """One shop. Requests wait for points, the urgent ones first."""

    def __init__(
        self,
        *,
        base_url: str,
        version: str,
        tokens: Tokens,
        net: Net,
        clock: Clock,
        rng: Rng,
        admission: Admission,
        bucket: CostBucket,
        metrics: Metrics,
        tenant: str,
    ) -> None:
        self.version, self.clock = version, clock
        self.served: str | None = None  # the version that the last answer was of
        self.offset: float | None = None  # seconds their clock was ahead of ours then
        self._tokens, self._rng, self._bucket, self._metrics, self._tenant = tokens, rng, bucket, metrics, tenant
        self._token = Secret("")
        self._asked: dict[tuple[str, int], float] = {}  # points that Shopify asked for an operation of that size
        self._http = Http(
            target=TARGET,
            base_url=base_url,
            net=net,
            clock=clock,
            admission=admission,
            metrics=metrics,
            headers=lambda: {"X-Shopify-Access-Token": self._token.reveal()},
        )

    async def ask(self, operation: Operation, variables: dict[str, Any], answer: type[T], *, lane: Lane | None = None, size: int = 0) -> T:
        """One operation, its answer whole: partial data is never taken for an answer. Every failure is an AdapterError.

        `size` is how many things are asked about, where that decides what it costs.
        """
        points = self._asked.get((operation.name, size), operation.points)
        body = msgspec.json.encode({"query": operation.text, "variables": variables, "operationName": operation.name})
        async with self._bucket.take(points, operation.lane if lane is None else lane):
            self._token = await self._tokens.current()
            try:
                reply = await self._http.send(operation.endpoint, path={"version": self.version}, json=body, expect="json")
            except RejectedError as error:
                raise _of_status(error) from None
            self._heed(reply)
            try:
                said = msgspec.json.decode(reply.body, type=wire.frame.Answer)
            except msgspec.DecodeError as error:
                raise _unfit(operation, reply, error) from None
            self._account(operation, said, points, size)
        if (no := verdict(operation, said, reply.request_id)) is not None:
            if isinstance(no, ThrottledError):
                no.retry_after += self._rng.uniform(0.0, 1.0)  # so that those who were refused together do not return together
            raise no
        try:
            return msgspec.json.decode(said.data, type=answer)
        except msgspec.DecodeError as unfit:
            raise _unfit(operation, reply, unfit) from None

    async def aclose(self) -> None:
        await self._http.aclose()

    def _heed(self, reply: Reply) -> None:
        """What an answer says beside its body."""
        if reply.date is not None:
            self.offset = (reply.date - self.clock.now()).total_seconds()
        served = reply.headers.get("X-Shopify-API-Version", "")
        if served and served not in (self.version, self.served):
            log.warning("another API version is served", asked=self.version, served=served[:20])
        if served and served != self.version:
            self._metrics.api_version_mismatch.labels(TARGET).inc()
        self.served = served or self.served
        if reason := reply.headers.get("X-Shopify-API-Deprecated-Reason", ""):
            log.warning("Shopify calls something deprecated", reason=reason[:200], request_id=reply.request_id)

    def _account(self, operation: Operation, said: wire.frame.Answer, points: float, size: int) -> None:
        cost = said.extensions.cost if said.extensions else None
        if cost is None:
            return
        if cost.requested_query_cost is not None:
            self._asked[(operation.name, size)] = cost.requested_query_cost
        if (status := cost.throttle_status) is not None:
            self._bucket.observe(
                points, maximum=status.maximum_available, available=status.currently_available, restore_rate=status.restore_rate
            )
            self._metrics.limiter_tokens.labels(self._tenant, TARGET, "points").set(status.currently_available)


def verdict(operation: Operation, said: wire.frame.Answer, request_id: str) -> AdapterError | None:
    """What the top of an answer means; None: it is whole, and userErrors are all that is left to look at.

    Only what surely came before execution may be repeated or refused; of everything else a mutation may have been done.
    """
    errors = said.errors
    asked: dict[str, Any] = {"target": TARGET, "endpoint": operation.name, "request_id": request_id, "status": 200}
    unanswered = UnavailableError if operation.endpoint.reads else UnknownOutcomeError
    if not errors:
        if bytes(said.data) in (b"", b"null"):
            return unanswered("no data and no error", **asked)
        warned = [warning for search in (said.extensions.search or () if said.extensions else ()) for warning in search.warnings or ()]
        if warned:  # the filter was dropped, and the answer is one to another question
            return RejectedError("a search filter is not known", field=warned[0].field or "", **asked)
        return None
    if isinstance(errors, str):
        return unanswered("an error without a code", **asked)
    first = errors[0].extensions or wire.frame.ErrorExtensions()
    codes = [(error.extensions.code if error.extensions else None) or "" for error in errors]
    asked["request_id"] = first.request_id or request_id
    detail, field = ", ".join(dict.fromkeys(code for code in codes if code)) or "no code", _place(errors[0])
    if not operation.endpoint.reads and _anything(said.data):
        return UnknownOutcomeError(f"answered in part: {detail}", **asked)
    if "THROTTLED" in codes:
        return ThrottledError("THROTTLED", retry_after=_wait(said), **asked)
    if _AUTH & set(codes):
        return AuthError(f"{detail} {first.required_access or ''}".strip(), field=field, **asked)
    if "MAX_COST_EXCEEDED" in codes or (not bytes(said.data) and all(map(_before_execution, errors))):
        return RejectedError(detail, field=field, **asked)
    return unanswered(detail, **asked)


def refused(errors: list[wire.frame.UserError]) -> tuple[str, str]:
    """Code and field of the first user error. Its message stays where it is: it may quote what we sent."""
    return errors[0].code or "refused without a code", ".".join(errors[0].field or ())


def insist(operation: Operation, errors: list[wire.frame.UserError]) -> None:
    """Raise RejectedError if the mutation was refused."""
    if errors:
        detail, field = refused(errors)
        raise RejectedError(detail, target=TARGET, endpoint=operation.name, field=field)


def _of_status(error: RejectedError) -> AdapterError:
    """Two statuses that mean something else here than a refused request."""
    asked: dict[str, Any] = {"target": error.target, "endpoint": error.endpoint, "request_id": error.request_id, "status": error.status}
    if error.status == 404:
        return AuthError("no such shop or API version", **asked)
    if error.status == 430:  # Shopify's own: too many requests that look like an attack
        return ThrottledError("too many calls", retry_after=LONGEST_WAIT, **asked)
    return error


def _unfit(operation: Operation, reply: Reply, error: msgspec.DecodeError) -> AdapterError:
    asked: dict[str, Any] = {"target": TARGET, "endpoint": operation.name, "request_id": reply.request_id, "status": reply.status}
    path = str(error).rpartition(" - at `$")[2].strip("`.")[:100] if isinstance(error, msgspec.ValidationError) else ""
    if operation.endpoint.reads:
        return UnfitError("the answer does not fit", field=path, **asked)
    return UnknownOutcomeError(f"the answer does not fit at {path or 'its top'}", **asked)


def _anything(data: msgspec.Raw) -> bool:
    """Whether any of the fields asked for came to something."""
    roots = msgspec.json.decode(data, type=dict[str, msgspec.Raw] | None) if bytes(data) else None
    return any(bytes(root) != b"null" for root in (roots or {}).values())


def _before_execution(error: wire.frame.Error) -> bool:
    """Shopify's checks of a document have codes in camelCase, those of variables list problems, a parse error has places only."""
    code, problems = (error.extensions.code, error.extensions.problems) if error.extensions else (None, None)
    return code != code.upper() if code else problems is not None or error.locations is not None


def _place(error: wire.frame.Error) -> str:
    problems = (error.extensions.problems if error.extensions else None) or ()
    path = problems[0].path if problems else error.path
    return ".".join(str(step) for step in path or ())[:100]


def _wait(said: wire.frame.Answer) -> float:
    """Seconds until the points that were asked for are back. It happens with points left, too."""
    cost = said.extensions.cost if said.extensions else None
    status = cost.throttle_status if cost else None
    if cost is None or status is None or cost.requested_query_cost is None or status.restore_rate <= 0:
        return 1.0
    missing = min(cost.requested_query_cost, status.maximum_available) - status.currently_available
    return min(max(missing / status.restore_rate, 1.0), LONGEST_WAIT)
