"""`crossdock erase` and `crossdock disclose`: forget whoever is named, with a receipt; or write down all that is held of them."""

import getpass
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from rich.markup import escape

from adapters.mirakl.translate.buyers import buyer_mark
from engine.erasure import Erased, all_erased, erase, subjects_of
from engine.log import Append
from engine.ports import RandomIds
from engine.vault import blocklist_key
from ops.book import FIND_ORDER_ROWS
from ops.database import Opened, master_key_of, open_log
from ops.desk import DeskError
from ops.paper import paper
from ops.privacy import SEALED, Request, answer, concerned, unanswered
from ops.report import Environment, print_json, write_new
from ops.sentences import so_many
from ops.settings import Settings, read_settings
from ops.trace import find_orders
from projections.orders import DEAD, GONE, Order
from schemas.envelope import Envelope, Fact, event_id
from schemas.events import Personal, tag_of
from schemas.events.exceptions import ExceptionClosed
from schemas.events.privacy import PrivacyAnswered, SubjectDisclosed
from schemas.values import Instant

SHORTEST = 3  # letters of a name that is looked for in a reason
KEYS_KEPT = timedelta(days=30)  # that a backup of the keys may be kept: README, "Erase a person"
ELSEWHERE = (
    "the marketplace, which the order came from, and Shopify, where we put a copy of the address: neither is changed from here. "
    "Erase it there too, as each of them provides for"
)

_order = msgspec.json.Decoder(Order)


