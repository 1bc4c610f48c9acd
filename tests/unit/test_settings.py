"""A wrong key, type or missing secret is refused with its name and line; a secret is never in the file, nor in a message."""

from pathlib import Path

import pytest

from engine.errors import StartupError
from ops.sandbox.mirakl.registry import CARRIERS, REASONS
from ops.settings import SecretRef, read_settings, reveal

WHOLE = """\
[tenant]
id = "acme"
[database]
url = { env = "DB" }
owner_url = { env = "OWNER" }
directory = "/tmp/x"
[vault]
master_key = { env = "KEY" }
[shopify]
shop = "acme.myshopify.com"
access_token = { env = "TOKEN" }
webhook_secret = { env = "HOOK" }
webhook_path = { env = "PIECE" }
previous_webhook_secret = { env = "OLD" }
callback_url = "https://hooks.acme.test/webhooks"
base_url = "http://127.0.0.1:8800/shopify"
api_version = "2026-10"
sweep_every = 900.0
orders_per_minute = 5
map_methods = false
relay_email = false
[[channel]]
id = "first"
base_url = "https://first.mirakl.net"
api_key = { env = "FIRST" }
shop_id = 1
[[channel]]
id = "asos"
base_url = "https://asos.mirakl.net"
api_key = { env = "ASOS" }
shop_id = 2000
orders_every = 60.0
first_look_days = 14
publish_every = 60.0
settle_every = 15.0
buffer = 2
floor = 1
locations = ["gid://shopify/Location/1"]
[channel.carriers]
"Royal Mail" = "RM"
[channel.rules]
currency = "GBP"
check_stock = true
short_stock = "hold"
unknown_sku = "refuse"
price_tolerance = 30
partial = true
partial_cancelation = false
countries = ["GB"]
po_boxes = true
test_orders = "hold"
accept_hours = 24.0
accept_warning_hours = 4.0
at_deadline = "wait"
debit_hours = 4.0
orphan_minutes = 30.0
dispatch_warning_hours = 6.0
tracking_hours = 4.0
untracked_methods = ["LETTER"]
receipt_days = 21.0
message_hours = 24.0
refund_hours = 72.0
return_days = 30.0
[[channel.blocklist]]
name = "somebody"
mark = "0000000000000000000000000000000000000000000000000000000000000000"
[web]
webhooks = "127.0.0.1:8080"
operations = "127.0.0.1:9464"
[evidence]
directory = "/mnt/evidence"
signing_key = { env = "SIGNS" }
previous_signing_key = { env = "SIGNED" }
origin = "crossdock.acme.test/asos"
every = 300.0
events = 1000
hook = ["/usr/local/bin/keep"]
"""
KEYS = [(number, line.split(" = ")[0]) for number, line in enumerate(WHOLE.splitlines(), 1) if " = " in line]
BLACKOUT = 'blackouts = [{{ name = "count", starts = {starts}, ends = {ends} }}]'
WRONG = {
    "shop_id": '"x"',
    "locations": "5",
    "first_look_days": "-1",
    "countries": "5",
    "untracked_methods": "5",
    "buffer": "-1",
    "floor": '"1"',
}


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "crossdock.toml"
    path.write_text(text)
    return path


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(StartupError) as caught:
        read_settings(written(tmp_path, text))
    return str(caught.value)


def test_the_whole_file_and_the_example_are_read(tmp_path: Path) -> None:
    assert read_settings(written(tmp_path, WHOLE)).channel_ids == ["first", "asos"]
    example = read_settings(Path(__file__).parents[2] / "ops" / "crossdock.example.toml")
    assert example.channel[0].stock_rules.buffer == 2
    assert set(example.channel[0].carriers.values()) <= {carrier.code for carrier in CARRIERS}, "of the sandbox, where it is tried first"
    assert set(example.channel[0].reasons.values()) <= {code for code, _, _, ours in REASONS if ours}


def test_no_order_waits_for_a_ceiling_that_nobody_set(tmp_path: Path) -> None:
    """Two hundred may come with one poll of a busy minute, and each is to be in Shopify within seconds."""
    settings = read_settings(written(tmp_path, WHOLE.replace("orders_per_minute = 5\n", "")))
    assert settings.shopify.orders_per_minute == 1_200


