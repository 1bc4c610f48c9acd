"""Everything that comes in from outside, and what it is read by: where a fuzz begins. Nothing but our own errors may come out.

Either one body is broken, before whatever reads it alone; or one answer to a call of a whole adapter (tests/recorded/calls.py).
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import process_time
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Raw

from adapters import http
from adapters.mirakl.strangers import strangers
from adapters.mirakl.translate.aftercare import hear_return
from adapters.mirakl.translate.offers import offers_heard
from adapters.mirakl.translate.orders import hear
from adapters.mirakl.translate.stock import error_report
from adapters.mirakl.translate.story import Place
from adapters.mirakl.translate.values import UnreadableError, amount, instant, rate, units
from adapters.shopify import privacy
from adapters.shopify.hints import marker
from engine import codec
from engine.adapter import Heard, Sight
from engine.errors import AdapterError, SchemaError, StartupError
from engine.log import Page
from engine.runner import Rows
from ops.service import policies
from projections.rules import Channel
from schemas.events import Event
from schemas.values import ChannelId, TenantId, money
from tests.contract.mirakl.payloads import NASTY, address, line, order
from tests.contract.shopify import payloads as shop
from tests.loopback import NOW
from tests.mutator import Mutator
from tests.recorded.calls import Call, EndlessError, Stage, kept_calls
from tests.recorded.record import single_lines

MOST_SECONDS = 0.05  # of a processor, for one input of 64 kB at most
LARGEST = 64 * 1024  # bytes of an input that must be quick
PLACE = Place(TenantId("t"), ChannelId("asos"), "TAX_INCLUDED")
NOBODY = UUID(int=0)
Take = Callable[[bytes], Any]


@dataclass
class Found:
    """What came out that should not have."""

    what: str
    error: str
    body: bytes

    def __str__(self) -> str:
        return f"{self.what}: {self.error}\n    from {self.body[:300]!r}"


@dataclass
class Tried:
    inputs: dict[str, int] = field(default_factory=dict)
    refused: int = 0  # inputs that ended in an error of ours
    slowest: float = 0.0  # seconds
    found: list[Found] = field(default_factory=list)

    def tell(self) -> str:
        each = ", ".join(f"{name} {count:,}" for name, count in sorted(self.inputs.items()))
        return (
            f"{sum(self.inputs.values()):,} broken inputs, {self.refused:,} refused, the slowest {1000 * self.slowest:.0f} ms,"
            f" {len(self.found)} wrong ({each})"
        )


@dataclass(frozen=True)
class Case:
    """Something that reads a body. `ours`: the errors in which it may say that it cannot."""

    name: str
    bodies: Sequence[bytes]
    take: Take
    ours: tuple[type[Exception], ...] = ()
    text: bool = False  # not JSON
    share: int = 1  # of all inputs, in parts


# ---------------------------------------------------------------- what must hold of what was heard


_FOLDS = [(projection, Rows(projection), asked) for projection, asked in policies(lambda _channel: Channel()).items()]


def _folds(event: Event) -> None:
    """No row that it makes, and nothing that is decided about it, stops the engine."""
    page = Page(after=0, last=1, events=[event], recorded_at=None, event_ids=[NOBODY], correlation_ids=[NOBODY])
    for _, rows, asked in _FOLDS:
        rows.fold(page, asked)


def sound(heard: Iterable[Heard]) -> None:
    """A fact that was made of it can be stored, is read back as the same, and can be folded and decided about."""
    for _, rows, _ in _FOLDS:
        rows.documents.clear()
        rows.changed.clear()
    for each in heard:
        for fact in (each.fact, each.otherwise):
            if fact is not None:
                tag, version, text = codec.encode(fact.event)
                event = codec.decode(tag, version, text)  # without NUL, which Postgres would not take
                assert codec.decode(*codec.encode(event)) == event
                assert "\\u0000" not in text
                assert fact.occurred_at.utcoffset() is not None
                _folds(event)


# ---------------------------------------------------------------- one body


def _mended(body: bytes) -> Raw:
    """As an answer is looked at before anything parses it."""
    return Raw(http.well_formed(body))


def _order(body: bytes) -> None:
    raw = _mended(body)
    sound(hear(raw, PLACE, NOW))
    strangers(raw)


def _offer(body: bytes) -> None:
    heard, odd = offers_heard([_mended(body)], PLACE, NOW, "identity")
    sound(heard)
    assert odd in (0, 1) and heard


def _webhook(topic: str) -> Take:
    def take(body: bytes) -> None:
        heard = privacy.heard(
            topic, body, tenant=PLACE.tenant, shop="harbour-and-thread.myshopify.com", received_at=NOW, mark=marker("a secret")
        )
        if isinstance(heard, Heard):
            sound([heard])

    return take


def _stored(tag: str, version: int) -> Take:
    def take(body: bytes) -> None:
        text = body.decode(errors="surrogateescape")
        event = codec.decode(*codec.encode(codec.decode(tag, version, text)))  # without what Postgres would not take
        assert codec.decode(*codec.encode(event)) == event

    return take


def _money(body: bytes) -> None:
    read = amount(Raw(body), "price", "GBP")
    assert 0 <= read.minor <= 2**53 and read.currency == "GBP"
    assert money(f"{read.minor // 100}.{read.minor % 100:02}", "GBP") == read


def _values(body: bytes) -> None:
    said = body.decode(errors="replace")
    rate(Raw(body))
    http.retry_after({"Retry-After": said}, NOW)
    for read in (lambda: units(Raw(body), "quantity"), lambda: instant(said, "created_date")):
        try:
            read()
        except UnreadableError:
            continue


def _refusal(body: bytes) -> None:
    detail, named = http.complaint(body)
    assert len(detail) <= http.MAX_WORDS and "@" not in detail and len(named) <= 64


OFFERS = [
    {
        "shop_sku": "TEE-RED-M",
        "quantity": 5,
        "active": True,
        "deleted": False,
        "currency_iso_code": "GBP",
        "prices": [{"origin_price": 24.5}],
    },
    {"shop_sku": "A", "quantity": "0", "active": False, "prices": [{"origin_price": 1, "context": {"channel_codes": ["UK"]}}, {}]},
]
RETURNS = [
    {
        "id": "r-1",
        "order_id": "00012345-A",
        "state": "RECEIVED",
        "reason_code": "16",
        "rma": "RMA1",
        "return_lines": [{"order_line_id": "00012345-A-1", "quantity": 1, "reason_code": "16", "compliance": [{"compliant": True}]}],
        "tracking": {"tracking_number": "AB1"},
        "date_created": "2026-08-14T08:30:00Z",
        "last_updated": "2026-08-15T08:30:00.123Z",
    }
]
ORDERS = [
    order(),
    order(
        line(1), line(2, promotions=[{"id": "p", "deduced_amount": 2.5, "campaign": {"identifier": "c"}}]), order_state="WAITING_ACCEPTANCE"
    ),
    order(
        line(
            cancelations=[
                {
                    "id": "c1",
                    "amount": 24.5,
                    "quantity": 1,
                    "reason_code": "31",
                    "created_date": "2026-08-13T10:00:00Z",
                    "taxes": [{"code": "VAT", "amount": 4}],
                }
            ],
            refunds=[
                {
                    "id": "r1",
                    "amount": 4.0,
                    "shipping_amount": 0,
                    "quantity": 1,
                    "reason_code": "17",
                    "created_date": "2026-08-14T10:00:00Z",
                }
            ],
        )
    ),
    order(
        customer={"customer_id": "c", "shipping_address": address(company="PO Box 7", phone="+44 1")},
        order_state="SHIPPED",
        has_incident=True,
    ),
]
REPORTS = [
    b'"line-number";"error-message";"offer-sku";"quantity"\r\n2;"No; offer";"A ""1"" \xc3\xa9";"1"\r\n7;Gone;B;2\r\n',
    'line,why,offer-sku\n2,"No; offer","A ""1"" é"\n7,Gone,B\n'.encode("utf-16"),
]
REFUSALS = [
    b'{"status":400,"message":"Order [00012345-A]: the field \'carrier_code\' is wrong. Write to help@example.com, +44 20 7946 0000"}',
    b'{"errors":[{"code":"INVALID","field":"lines.0","message":"no"}]}',
    b'{"errors":"[API] Invalid API key or access token"}',
]
AMOUNTS = [b"24.5", b"0", b'"43.000"', b"100000000000000", b"1e2", b"-3.10", b"12.345"]
VALUES = [b"2", b"2.0", b'"20.00"', b"2026-08-13T08:30:00Z", b"2026-08-13T08:30:00.250+0200", b"120", b"Thu, 13 Aug 2026 09:00:00 GMT"]


def cases() -> list[Case]:
    ours = (http._UnreadableError,)  # what `_answer` makes an AdapterError of
    stored = [
        Case(f"stored {each.type}", [each.data.encode()], _stored(each.type, each.schema_version), (SchemaError,))
        for each in single_lines()
    ]
    hooks = [
        Case(f"webhook {topic}", [shop.body(content)], _webhook(topic))
        for topic, content, about in shop.READ
        if not isinstance(about, str) or topic.startswith(("orders", "app", "customers"))
    ]
    return [
        Case("order", [*map(msgspec.json.encode, ORDERS), *(body for body, _ in NASTY.values())], _order, ours, share=24),
        Case("return", [*map(msgspec.json.encode, RETURNS)], lambda body: sound(hear_return(_mended(body), PLACE, NOW)), ours, share=6),
        Case("offer", [*map(msgspec.json.encode, OFFERS)], _offer, ours, share=6),
        Case("error report", REPORTS, error_report, (UnreadableError,), text=True, share=6),
        Case("refusal", REFUSALS, _refusal, share=6),
        Case("amount", AMOUNTS, _money, (UnreadableError,), text=True, share=8),
        Case("value", VALUES, _values, text=True, share=4),
        Case("JSON", [*map(msgspec.json.encode, ORDERS)], http.well_formed, ours, text=True, share=6),
        *hooks,
        *stored,
    ]


def break_bodies(inputs: int, seed: int, chosen: Sequence[Case], *, enough: float = math.inf) -> Tried:
    """So many inputs over all of these, each as often as its share says; or until `enough` was found."""
    tried, mutator = Tried(), Mutator(seed)
    parts = sum(case.share for case in chosen)
    for case in chosen:
        name = case.name.split()[0]
        wanted = max(1, inputs * case.share // parts)
        for number in range(wanted):
            body = case.bodies[number % len(case.bodies)]
            broken = mutator.text(body) if case.text else mutator.json(body)
            seconds = _taken(case, broken, tried)
            if seconds > MOST_SECONDS:  # the first of a kind makes its decoder, or it was the garbage collector's turn
                seconds = min(seconds, _taken(case, broken, Tried()))
            _clock(tried, case.name, seconds, broken)
            if len(tried.found) >= enough:
                return tried
        tried.inputs[name] = tried.inputs.get(name, 0) + wanted
    return tried


def _taken(case: Case, body: bytes, tried: Tried) -> float:
    """Seconds of a processor."""
    began = process_time()
    try:
        case.take(body)
    except case.ours:
        tried.refused += 1
    except Exception as error:  # noqa: BLE001 - any other is what is looked for
        tried.found.append(Found(case.name, f"{type(error).__name__}: {str(error)[:200]}", body))
    return process_time() - began


def _clock(tried: Tried, what: str, seconds: float, body: bytes) -> None:
    tried.slowest = max(tried.slowest, seconds)
    if seconds > MOST_SECONDS and len(body) <= LARGEST:
        tried.found.append(Found(what, f"took {1000 * seconds:.0f} ms", body))


# ---------------------------------------------------------------- one answer of a call


async def break_answers(inputs: int, seed: int, calls: Sequence[Call] | None = None, *, enough: float = math.inf) -> Tried:
    """The recorded calls, made again, with one of their answers broken."""
    calls = kept_calls() if calls is None else calls
    tried, mutator = Tried(), Mutator(seed)
    stage = Stage(calls)
    with stage.files():
        for number in range(inputs):
            call = calls[number % len(calls)]
            bodies = [answer.body.encode() for answer in call.answers]
            at = mutator.one_of(range(len(bodies)))
            bodies[at] = broken = _broken(mutator, call, at)
            name = f"{call.adapter} {call.kind} {call.name} {call.answers[at].code}"
            seconds = await _played(stage, call, bodies, tried, Found(name, "", broken))
            if seconds > MOST_SECONDS:
                seconds = min(seconds, await _played(stage, call, bodies, Tried(), Found(name, "", broken)))
            _clock(tried, name, seconds, broken)
            if len(tried.found) >= enough:
                return tried
            tried.inputs[f"{call.adapter} {call.kind}"] = tried.inputs.get(f"{call.adapter} {call.kind}", 0) + 1
    return tried


async def _played(stage: Stage, call: Call, bodies: Sequence[bytes], tried: Tried, about: Found) -> float:
    """Seconds of a processor."""
    began = process_time()
    try:
        _look_at(await stage.play(call, bodies))
    except (AdapterError, StartupError):
        tried.refused += 1
    except EndlessError:
        tried.found.append(Found(about.what, "asks for ever", about.body))
    except Exception as error:  # noqa: BLE001 - any other is what is looked for
        tried.found.append(Found(about.what, f"{type(error).__name__}: {str(error)[:200]}", about.body))
    return process_time() - began


def _broken(mutator: Mutator, call: Call, at: int) -> bytes:
    answer = call.answers[at]
    body = answer.body.encode()
    if "json" not in answer.headers.get("Content-Type", "") and answer.code != "file":
        return mutator.text(body)
    if answer.code == "file" and body.count(b"\n"):
        lines = body.split(b"\n")
        place = mutator.one_of(range(len(lines)))
        lines[place] = mutator.json(lines[place])
        return b"\n".join(lines)
    return mutator.json(body)


def _look_at(said: Any) -> None:
    """Whatever the engine would append of it can be appended."""
    match said:
        case Sight(heard=heard):
            sound(heard)
        case list() | tuple():
            sound(each for each in said if isinstance(each, Heard))
            for answer in said:
                for effect in getattr(answer, "effects", ()):
                    codec.encode(effect.event)
