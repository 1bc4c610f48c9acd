"""What `crossdock check` looks at in a seller account. Nothing is changed."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import anyio

from adapters.mirakl import answers
from adapters.mirakl.client import Client
from adapters.mirakl.endpoints import ACCOUNT, CARRIERS, PLATFORM, REASONS, VERSION
from adapters.mirakl.outbound.carriers import BY_NAME
from adapters.mirakl.outbound.money import CANCELATION
from engine.adapter import Endpoint, Finding
from engine.errors import AdapterError, AuthError, ThrottledError
from engine.ports import Clock

PATIENCE = 45.0  # seconds of the event loop; some answers may be asked for once a day only, and a check must not wait for tomorrow
SKEW = 300.0  # seconds between their clock and ours before somebody should look; the overlap of the polls bears more


async def probed(client: Client, clock: Clock, *, carriers: Mapping[str, str], reasons: Mapping[str, str]) -> Sequence[Finding]:
    probe = _Probe(client, clock, carriers, reasons)
    reached = await probe.ask("address", VERSION, probe.version)
    if not all(finding.ok for finding in reached):
        return reached
    return [
        *reached,
        *await probe.ask("key and shop", ACCOUNT, probe.account),
        *await probe.ask("platform", PLATFORM, probe.platform),
        *await probe.ask("carriers", CARRIERS, probe.carriers),
        *await probe.ask("reasons", REASONS, probe.reasons),
    ]


class _Probe:
    def __init__(self, client: Client, clock: Clock, carriers: Mapping[str, str], reasons: Mapping[str, str]) -> None:
        self._client, self._clock, self._carriers, self._reasons = client, clock, carriers, reasons
        self._channel = client.place.channel

    async def ask(self, what: str, endpoint: Endpoint, look: Callable[[Endpoint], Awaitable[list[Finding]]]) -> list[Finding]:
        """What one question told; its failure is a finding too."""
        try:
            with anyio.fail_after(PATIENCE):
                return await look(endpoint)
        except (TimeoutError, ThrottledError):
            return [Finding(what, ok=True, detail=f"{endpoint.code} was asked lately and may not be asked again yet")]
        except AuthError as error:
            fix = f"take a key of a user of shop {self._client.shop_id} with the role to manage orders and offers"
            return [Finding(what, ok=False, detail=str(error), fix=fix)]
        except AdapterError as error:
            return [Finding(what, ok=False, detail=str(error), fix=f"see that base_url of {self._channel} is the seller's API")]

    async def version(self, endpoint: Endpoint) -> list[Finding]:
        """V01 only says that it is up; its body is not to be relied on. The answer's date is their clock."""
        reply = await self._client.send(endpoint, expect="nothing")
        findings = [Finding("address", ok=True, detail="answers")]
        if reply.date is not None:
            offset = (reply.date - self._clock.now()).total_seconds()
            fix = "set this machine's clock by NTP; if it is right, theirs is wrong"
            findings.append(Finding("clock", ok=abs(offset) < SKEW, detail=f"theirs minus ours: {offset:+.0f} s", fix=fix))
        return findings

    async def account(self, endpoint: Endpoint) -> list[Finding]:
        account = self._client.read(endpoint, await self._client.send(endpoint, expect="json"), answers.Account)
        ours = self._client.shop_id
        right = str(account.shop_id) == str(ours)
        seen = f"shop {account.shop_id} ({account.shop_name}), in {account.currency_iso_code}"
        state = account.shop_state or "unknown"
        return [
            Finding("key and shop", ok=right, detail=seen, fix=f"set shop_id of {self._channel} to {account.shop_id}, not {ours}"),
            Finding("shop state", ok=state == "OPEN", detail=state, fix="open the shop in the marketplace's back office"),
        ]

    async def platform(self, endpoint: Endpoint) -> list[Finding]:
        """PC01: what decides the flow of orders."""
        platform = self._client.read(endpoint, await self._client.send(endpoint, expect="json"), answers.Platform)
        features = platform.features or answers.Features()
        several = bool(features.shipment and features.shipment.multi_shipment)
        acceptance = (features.order_workflows and features.order_workflows.order_acceptance) or "unknown"
        returns = bool(features.returns and features.returns.marketplace)
        mode = self._client.place.tax_mode or "not asked for"
        by_name = sorted(name for name, code in self._carriers.items() if code.startswith(BY_NAME))
        findings = [
            Finding("shipment", ok=True, detail="several an order: ST01" if several else "one an order: OR23 and OR24"),
            Finding("acceptance", ok=True, detail=acceptance),
            Finding("tax mode", ok=True, detail=f"{mode}; the platform's: {features.order_tax_mode}"),
            Finding("returns", ok=True, detail="heard, by RT11" if returns else "the marketplace runs none"),
        ]
        if by_name and features.disable_seller_alternative_carrier:
            fix = "map these to codes of theirs: only listed carriers are taken here"
            findings.append(Finding("carriers by name", ok=False, detail=", ".join(by_name), fix=fix))
        return findings

    async def carriers(self, endpoint: Endpoint) -> list[Finding]:
        """Each carrier of the settings must be one of theirs: a wrong code is refused when an order ships."""
        answer = self._client.read(endpoint, await self._client.send(endpoint, expect="json"), answers.Carriers)
        theirs = sorted(str(carrier.code) for carrier in answer.carriers or ())
        known = ", ".join(theirs) or "none"
        if not self._carriers:
            fix = f"map each carrier written in Shopify to a code of theirs: {known}"
            return [Finding("carriers", ok=False, detail="none is mapped", fix=fix)]
        return [
            Finding(f"carrier {name}", ok=code in theirs, detail=code, fix=f"codes are compared as written; theirs: {known}")
            for name, code in sorted(self._carriers.items())
            if not code.startswith(BY_NAME)
        ]

    async def reasons(self, endpoint: Endpoint) -> list[Finding]:
        """Each reason of the settings must be one that a seller may give, for a refund or for a cancelation."""
        answer = self._client.read(endpoint, await self._client.send(endpoint, expect="json"), answers.Reasons)
        theirs: dict[str, list[str]] = {"REFUND": [], "CANCELATION": []}
        for each in answer.reasons or ():
            if each.is_shop_right and each.type in theirs:
                theirs[each.type].append(str(each.code))
        if not self._reasons:
            fix = f"map them to codes of theirs: {_listed(theirs['REFUND'])}"
            return [Finding("reasons", ok=True, detail="none is mapped in the settings", fix=fix)]
        findings = []
        for name, code in sorted(self._reasons.items()):
            known = theirs["CANCELATION" if name.strip().casefold() == CANCELATION else "REFUND"]
            findings.append(Finding(f"reason {name}", ok=code in known, detail=code, fix=f"of RE01, a seller may give: {_listed(known)}"))
        return findings


def _listed(codes: Sequence[str]) -> str:
    return ", ".join(sorted(codes)) or "none"
