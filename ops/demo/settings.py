"""The demo's own crossdock.toml, as a person would write it, with its secrets in files beside it: read as any other."""

from collections.abc import Callable, Mapping
from pathlib import Path

from engine.ports import SystemRng
from ops.sandbox.face import Sandbox
from ops.sandbox.shopify.returns import REASONS as RETURNS
from ops.sandbox.systems import API_KEY, TOKEN, WEBHOOK_SECRET
from schemas.values import ChannelId

CHANNEL = ChannelId("asos")
CARRIERS = {"Royal Mail": "RM", "Evri": "EVRI", "DPD UK": "DPDUK", "DPD": "DPDUK", "UPS": "ups-gb", "DHL Express": "DHLX", "Yodel": "YODEL"}
REASONS = {"cancel": "15", "refund": "17", "cancelation": "31"}  # codes of the sandbox's RE01
RETURN_REASONS = {"defective": "16"}  # of Shopify's; every other one is "Item returned"
BUFFER = 3  # units of each SKU kept back


def configure(directory: Path, sandbox: Sandbox) -> Path:
    secrets = directory / "secrets"
    secrets.mkdir(mode=0o700, exist_ok=True)
    given: dict[str, Callable[[], str]] = {
        "shopify_token": lambda: TOKEN,
        "webhook_secret": lambda: WEBHOOK_SECRET,
        "webhook_path": lambda: SystemRng().token(16).hex(),
        "api_key": lambda: API_KEY,
        "tenant": lambda: f"demo-{SystemRng().token(4).hex()}",
    }
    for name, text in given.items():
        file = secrets / name
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(text(), encoding="ascii")
    path = directory / "crossdock.toml"
    path.write_text(
        f"""\
[tenant]
id = "{(secrets / "tenant").read_text()}"

[database]
directory = "{directory / "postgres"}"

[shopify]
shop = "{sandbox.world.shop.domain}"
base_url = "{sandbox.shopify_url}"
access_token = {{ file = "{secrets / "shopify_token"}" }}
webhook_secret = {{ file = "{secrets / "webhook_secret"}" }}
webhook_path = {{ file = "{secrets / "webhook_path"}" }}

[[channel]]
id = "{CHANNEL}"
base_url = "{sandbox.mirakl_url}"
api_key = {{ file = "{secrets / "api_key"}" }}
shop_id = {sandbox.world.account.shop_id}
pages_count = {str(sandbox.world.account.switches.pages_count).lower()}
buffer = {BUFFER}

{channel_maps()}
[web]
webhooks = "127.0.0.1:0"
operations = "127.0.0.1:0"
""",
        encoding="utf-8",
    )
    return path


def channel_maps() -> str:
    """The tables of a channel on the sandbox's marketplace: its codes, and how long it waits for an acceptance."""
    reasons = REASONS | {handle: RETURN_REASONS.get(handle, REASONS["refund"]) for _, handle, _, _ in RETURNS}
    return f"""\
[channel.carriers]
{_lines(CARRIERS)}

[channel.reasons]
{_lines(reasons)}

[channel.rules]
accept_hours = 48.0
"""


def _lines(mapped: Mapping[str, str]) -> str:
    return "\n".join(f'"{name}" = "{code}"' for name, code in mapped.items())