@pytest.mark.parametrize(("number", "key"), KEYS)
def test_a_wrong_value_is_refused_with_its_key_and_line(tmp_path: Path, number: int, key: str) -> None:
    lines = WHOLE.splitlines()
    lines[number - 1] = f"{key} = {WRONG.get(key, '-1')}"
    message = refusal(tmp_path, "\n".join(lines))
    assert f"line {number}:" in message
    assert key.strip('"') in message


@pytest.mark.parametrize(("number", "key"), KEYS)
def test_a_misspelt_key_is_refused_with_its_line(tmp_path: Path, number: int, key: str) -> None:
    if key.startswith('"'):
        return  # carriers are named freely
    lines = WHOLE.splitlines()
    lines[number - 1] = lines[number - 1].replace(key, f"{key}x", 1)
    message = refusal(tmp_path, "\n".join(lines))
    assert (f"{key}x" in message and f"line {number}:" in message) or f"{key}: missing" in message


@pytest.mark.parametrize("key", ["access_token", "api_key", "master_key", "url", "signing_key"])
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, key: str) -> None:
    lines = [f'{key} = "hunter2"' if line.startswith(f"{key} = ") else line for line in WHOLE.splitlines()]
    message = refusal(tmp_path, "\n".join(lines))
    assert "never written here" in message and "hunter2" not in message


def test_what_types_cannot_say_is_refused_too(tmp_path: Path) -> None:
    assert "asos is there twice" in refusal(tmp_path, WHOLE.replace('id = "first"', 'id = "asos"'))
    assert "published ceiling" in refusal(tmp_path, WHOLE.replace("orders_every = 60.0", "orders_every = 10.0"))
    assert "https://" in refusal(tmp_path, WHOLE.replace("https://asos", "http://asos"))
    assert "every ten minutes" in refusal(tmp_path, WHOLE.replace("every = 300.0", "every = 3600.0"))
    assert "without blanks" in refusal(tmp_path, WHOLE.replace("acme.test/asos", "acme.test/asos and more"))
    assert "the command and its words" in refusal(tmp_path, WHOLE.replace('["/usr/local/bin/keep"]', '"keep it"'))
    assert "not TOML" in refusal(tmp_path, "[tenant")
    with pytest.raises(StartupError, match="cannot be read"):
        read_settings(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("was", "is_", "says"),
    [
        ('webhooks = "127.0.0.1:8080"', 'webhooks = "127.0.0.1:99999"', "web.webhooks: host:port, the port from 0 to 65535"),
        ('operations = "127.0.0.1:9464"', 'operations = ":65536"', "web.operations: host:port, the port from 0 to 65535"),
        ("https://asos.mirakl.net", "https://asos.mirakl.net:70000", "channel[1].base_url: https://host"),
        ("https://asos.mirakl.net", "https://", "channel[1].base_url: https://host"),
        ("https://hooks.acme.test/webhooks", "https://hooks acme.test/", "shopify.callback_url: https://host"),
        ("http://127.0.0.1:8800/shopify", "http://127.0.0.1:88000/shopify", "shopify.base_url: https://host"),
        ('shop = "acme.myshopify.com"', 'shop = "https://acme.myshopify.com"', "shopify.shop: the permanent domain"),
    ],
)
def test_an_address_that_is_none_is_refused(tmp_path: Path, was: str, is_: str, says: str) -> None:
    assert says in refusal(tmp_path, WHOLE.replace(was, is_))


