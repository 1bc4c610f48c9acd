"""What goes wrong at the HTTP boundary: one table of fault classes, and who meets which.

A fault never touches the world. It decides whether the operation is carried out at all (`effect`), and what the wire shows of it.
Faults come on demand (POST /sandbox/faults) or at a rate from the scenario, drawn from the seed and the call's number.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from ops.sandbox import distort, retell
from ops.sandbox.chance import fraction, happens
from ops.sandbox.distort import Scene, Spoil, Spoilt
from ops.sandbox.wire import Reply, Request

Where = Literal["any", "shopify", "mirakl", "webhook"]
Hits = Literal["any", "read", "change"]
Effect = Literal["never", "always", "either"]
STUCK = 7200.0  # seconds for which one draw holds, where it is the thing asked after that is drawn and not the call
REMEMBERED = 2000  # elements of lists, for stale reads


class Kind(Struct, frozen=True):
    """One class of faults."""

    says: str
    spoil: Spoil | None = None  # None: done by whoever carries it out
    where: Where = "any"
    hits: Hits = "any"
    only: str = ""  # operations, with blanks between; empty: all
    effect: Effect = "always"
    sticks: bool = False  # drawn for the path and STUCK seconds, not for the call
    request: Callable[[Request, int, int], Request] | None = None  # what becomes of the request, by seed and number


def _said(how: Callable[[Scene, Any], Any]) -> Spoil:
    return retell.said(how)


_PAGED = "OR11 OF21 OR30 OR72 RT11 ST11 ST12 TL02 IV01 SBC11"

KINDS: Mapping[str, Kind] = {
    # the connection
    "refused": Kind("nobody answers the door for a while: connections are refused", distort.manner("refuse", 5, 60), effect="never"),
    "reset_before": Kind("the connection is reset, and nothing was done", distort.manner("reset"), effect="never"),
    "reset_after": Kind("the connection is reset after all was done", distort.manner("reset")),
    "cut": Kind("the reply breaks off in its middle", distort.manner("cut")),
    "black_hole": Kind("no reply, no end", distort.manner("hole", 60, 600), effect="either"),
    "trickle": Kind("the reply comes a few bytes a second", distort.manner("trickle", 60, 600)),
    "late": Kind("the reply comes late", distort.manner("plain", 2, 90)),
    "keep_alive_closed": Kind("the connection is closed after the reply, without a word", distort.manner("close")),
    "sent_twice": Kind("something on the way sends the request twice; the second reply is shown", hits="change"),
    # too fast
    "too_many": Kind("429 without Retry-After", distort.too_many(None), effect="never"),
    "too_many_seconds": Kind("429, Retry-After in seconds", distort.too_many("7"), effect="never"),
    "too_many_date": Kind("429, Retry-After as a date", distort.too_many("date"), effect="never"),
    "too_many_zero": Kind("429, Retry-After: 0", distort.too_many("0"), effect="never"),
    "too_many_huge": Kind("429, Retry-After: 1000000000", distort.too_many("1000000000"), effect="never"),
    "too_many_garbage": Kind("429, Retry-After: soon", distort.too_many("soon"), effect="never"),
    "throttled": Kind("THROTTLED in a 200, the bucket empty", distort.throttled, "shopify", effect="never"),
    # GraphQL that did not work out
    "errors_only": Kind("200 with errors and no data", distort.errors_only, "shopify", effect="either"),
    "errors_and_part": Kind("200 with errors and a part of the data", distort.errors_and_part, "shopify", "read"),
    "null_where_none_may_be": Kind("a null where none may be swallows all of it", distort.null_where_none_may_be, "shopify"),
    "user_errors": Kind("userErrors for no reason, and nothing was done", distort.user_errors, "shopify", "change", effect="never"),
    # down
    "http_500": Kind("500 and a page", distort.page(500, "Internal Server Error"), effect="either"),
    "http_502": Kind("502 and a page", distort.page(502, "Bad Gateway"), effect="either"),
    "http_503": Kind("503 and a page", distort.page(503, "Service Unavailable"), effect="either"),
    "http_504": Kind("504 and a page", distort.page(504, "Gateway Time-out"), effect="either"),
    "maintenance": Kind("200 and a page: down for maintenance", distort.page(200, "We'll be right back"), effect="never"),
    # not for you
    "http_400": Kind("400 in the system's own words", distort.refused(400, "Bad Request"), effect="never"),
    "http_401": Kind("401: the key is not known any more", distort.refused(401, "Unauthorized"), effect="never"),
    "http_402": Kind("402: the shop is frozen", distort.refused(402, "Payment Required"), effect="never"),
    "http_403": Kind("403: the key may not do that", distort.refused(403, "Forbidden"), effect="never"),
    "http_404": Kind("404: there is no such shop", distort.refused(404, "Not Found"), effect="never"),
    "http_422": Kind("422 in the system's own words", distort.refused(422, "Unprocessable Entity"), effect="never"),
    "http_423": Kind("423: the shop is locked", distort.refused(423, "Locked"), effect="never"),
    "redirect": Kind("301, 302, 307 or 308 to elsewhere", distort.redirect("https://shop.example/moved"), effect="never"),
    "redirect_private": Kind("redirected into your own network", distort.redirect(*distort.PRIVATE), effect="never"),
    # the bytes
    "truncated_json": Kind("half of the JSON, and a length that fits it", distort.rewritten(distort.truncated)),
    "malformed_json": Kind("JSON with a slip in it", distort.rewritten(distort.malformed)),
    "wrong_encoding": Kind("UTF-16 that calls itself UTF-8", distort.rewritten(distort.other_encoding)),
    "byte_order_mark": Kind("a byte order mark in front", distort.rewritten(distort.bom)),
    "gzip_bomb": Kind("64 MiB in a small gzip", distort.rewritten(distort.bomb, {"Content-Encoding": "gzip"})),
    "huge_body": Kind("200 MiB before the reply", distort.manner("flood")),
    "deep_nesting": Kind("100,000 brackets", distort.rewritten(distort.nested)),
    "duplicate_keys": Kind("one key stands there twice", distort.rewritten(distort.doubled_key)),
    # what is said
    "new_field": Kind("a field that was introduced last week, in every object", _said(retell.new_field), "mirakl"),
    "removed_field": Kind("what is null is left out", _said(retell.without_nulls), "mirakl"),
    "reordered_fields": Kind("every object the other way round", _said(retell.reordered)),
    "unknown_value": Kind("a state that nobody has heard of", _said(retell.unknown_value), hits="read"),
    "version_retired": Kind("answered by an older version, which the header admits", distort.version_retired, "shopify"),
    "deprecated": Kind("a header says that this ends in 60 days", distort.deprecated),
    # pages and polls
    "page_shift": Kind("something came or went before this page", None, "mirakl", "read", _PAGED, request=distort.shift_page),
    "clock_behind": Kind("every time in it is ten minutes early", retell.clock(-retell.JUMP), "mirakl", "read"),
    "clock_ahead": Kind("every time in it is ten minutes late", retell.clock(retell.JUMP), "mirakl", "read"),
    "stale_read": Kind("what was shown before is shown as it was then", _said(retell.stale), hits="read"),
    "missing_newest": Kind("the newest of a list is not on it yet", _said(retell.missing_newest), hits="read"),
    "vanished": Kind("one of a list is not on it this time", _said(retell.vanished), hits="read"),
    "empty_page": Kind("an empty page that says how much there is", _said(retell.empty_page), hits="read"),
    "total_lies": Kind("a total that is not", _said(retell.total_lies), "mirakl", "read"),
    "next_loops": Kind("the next page is this one", retell.next_loops, hits="read"),
    # stock imports
    "import_line_errors": Kind("a row is spoilt on the way", None, "mirakl", only="STO01", request=distort.spoil_rows),
    "import_refused": Kind(
        "the header is spoilt on the way", None, "mirakl", only="STO01", request=lambda r, _s, _n: distort.spoil_header(r)
    ),
    "import_stuck": Kind("an import runs and runs", _said(retell.import_says("RUNNING")), "mirakl", only="STO02", sticks=True),
    "import_again": Kind("an import that was complete is not, for once", _said(retell.import_says("WAITING")), "mirakl", only="STO02"),
    "report_missing": Kind("there is no error report", distort.refused(404, "No error report"), "mirakl", only="STO03"),
    "report_in_latin": Kind("the error report is in another language and charset", retell.report_in_latin, "mirakl", only="STO03"),
    # webhooks
    "webhook_twice": Kind("posted twice, all the same", where="webhook"),
    "webhook_new_id": Kind("posted twice, the second time under another id", where="webhook"),
    "webhook_overtaken": Kind("held back until later ones have overtaken it", where="webhook"),
    "webhook_late": Kind("a day late", where="webhook"),
    "webhook_lost": Kind("never posted", where="webhook"),
    "webhook_redelivered": Kind("posted again after four hours, though it was taken", where="webhook"),
    "webhook_forged": Kind("somebody else posts one too, and cannot sign it", where="webhook"),
    "webhook_replayed": Kind("somebody posts it again, under other unsigned headers", where="webhook"),
}
ON_DEMAND = ("drop", "cut", "reply", "delay")  # what can be asked for beside the table, in every particular


class Fault(Struct, frozen=True, forbid_unknown_fields=True):
    """One asked for. `operation` is a Mirakl code (OR24), a GraphQL field (orderCreate), the name of a document or a webhook's topic;
    `*` is every call. `action` is a class of the table, or

    drop    the connection is cut without a reply
    cut     the reply breaks off in its middle
    reply   another reply is given: status, headers, body
    delay   the reply comes `seconds` late, in simulated time
    """

    operation: str
    action: str
    takes_effect: bool = False  # whether the operation is carried out all the same, where the class leaves it open
    count: int | None = 1  # how many calls it hits; None: all
    skip: int = 0  # calls that go well before
    status: int = 500
    body: str = ""
    headers: dict[str, str] = {}
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.action not in KINDS and self.action not in ON_DEMAND:
            raise ValueError(f"no fault is called {self.action!r}: GET /sandbox/faults lists them")

    @property
    def kind(self) -> Kind:
        match self.action:
            case "drop":
                return Kind("as asked", distort.manner("reset"), effect="either")
            case "delay":
                return Kind("as asked", lambda scene: Spoilt(scene.reply, "plain", self.seconds))
            case "reply":
                answer = Reply(self.status, self.body.encode(), self.headers, self.headers.get("Content-Type", "text/html"))
                return Kind("as asked", lambda _scene: Spoilt(answer), effect="either")
        return KINDS[self.action]


class Met(Struct, frozen=True):
    """A fault that somebody meets now."""

    name: str
    kind: Kind
    effect: bool  # whether the operation is carried out


class Asked(Struct, frozen=True):
    """What is known of a call before it is answered."""

    system: str
    names: frozenset[str]
    reads: bool
    path: str = ""


class Faults:
    """Those asked for, in the order in which they were, and the scenario's rates. A call meets at most one."""

    def __init__(self, seed: int = 0, rates: Mapping[str, float] | None = None) -> None:
        self._seed, self.rates = seed, {name: rate for name, rate in (rates or {}).items() if rate}
        self._waiting: list[tuple[Fault, list[int]]] = []  # with the calls left to skip and to hit
        self.shown: dict[str, Any] = {}  # elements of lists as they were shown last

    def add(self, fault: Fault) -> None:
        self._waiting.append((fault, [fault.skip, -1 if fault.count is None else fault.count]))

    def clear(self) -> None:
        """All those asked for are taken back; the scenario's rates stay."""
        self._waiting.clear()

    def mend(self, operation: str) -> None:
        """Those asked for of this operation are taken back."""
        self._waiting = [(fault, left) for fault, left in self._waiting if fault.operation != operation]

    @property
    def asked_for(self) -> list[tuple[Fault, int | None]]:
        """Those that will still be met, with the number of calls that each will hit; None: all."""
        return [(fault, None if left[1] < 0 else left[1]) for fault, left in self._waiting if left[1]]

    @property
    def armed(self) -> bool:
        return bool(self._waiting or self.rates)

    def meet(self, asked: Asked, number: int, at: datetime) -> Met | None:
        """What the call (or delivery) of that number meets; those asked for go before those drawn."""
        for fault, left in self._waiting:
            if (fault.operation in asked.names or fault.operation == "*") and left[1] and _fits(fault.kind, asked):
                if left[0]:
                    left[0] -= 1
                    continue
                left[1] -= 1
                kind = fault.kind
                return Met(fault.action, kind, kind.effect == "always" or (kind.effect == "either" and fault.takes_effect))
        return self._drawn(asked, number, at) if self.rates else None

    def _drawn(self, asked: Asked, number: int, at: datetime) -> Met | None:
        drawn = fraction(self._seed, "fault", asked.system, number)
        for name, rate in self.rates.items():
            kind = KINDS[name]
            if not _fits(kind, asked):
                continue
            if kind.sticks:
                hit = happens(self._seed, rate, "fault", name, asked.path, int(at.timestamp() // STUCK))
            else:
                hit, drawn = 0 <= drawn < rate, drawn - rate
            if hit:
                either = kind.effect == "either" and happens(self._seed, 0.5, "takes effect", asked.system, number)
                return Met(name, kind, kind.effect == "always" or either)
        return None

    def remember(self, reply: Reply) -> None:
        """Keeps what a list showed, for whoever is shown it again when it has changed."""
        if any(name == "stale_read" for name in (*self.rates, *(fault.action for fault, _ in self._waiting))):
            for element in retell.elements(reply):
                self.shown.pop(retell.ident(element), None)
                self.shown[retell.ident(element)] = element
            while len(self.shown) > REMEMBERED:
                del self.shown[next(iter(self.shown))]


def _fits(kind: Kind, asked: Asked) -> bool:
    return (
        (kind.where == asked.system or (kind.where == "any" and asked.system != "webhook"))
        and (kind.hits == "any" or (kind.hits == "read") == asked.reads)
        and (not kind.only or not asked.names.isdisjoint(kind.only.split()))
    )
