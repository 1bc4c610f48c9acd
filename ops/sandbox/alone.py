"""`crossdock sandbox`: both systems on loopback, until Ctrl-C."""

import signal
from datetime import timedelta
from pathlib import Path

import anyio
from rich.console import Console

from engine.ports import AcceleratedClock, Clock, SystemClock, TcpNet
from ops.sandbox.face import API_KEY, TOKEN, WEBHOOK_SECRET, serve_sandbox
from ops.sandbox.plan import Plan
from ops.sandbox.world import World


async def stand_alone(*, port: int, seed: int, data: Path | None, speed: float, orders: int, offers_open: bool) -> int:
    console = Console(highlight=False, soft_wrap=True)
    now = SystemClock().now()
    plan = Plan(marketplace_orders=orders, offers_open="at_stock" if offers_open else "at_zero")
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        world = World.open(data / "sandbox.journal", plan, seed, now)
    else:
        world = World(plan, seed, now)
    clock: Clock = SystemClock()
    if speed != 1.0 or world.now > now + timedelta(seconds=1):
        clock = AcceleratedClock(max(world.now, now), speed)
    async with serve_sandbox(world, clock, TcpNet(), port=port) as sandbox:
        console.print(f"Shopify  {sandbox.shopify_url}   token {TOKEN}, webhook secret {WEBHOOK_SECRET}, shop {world.shop.domain}")
        console.print(f"Mirakl   {sandbox.mirakl_url}   key {API_KEY}, shop_id {world.account.shop_id}")
        console.print(f"Truth    {sandbox.url}/sandbox/state   levers: POST /sandbox/buy, /stock, /ship, /switches, /faults")
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                break
    world.close()
    return 0