@pytest.mark.parametrize(
    ("was", "is_", "says"),
    [
        ('currency = "GBP"', 'currency = "gbp"', "rules.currency: gbp: three capital letters, such as GBP"),
        ('countries = ["GB"]', 'countries = ["IE", "Great Britain"]', "rules.countries[1]: Great Britain: write GB"),
        ('countries = ["GB"]', 'countries = ["UK"]', "rules.countries[0]: UK: write GB"),
        ('countries = ["GB"]', 'countries = ["gb"]', "rules.countries[0]: gb: write GB"),
        ('countries = ["GB"]', 'countries = ["GBR"]', "rules.countries[0]: GBR: write GB"),
        ('countries = ["GB"]', 'countries = ["Elbonia"]', "rules.countries[0]: Elbonia: the two capital letters of ISO 3166"),
        ("", "min_to_list = 5\nmax_listed = 3", "stock.min_to_list: min_to_list 5 is above max_listed 3"),
        ("", "min_to_list = 5\nskus = { TEE = { max_listed = 3 } }", "stock.skus.TEE.max_listed: min_to_list 5 is above max_listed 3"),
        ("", BLACKOUT.format(starts="2027-01-02T18:00:00Z", ends="2027-01-02T06:00:00Z"), "stock.blackouts[0].ends: count is over before"),
        ("", BLACKOUT.format(starts="2027-01-02T06:00:00", ends="2027-01-02T18:00:00Z"), "stock.blackouts[0].starts: say in which zone"),
    ],
)
def test_a_rule_that_could_not_be_meant_is_refused(tmp_path: Path, was: str, is_: str, says: str) -> None:
    text = WHOLE.replace(was, is_) if was else WHOLE.replace("[channel.rules]", f"[channel.stock]\n{is_}\n[channel.rules]")
    message = refusal(tmp_path, text)
    assert says in message
    key = says.partition(":")[0].split(".")[1].partition("[")[0]
    assert any(f"line {number}: channel[1]." in message for number, line in enumerate(text.splitlines(), 1) if line.startswith(key))


def test_a_sku_that_is_never_listed_may_be_meant(tmp_path: Path) -> None:
    text = WHOLE.replace("[channel.rules]", "[channel.stock]\nmin_to_list = 5\nskus = { TEE = { max_listed = 0 } }\n[channel.rules]")
    assert read_settings(written(tmp_path, text)).channel[1].stock.min_to_list == 5


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('[channel.stock]\nstale_shop = "holt"', "stock.stale_shop: 'holt': one of decay, hold, zero"),
        ("[channel.stock]\nstale_shop = 5", "stock.stale_shop: Expected `str`, got `int`: one of decay, hold, zero"),
        ('[channel.reasons]\nrefund = "17"\ncancel = 15\nid = "3"', "reasons.cancel: Expected `str`, got `int`"),
        ("[channel.reasons]\nid = 15", "reasons.id: Expected `str`, got `int`"),
        ('[channel.bundles]\n"A.B" = { BOX = 1 }\n"GIFT" = { BOX = 1, MUG = 0 }', "bundles.GIFT.MUG: Expected `int` >= 1"),
        ('[channel.stock]\nskus = { "HAT" = { buffer = 1 }, "TEE" = { bufer = 0 } }', "stock.skus.TEE.bufer: not a setting"),
    ],
)
def test_what_is_wrong_is_named_down_to_the_last_key(tmp_path: Path, table: str, says: str) -> None:
    assert f": channel[1].{says}" in refusal(tmp_path, WHOLE.replace("[channel.rules]", f"{table}\n[channel.rules]"))


def test_a_mark_is_made_and_not_written(tmp_path: Path) -> None:
    assert "blocklist[0].mark: what `crossdock mark` makes" in refusal(tmp_path, WHOLE.replace('mark = "0', 'mark = "x'))


@pytest.mark.parametrize("address", ["https://[::1]:65535/mirakl", "https://a.test:443", "http://localhost", "http://[::1]:0/"])
def test_an_address_may_have_any_port_there_is(tmp_path: Path, address: str) -> None:
    assert read_settings(written(tmp_path, WHOLE.replace("https://asos.mirakl.net", address))).channel[1].base_url == address


def test_secrets_come_from_the_environment_or_from_a_private_file(tmp_path: Path) -> None:
    assert reveal(SecretRef(env="A"), "x", {"A": " s3cret\n"}).reveal() == "s3cret"
    private = tmp_path / "key"
    private.write_text("s3cret\n")
    private.chmod(0o600)
    assert reveal(SecretRef(file=str(private)), "x", {}).reveal() == "s3cret"


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        (SecretRef(env="MISSING"), "MISSING is not set"),
        (SecretRef(), "exactly one of"),
        (SecretRef(env="A", file="/x"), "exactly one of"),
        (SecretRef(file="/nowhere/at/all"), "No such file"),
    ],
)
def test_a_missing_secret_is_named(reference: SecretRef, says: str) -> None:
    with pytest.raises(StartupError, match=says):
        reveal(reference, "shopify.access_token", {})


def test_a_secret_file_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("s3cret")
    path.chmod(0o644)
    with pytest.raises(StartupError, match="chmod 600") as caught:
        reveal(SecretRef(file=str(path)), "x", {})
    assert "s3cret" not in str(caught.value)