class Receipt(Struct, frozen=True, kw_only=True):
    """What to keep as proof. Names nobody."""

    tenant: str
    erased: list[Erased]
    shop_orders: dict[str, str]  # subject -> the Shopify order that bears a copy
    copies: str  # who else holds what was erased here
    keys_in_backups_until: Instant  # from then on no copy of the keys is left, if none is kept longer than it should be
    digest: str = ""  # SHA-256 of all of the above as canonical JSON, in hexadecimal

    def with_digest(self) -> "Receipt":
        text = json.dumps(msgspec.to_builtins(replace(self, digest="")), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return replace(self, digest=hashlib.sha256(text.encode()).hexdigest())


async def erase_named(
    name: str, path: Path, url: str, environment: Environment, *, reason: str, actor: str, unfinished: bool, as_json: bool
) -> int:
    """Safe to repeat: what was erased before is told as it was then."""
    settings = read_settings(path)
    async with open_log(settings, environment, url) as it:
        subjects = await _named(it, settings, name)
        rows = await _rows(it, subjects)
        under_way = ", ".join(subject for subject, order in rows.items() if is_under_way(order))
        if under_way and not unfinished:
            raise DeskError(f"{under_way}: not in Shopify yet, and without an address it never will be. Wait, or add --unfinished")
        await _refuse_names_in(reason, it, subjects)
        by = f"person:{actor or getpass.getuser()}"
        erased = await erase(it.pool, it.log, it.vault, it.clock, subjects, by=by, reason=reason)
    receipt = Receipt(
        tenant=settings.tenant_id,
        erased=erased,
        shop_orders={subject: order.shop_order for subject, order in sorted(rows.items()) if order.shop_order},
        copies=ELSEWHERE,
        keys_in_backups_until=max(each.erased_at for each in erased) + KEYS_KEPT,
    ).with_digest()
    if as_json:
        print_json(receipt)
    else:
        print_receipt(receipt)
    return 0


def is_under_way(order: Order) -> bool:
    """It is still to be made in Shopify, for which the address is needed."""
    return order.shop_order is None and not order.called_off and order.state not in GONE | DEAD


async def _rows(it: Opened, subjects: Iterable[str]) -> dict[str, Order]:
    """Of those subjects that are orders, and known."""
    keys = [subject.removeprefix("order-") for subject in subjects if subject.startswith("order-")]
    found = await it.pool.fetch(FIND_ORDER_ROWS, it.log.tenant, keys)
    return {f"order-{row['key']}": _order.decode(row["document"]) for row in found}


async def show_receipts(path: Path, url: str, environment: Environment, *, as_json: bool) -> int:
    """Of everything that was ever erased."""
    settings = read_settings(path)
    async with open_log(settings, environment, url) as it:
        found = await all_erased(it.pool, it.log)
    if as_json:
        print_json({"erased": found})
    elif found:
        print_erased(found)
    else:
        paper().print("Nobody was erased.")
    return 0


def print_receipt(receipt: Receipt) -> None:
    print_erased(receipt.erased)
    console = paper()
    if all(each.before for each in receipt.erased):
        console.print("It was erased before: nothing is otherwise than then.")
    for subject, shop_order in receipt.shop_orders.items():
        console.print(f"{subject} stands in Shopify as {shop_order}, with a copy of the address.")
    console.print(f"A copy is also held by {receipt.copies}.")
    console.print(f"Backups of the keys must be gone by {receipt.keys_in_backups_until:%Y-%m-%d %H:%M} UTC; those of the log may stay.")
    console.print(f"receipt {receipt.digest}", soft_wrap=True)


def print_erased(found: Sequence[Erased]) -> None:
    console = paper()
    for each in found:
        facts = f"erased in #{each.position:,} on {each.erased_at:%Y-%m-%d %H:%M:%S} by {each.by}: {each.reason}"
        console.print(f"[bold]{escape(each.subject)}[/]  {escape(facts)}")
        console.print(f"  sealed parts {each.sealed}, the log's hash there {each.digest}", soft_wrap=True)


def mark_of(value: str, path: Path, environment: Environment) -> str:
    """What stands for a buyer in the settings' blocklist."""
    return buyer_mark(blocklist_key(master_key_of(read_settings(path), environment, looking=True)), value)


# ---------------------------------------------------------------- what is held


async def disclose(name: str, path: Path, url: str, environment: Environment, *, reason: str, actor: str, out: Path) -> int:
    """Write everything that is held to a file that only its owner can read; a request of that name is answered by it."""
    settings = read_settings(path)
    async with open_log(settings, environment, url) as it:
        request = next((each for each in await unanswered(it.pool, it.log) if name in (each.asked.request, each.key)), None)
        subjects = await concerned(it.pool, it.log, request) if request else await _named(it, settings, name)
        held = [await _held(it, subject) for subject in subjects]
        write_new(out, {"tenant": settings.tenant_id, "made_at": it.clock.now(), "held": held}, indent=2, private=True)
        by = f"person:{actor or getpass.getuser()}"
        for subject in subjects:
            told = SubjectDisclosed(subject=subject, reason=reason, request=request.asked.request if request else "")
            identity = event_id(it.log.tenant, "desk", str(RandomIds().new()), tag_of(told))
            await it.log.append(Append(stream=subject, facts=(Fact(event=told, event_id=identity, occurred_at=it.clock.now(), actor=by),)))
        if request:
            await _answered(it, request, len(subjects), reason, by)
    what = so_many(len(subjects), "subject")
    paper().print(f"What is held of {what} is in {out}, which only you can read. It is personal data: delete it once it is handed over.")
    return 0


async def _answered(it: Opened, request: Request, number: int, reason: str, by: str) -> None:
    """Who asked is not needed any more."""
    stream = request.asked.request
    if request.envelope.sealed is not None:
        await erase(it.pool, it.log, it.vault, it.clock, {stream: 1}, by=by, reason="the request is answered", cause=request.envelope)
    answered = PrivacyAnswered(request=stream, subjects=number, reason=reason)
    closed = ExceptionClosed(key=request.key, reason="answered", subject=stream)
    await answer(it.log, request, answered, *([closed] if request.told else []), clock=it.clock, actor=by)


async def _held(it: Opened, subject: str) -> dict[str, Any]:
    """Every event of the subject's stream, and everything sealed under its key, wherever that stands."""
    found = {each.position: each for each in await it.log.read_stream(subject)}
    if not subject.startswith("order-"):
        found |= {each.position: each async for each in it.log.sealed(await it.log.head()) if each.subject == subject}
    events = [found[position] for position in sorted(found)]
    opened = await it.log.opened(events)
    return {"subject": subject, "events": [_shown(each, personal) for each, personal in zip(events, opened, strict=True)]}


def _shown(envelope: Envelope, personal: Personal | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "position": envelope.position,
        "recorded_at": envelope.recorded_at,
        "occurred_at": envelope.occurred_at,
        "who": envelope.actor,
        "event": envelope.event,
    }
    if envelope.sealed is not None:
        shown["personal"] = personal if personal is not None else "erased"
    return shown


# ---------------------------------------------------------------- who is meant


async def _named(it: Opened, settings: Settings, name: str) -> dict[str, int]:
    """The subjects of an order, or of an e-mail address, and how much is sealed of each. DeskError, which repeats no address."""
    async with it.pool.acquire() as conn:
        streams = await find_orders(conn, it.log, it.log.tenant, settings.channel_ids, name)
    if len(streams) > 1:
        raise DeskError(f"{len(streams)} orders are called {name}: {', '.join(streams)}; give the other side's number")
    if streams:
        return {stream: await it.pool.fetchval(SEALED, it.log.tenant, stream) for stream in streams}
    if "@" not in name:
        raise DeskError(f"no order is called {name}: give the number of one, of either side, or an e-mail address")
    if subjects := await subjects_of(it.log, name):
        return subjects
    raise DeskError("nothing is held under this address, or nothing any more: see crossdock erase --list")


_WHO = ("first_name", "last_name", "company", "street_1", "street_2", "phone", "email")


async def _refuse_names_in(reason: str, it: Opened, subjects: Mapping[str, int]) -> None:
    """It is kept for ever."""
    texts = set[str]()
    for subject in subjects:
        for personal in await it.log.opened(await it.log.read_stream(subject)):
            texts |= {str(getattr(personal, field, "")).casefold() for field in _WHO}
    if "@" in reason or any(text in reason.casefold() for text in texts if len(text) >= SHORTEST):
        raise DeskError("--reason names the person who is to be forgotten, and is kept for ever: say it without")
