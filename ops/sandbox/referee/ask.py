"""`crossdock referee URL`."""

from collections import Counter
from urllib.parse import urlsplit

import aiohttp
import msgspec
from rich.console import Console

from engine.errors import StartupError
from engine.ports import TcpNet
from ops.sandbox.referee.case import PLACES, Conventions, Finding
from ops.sandbox.referee.rules import judge
from ops.sentences import so_many

PATIENCE = aiohttp.ClientTimeout(total=120.0)
SHOWN = 20  # findings of one rule


async def judge_url(url: str, conventions: Conventions, *, as_json: bool) -> int:
    """Exit code 1 if a rule was broken. StartupError if there is no sandbox at that address."""
    root = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
    if root == "://" or not root.startswith("http"):
        raise StartupError(f"{url} is no address: give that of a sandbox, such as http://127.0.0.1:8800")
    if strange := [place for place in conventions.order_id if place.partition(":")[0] not in PLACES]:
        raise StartupError(f"--order-id {strange[0]}: none of {', '.join(PLACES)}, each with :NAME where that matters")
    try:
        async with (
            TcpNet().session(timeout=PATIENCE) as session,
            session.get(f"{root}/sandbox/state") as reply,
        ):
            state = msgspec.json.decode(await reply.read())
            if reply.status != 200 or "mirakl" not in state:
                raise StartupError(f"{root} is not a sandbox")
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise StartupError(f"{root}: no sandbox answers: {error}") from None
    findings = judge(state, conventions)
    broken = [finding for finding in findings if finding.level == "broken"]
    console = Console(highlight=False, soft_wrap=True)
    if as_json:
        console.print_json(msgspec.json.encode({"broken": len(broken), "open": len(findings) - len(broken), "findings": findings}).decode())
    else:
        _print(console, findings)
        orders = len(state["mirakl"]["orders"])
        verdict = f"[red]{len(broken)} broken[/]" if broken else "[green]nothing broken[/]"
        console.print(f"{so_many(orders, 'marketplace order')}: {verdict}, {len(findings) - len(broken)} for a person to settle")
    return 1 if broken else 0


def _print(console: Console, findings: list[Finding]) -> None:
    shown: Counter[str] = Counter()
    for finding in findings:
        shown[finding.rule] += 1
        if shown[finding.rule] <= SHOWN:
            mark = "[red]✗[/]" if finding.level == "broken" else "[yellow]·[/]"
            console.print(f"{mark} {finding.rule}  {finding.subject}: {finding.says}", markup=True)
            if finding.call:
                console.print(f"        {finding.call}", markup=False)
    for rule, number in shown.items():
        if number > SHOWN:
            console.print(f"  {rule}: {number - SHOWN} more")
