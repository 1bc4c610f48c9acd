"""Clients that nobody here wrote work against the sandbox as they are: they list orders, accept, ship, push stock, create an order."""

import datetime
import ipaddress
import json
import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.ports import AcceleratedClock, SystemClock, TcpNet
from ops.sandbox.face import API_KEY, TOKEN, Sandbox, serve_sandbox
from ops.sandbox.plan import Plan, Warehouse
from ops.sandbox.shopify.state import number_of
from ops.sandbox.world import World
from tests.contract.clients.install import HERE, node_clients, python_clients

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an authority that signs itself, for 127.0.0.1, with its key: for the length of this run."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "sandbox.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with _served() as here:
        yield here


@pytest.fixture
async def over_tls(certificate: Path) -> AsyncIterator[Sandbox]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    async with _served(context) as here:
        yield here


def _served(tls: ssl.SSLContext | None = None) -> Any:
    """Ten orders wait on the marketplace; a minute passes in a second, and the warehouse leaves the picking to others."""
    now = SystemClock().now()
    plan = Plan(skus=5, offers_open="at_stock", d2c_share=0.0, warehouse=Warehouse(pick_seconds=1e7))
    world = World(plan, 1, now)
    for _ in range(10):
        assert world.buy(now)
    return serve_sandbox(world, AcceleratedClock(now, 60.0), TcpNet(), tls=tls)


async def run(*command: str | Path, **environment: str) -> Any:
    """What the script printed last, which is JSON."""
    environment = {name: value for name in ("PATH", "SYSTEMROOT") if (value := os.environ.get(name))} | environment
    with anyio.fail_after(60):
        done = await anyio.run_process(list(map(str, command)), env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout.splitlines()[-1])


def place(sandbox: Sandbox) -> str:
    """Host and port."""
    return sandbox.url.partition("://")[2]


@pytest.mark.needs(installed="node-clients")
async def test_shopify_admin_api_client(over_tls: Sandbox, certificate: Path):
    folder = node_clients()
    assert folder is not None
    saw = await run("node", folder / "shopify.mjs", SHOP=place(over_tls), TOKEN=TOKEN, NODE_EXTRA_CA_CERTS=str(certificate))
    shop = over_tls.world.shop
    order = shop.orders[number_of(saw["created"]["order"]["id"], "Order")]
    assert saw["created"]["userErrors"] == saw["stocked"]["userErrors"] == saw["shipped"]["userErrors"] == []
    assert saw["shipped"]["fulfillment"]["status"] == "SUCCESS" and order.fulfillments
    assert saw["listed"] == [{"id": saw["created"]["order"]["id"], "tags": ["foreign"]}]
    assert "nonsense" in saw["refused"]
    item = shop.variants[shop.skus[saw["sku"]][0]].item_id
    assert 77 in {level.available for level in shop.levels[item].values()}


@pytest.mark.needs(installed="python-clients")
async def test_shopifyapi(sandbox: Sandbox):
    saw = await run(python_clients() or "", HERE / "shopifyapi_orders.py", SHOP=place(sandbox), TOKEN=TOKEN)
    order = sandbox.world.shop.orders[number_of(saw["created"]["order"]["id"], "Order")]
    assert saw["created"]["userErrors"] == saw["shipped"]["userErrors"] == [] and order.fulfillments
    assert [shown["id"] for shown in saw["listed"]] == [saw["created"]["order"]["id"]]


@pytest.mark.needs(installed="python-clients")
async def test_mirakl_lib(sandbox: Sandbox):
    orders = sandbox.world.account.orders
    waiting = [order.id for order in orders.values()]
    saw = await run(python_clients() or "", HERE / "mirakl_lib_orders.py", MARKETPLACE=sandbox.mirakl_url, KEY=API_KEY)
    assert saw == {"waiting": waiting, "more": False, "accepted": "WAITING_DEBIT"}
    assert orders[waiting[0]].accepted_at is not None


@pytest.mark.needs(installed="python-clients")
async def test_mirakl_api_client(over_tls: Sandbox, certificate: Path):
    saw = await run(
        python_clients() or "",
        HERE / "mirakl_api_client_orders.py",
        MARKETPLACE=place(over_tls),
        KEY=API_KEY,
        REQUESTS_CA_BUNDLE=str(certificate),
    )
    account = over_tls.world.account
    assert saw["answers"] == [204, 204, 204, 201] and saw["state"] == account.orders[saw["order"]].state == "SHIPPED"
    assert saw["shop"] == account.shop_id and saw["carriers"] == len(account.carriers)
    with anyio.fail_after(60):
        while account.imports[saw["import"]].status != "COMPLETE":
            await anyio.sleep(0.05)
    assert account.offers[saw["sku"]].quantity == 41
