"""Where chance takes the rarer legal way: through the ports and the settings alone, so that the product knows nothing of it.

jitter        a backoff is drawn at one of its ends: none at all, or all of it
slow_commits  now and then what a transaction wrote is durable only a second later (of the loop)
late_beats    a lease's beat comes late, and sometimes too late: its holder has lost it while it thinks it leads; as long as there is chaos
deaf          news of a commit (NOTIFY) is lost: whoever waits for it has to look for himself
cadence       sources are asked, files sent and looked after as seldom, or as often, as the settings allow
stale         other rules for stock that could not be read: decay or zero, and sooner
"""

from collections.abc import Callable
from random import Random  # noqa: TID251 - a play's chance comes from its seed
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from engine.ports import SeededRng
from ops.sandbox.chance import choose
from ops.settings import Settings

if TYPE_CHECKING:
    from ops.simulate.memory.faults import Asked, Strike
    from ops.simulate.play import Play

SLOW, LATE, LOST = 0.03, 0.2, 0.5  # of commits, of beats, of news
A_SECOND = (0.1, 1.5)  # seconds of the loop
OF_A_TTL = (0.3, 1.5)


class ExtremeRng(SeededRng):
    """Chance that mostly comes to an end of its range."""

    def uniform(self, low: float, high: float) -> float:
        return choose_end(super().uniform(0.0, 1.0), low, high)


def choose_end(chance: float, low: float, high: float) -> float:
    if chance < 0.4:
        return low
    return high if chance > 0.6 else low + (chance - 0.4) * 5 * (high - low)


def configured(settings: Settings, rare: tuple[str, ...], seed: int) -> Settings:
    """Of the first channel, and the shop."""
    channel, *others = settings.channel
    shop = settings.shopify
    if "cadence" in rare:
        channel = replace(
            channel,
            orders_every=choose(seed, (60.0, 300.0, 900.0), "orders every"),
            publish_every=choose(seed, (60.0, 150.0), "publish every"),
            settle_every=choose(seed, (15.0, 60.0), "settle every"),
            offers_every=choose(seed, (60.0, 900.0), "offers every"),
        )
        shop = replace(shop, sweep_every=choose(seed, (300.0, 1800.0), "sweep every"))
    if "stale" in rare:
        policies = {name: choose(seed, ("hold", "decay", "zero"), name) for name in ("stale_shop", "stale_orders")}
        minutes = {"stale_shop_minutes": 35.0, "stale_orders_minutes": 16.0, "decay_minutes": 5.0}
        channel = replace(channel, stock=replace(channel.stock, **policies, **minutes))
    return replace(settings, shopify=shop, channel=[channel, *others])


def meddle(play: "Play") -> None:
    """From now on, with the way to the database."""
    rare, chance, stored = play.options.rare, Random(f"rare {play.seed}"), play.stored
    for name in ("jitter", "cadence", "stale"):
        if name in rare:
            play.seen[f"rare {name}"] += 1
    bridge, database = getattr(stored, "bridge", None), getattr(stored, "database", None)
    if database is not None and {"slow_commits", "late_beats"} & set(rare):
        database.weather = _Slow(database.weather, play, chance)
    if database is not None and "deaf" in rare:
        database.tell = _deaf(database.tell, play, chance)
    if bridge is not None and "slow_commits" in rare:
        bridge.delay = _slow(bridge.delay, play, chance)
    if bridge is not None and "deaf" in rare:
        bridge.spread_news = _deaf(bridge.spread_news, play, chance)


def _deaf(tell: Callable[..., None], play: "Play", chance: Random) -> Callable[..., None]:
    def told(*news: Any) -> None:
        if chance.random() < LOST:
            play.seen["rare deaf"] += 1
        else:
            tell(*news)

    return told


def _slow(delay: Callable[[], float], play: "Play", chance: Random) -> Callable[[], float]:
    """Of a real database, any answer."""

    def slower() -> float:
        if chance.random() >= SLOW / 10:
            return delay()
        play.seen["rare slow_commits"] += 1
        return delay() + chance.uniform(*A_SECOND)

    return slower


class _Slow:
    """The weather of a database in memory."""

    def __init__(self, before: Any, play: "Play", chance: Random) -> None:
        self._before, self._play, self._chance = before, play, chance
        self.latency, self.refusal = before.latency, before.refusal

    def strike(self, asked: "Asked") -> "Strike | None":
        from ops.simulate.memory.faults import Strike  # noqa: PLC0415 - the database in memory knows what plays ask

        rare, ttl = self._play.options.rare, self._play.options.lease_seconds
        if "late_beats" in rare and not self._play.healing and asked.name.endswith(".BEAT") and self._chance.random() < LATE:
            self._play.seen["rare late_beats"] += 1
            return Strike("slow", seconds=ttl * self._chance.uniform(*OF_A_TTL))
        if "slow_commits" in rare and asked.commits and self._chance.random() < SLOW:
            self._play.seen["rare slow_commits"] += 1
            return Strike("slow", seconds=self._chance.uniform(*A_SECOND))
        found: Strike | None = self._before.strike(asked)
        return found
