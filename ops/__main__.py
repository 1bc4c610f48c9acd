"""The `crossdock` command: one room for each thing that can be asked of it."""

import os
import sys
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from ops.command_line import Commands, Listed, Whole, Within, run

F = TypeVar("F", bound=Callable[..., Any])

YEAR = 365 * 86400  # seconds


def of_a_log(function: F) -> F:
    """Options of every command that reads a log: which configuration, or which demo's directory; or another server."""
    config = click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="The settings (TOML).")
    data = click.option(
        "--data", type=click.Path(path_type=Path, file_okay=False), help="The directory of a `crossdock demo`, instead of --config."
    )
    database = click.option("--database", default="", metavar="URL", help="Another Postgres than the settings name.")
    return config(data(database(function)))


def settings_file(config: Path | None, data: Path | None) -> Path:
    if (config is None) == (data is None):
        raise click.UsageError("give --config FILE, or --data DIR of a demo")
    return config if config is not None else data / "crossdock.toml"  # type: ignore[operator]


as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object for a program.")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="crossdock", prog_name="crossdock")
def main() -> None:
    """Shopify and Mirakl in one append-only log: orders in, stock and dispatches out, every step traceable.

    Exit codes: 0 it holds; 1 something does not, or waits for somebody; 2 the command was wrong; 3 it could not be done; 130 after
    Ctrl-C; 141 where whoever read the output went away.
    """


@main.command()
@click.option("--orders", type=click.IntRange(1, 5000), help="Marketplace orders to be bought.  [default: the scenario's, 50]")
@click.option("--scenario", default="demo", show_default=True, metavar="NAME|FILE", help="What happens: see `crossdock sandbox --list`.")
@click.option("--seed", default=1, show_default=True, help="Of the buyers, the warehouse and the catalogue.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Keep everything here, and go on from what is there.")
@click.option("--database", default="", metavar="URL", help="Use this Postgres instead of bringing one along.")
@click.option("--speed", type=Within(0.001, 100_000), metavar="N", help="How many times as fast as real time.  [default: 200]")
@as_json
def demo(orders: int | None, scenario: str, seed: int, data: Path | None, database: str, speed: float | None, as_json: bool) -> None:
    """Play a day's trade, and prove the end state.

    A Postgres, a Shopify, a Mirakl and the engine run in one go, in accelerated time. Exit code 1 if anything does not hold.
    """
    from ops.demo import SPEED, DemoOptions, play  # noqa: PLC0415 - each command loads what it needs

    run(play(DemoOptions(orders=orders, seed=seed, data=data, database=database, speed=speed or SPEED, as_json=as_json, scenario=scenario)))


@main.command()
@click.option("--hours", default=24.0, show_default=True, type=Within(0.1, 24), help="Of the day: its peak is two thirds in.")
@click.option("--seed", default=1, show_default=True, help="Of everything that happens in it.")
@as_json
def rush(hours: float, seed: int, as_json: bool) -> None:
    """Black Friday in a modelled shop and marketplace, by our arithmetic and by a connector that copies all stock every 15 minutes.

    10,000 SKUs, 50 changes a second, up to 200 orders a minute. No network, no database: takes minutes. Exit code 1 if anything does not
    hold of ours.
    """
    from ops.rush import play  # noqa: PLC0415

    sys.exit(play(hours, seed, as_json=as_json))


@main.command()
@click.option("--seeds", default="1..20", show_default=True, metavar="A..B", help="One play each.")
@click.option("--tier", default=1, show_default=True, type=click.IntRange(1, 2), help="1: a database in memory. 2: a real Postgres.")
@click.option(
    "--scenario", default="", metavar="NAME|FILE", help="What happens, instead of what each seed draws: see `crossdock sandbox --list`."
)
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes at once.")
@click.option("--without", default="", metavar="FAULT,…", help="Leave out these classes of faults.")
@click.option("--budget", type=click.IntRange(0), help="Faults after which nothing goes wrong any more.")
@click.option("--only", default="", metavar="SEED,…", hidden=True)
@click.option("--no-shrink", is_flag=True, help="Do not make a failure smaller.")
@click.option("--extended", is_flag=True, help="Twenty times as many seeds.")
@as_json
def simulate(
    seeds: str,
    tier: int,
    scenario: str,
    jobs: int,
    without: str,
    budget: int | None,
    only: str,
    no_shrink: bool,
    extended: bool,
    as_json: bool,
) -> None:
    """The engine and the sandbox in virtual time, with faults, crashes and people drawn from each seed; then all must come right.

    The same seed is the same play. Exit code 1 if anything does not hold, with a line that shows it again.
    """
    from ops.simulate.command import EXTENDED, Wanted  # noqa: PLC0415
    from ops.simulate.command import simulate as work  # noqa: PLC0415

    first, _, last = seeds.partition("..")
    if not first.isdecimal() or not (last or first).isdecimal():
        raise click.UsageError("--seeds A..B, as in 1..20")
    wanted = Wanted(int(first), int(last or first), tier=tier, scenario=scenario, jobs=jobs, budget=budget, as_json=as_json)
    wanted.last += (EXTENDED - 1) * (wanted.last - wanted.first + 1) if extended else 0
    wanted.without, wanted.shrink = tuple(filter(None, without.split(","))), not no_shrink
    try:
        wanted.chosen = [int(seed) for seed in only.split(",")] if only else []
    except ValueError:
        raise click.UsageError("--only SEED,…: numbers, as in 3,-1") from None
    sys.exit(work(wanted))


@main.command()
@of_a_log
def serve(config: Path | None, data: Path | None, database: str) -> None:
    """Run the engine until SIGTERM, which it answers within 25 seconds."""
    from ops.serve import serve as work  # noqa: PLC0415

    run(work(settings_file(config, data), database, os.environ))


@main.command()
@of_a_log
@as_json
def check(config: Path | None, data: Path | None, database: str, as_json: bool) -> None:
    """Look at the database and both systems, and say what is missing and how to mend it. Changes nothing."""
    from ops.preflight import check as work  # noqa: PLC0415

    run(work(settings_file(config, data), database, os.environ, as_json=as_json))


@main.command()
@of_a_log
def migrate(config: Path | None, data: Path | None, database: str) -> None:
    """Bring the database to this version, as its owner. Safe to repeat, and to start twice at once."""
    from ops.report import bring_up_to_date  # noqa: PLC0415

    run(bring_up_to_date(settings_file(config, data), database, os.environ))


@main.command()
@of_a_log
@as_json
def status(config: Path | None, data: Path | None, database: str, as_json: bool) -> None:
    """How far everything has come, and what waits for somebody. Exit code 1 while an exception is open."""
    from ops.report import status as work  # noqa: PLC0415

    run(work(settings_file(config, data), database, os.environ, as_json=as_json))


@main.command()
@click.argument("name", metavar="ORDER")
@of_a_log
@as_json
def trace(name: str, config: Path | None, data: Path | None, database: str, as_json: bool) -> None:
    """The whole story of ORDER, by either side's number; or of a SKU."""
    from ops.report import trace as work  # noqa: PLC0415

    run(work(name, settings_file(config, data), database, os.environ, as_json=as_json))


@main.command()
@click.argument("sku", required=False)
@click.option("--at", default="", metavar="POSITION|TIME", help="As of then: a position, or a time such as 2026-11-20T12:00:00Z.")
@click.option("--all", "everything", is_flag=True, help="Instead of a SKU: recompute every number that was ever sent.")
@of_a_log
@as_json
def explain(sku: str | None, at: str, everything: bool, config: Path | None, data: Path | None, database: str, as_json: bool) -> None:
    """How the number came about that each channel was told of SKU: term by term, with the rules and the events behind each.

    Exit code 1 if the log makes another number of it than was sent.
    """
    from ops import report  # noqa: PLC0415

    if (sku is None) != everything:
        raise click.UsageError("give a SKU, or --all")
    path = settings_file(config, data)
    run(
        report.explain_all(at, path, database, os.environ, as_json=as_json)
        if sku is None
        else report.explain(sku, at, path, database, os.environ, as_json=as_json)
    )


# ---------------------------------------------------------------- what people do


def _said(_ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("say something", param=parameter)
    return value


def _code(_ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    from ops.desk import CODES  # noqa: PLC0415

    if value and value.upper() not in CODES:
        raise click.BadParameter(f"no kind of exception is called {value}: there are {', '.join(CODES)}", param=parameter)
    return value.upper()


def by_a_person(function: F) -> F:
    """Options of every command that changes something: why, and who."""
    reason = click.option("--reason", required=True, callback=_said, help="Why; it is kept in the log.")
    actor = click.option("--as", "actor", default="", metavar="NAME", help="Who; else the login.")
    return reason(actor(of_a_log(function)))


def desk(config: Path | None, data: Path | None, database: str, actor: str, work: Callable[[Any], Coroutine[Any, Any, int]]) -> None:
    from ops.desk import at_the_desk  # noqa: PLC0415

    run(at_the_desk(settings_file(config, data), database, os.environ, actor, work))


@main.group(cls=Listed)
def exceptions() -> None:
    """What waits for somebody: what happened, whose it is, until when, what is at stake, what to do."""


@exceptions.command("list")
@click.option("--owner", type=click.Choice(["OPS", "FIN", "ECOM", "CX", "ENG"], case_sensitive=False), help="Only what is theirs.")
@click.option("--code", default="", metavar="X..", callback=_code, help="Only this kind.")
@click.option("--closed", is_flag=True, help="What is over, too.")
@of_a_log
@as_json
def exceptions_list(
    owner: str | None, code: str, closed: bool, config: Path | None, data: Path | None, database: str, as_json: bool
) -> None:
    """All of them, the most urgent first. Exit code 1 while one is open."""
    from ops.desk import show_list  # noqa: PLC0415

    desk(config, data, database, "", lambda it: show_list(it, owner=owner or "", code=code, closed=closed, as_json=as_json))


@exceptions.command("show")
@click.argument("key")
@of_a_log
@as_json
def exceptions_show(key: str, config: Path | None, data: Path | None, database: str, as_json: bool) -> None:
    """One of them. KEY, or as much of it as fits only one that is open: an order's number will often do."""
    from ops.desk import show_one  # noqa: PLC0415

    desk(config, data, database, "", lambda it: show_one(it, key, as_json=as_json))


@exceptions.command("retry")
@click.argument("key")
@by_a_person
def exceptions_retry(key: str, reason: str, actor: str, config: Path | None, data: Path | None, database: str) -> None:
    """The cause is gone: ask again for what was refused or given up."""

    async def work(it: Any) -> int:
        click.echo(f"{(await it.retry(key, reason)).key} is tried again")
        return 0

    desk(config, data, database, actor, work)


@exceptions.command("resolve")
@click.argument("key")
@by_a_person
def exceptions_resolve(key: str, reason: str, actor: str, config: Path | None, data: Path | None, database: str) -> None:
    """It is settled elsewhere: close it, and ask for nothing of it any more."""

    async def work(it: Any) -> int:
        click.echo(f"{(await it.resolve(key, reason)).key} is settled")
        return 0

    desk(config, data, database, actor, work)


@exceptions.command("assign")
@click.argument("key")
@click.argument("to", metavar="WHO", callback=_said)
@by_a_person
def exceptions_assign(key: str, to: str, reason: str, actor: str, config: Path | None, data: Path | None, database: str) -> None:
    """WHO is to look after it."""

    async def work(it: Any) -> int:
        click.echo(f"{(await it.assign(key, to, reason)).key} is with {to}")
        return 0

    desk(config, data, database, actor, work)


@main.group("map", cls=Whole)
def map_() -> None:
    """Whose word is whose: what a SKU, carrier, shipping method or refund reason is called on the other side."""


@map_.command("list")
@of_a_log
@as_json
def map_list(config: Path | None, data: Path | None, database: str, as_json: bool) -> None:
    """All of them, and how much waits for those that nobody has said."""
    from ops.desk import show_words  # noqa: PLC0415

    desk(config, data, database, "", lambda it: show_words(it, as_json=as_json))


def _mapping(kind: str, what: str) -> None:
    @map_.command(kind, help=f"{what} Whatever waited for it goes on.")
    @click.argument("name")
    @click.argument("value", default="")
    @click.option("--channel", required=True, help="Of which marketplace account.")
    @click.option("--replace", is_flag=True, help="Though another word was said before.")
    @click.option("--remove", is_flag=True, help="Take the mapping away.")
    @by_a_person
    def work(
        name: str,
        value: str,
        channel: str,
        replace: bool,
        remove: bool,
        reason: str,
        actor: str,
        config: Path | None,
        data: Path | None,
        database: str,
    ) -> None:
        if bool(value) == remove:
            raise click.UsageError("give NAME and VALUE, or NAME and --remove")

        from ops.sentences import so_many  # noqa: PLC0415

        async def say(it: Any) -> int:
            waiting = await it.map(kind, channel, name, value, reason, replace=replace or remove)
            said = f"{kind} {name} is {value or 'nothing any more'} on {channel}"
            click.echo(said + (f"; it lets {so_many(waiting, 'exception')} go on" if waiting else ""))
            return 0

        desk(config, data, database, actor, say)


_mapping("sku", "The offer's SKU NAME is VALUE in Shopify.")
_mapping("carrier", "The carrier written in Shopify as NAME has the marketplace's code VALUE; name:VALUE for one that it does not list.")
_mapping("method", "The marketplace's shipping type NAME is shown in Shopify as VALUE.")
_mapping("reason", "A cancel, a refund, or the Shopify return reason NAME has the marketplace's reason code VALUE.")


@main.command()
@click.argument("order")
@by_a_person
def hold(order: str, reason: str, actor: str, config: Path | None, data: Path | None, database: str) -> None:
    """Let ORDER wait, wherever it is: nothing is accepted, created, packed or dispatched of it."""

    async def work(it: Any) -> int:
        click.echo(f"order {await it.hold(order, reason)} is held")
        return 0

    desk(config, data, database, actor, work)


@main.command()
@click.argument("order")
@by_a_person
def release(order: str, reason: str, actor: str, config: Path | None, data: Path | None, database: str) -> None:
    """Let ORDER go on, whatever the rules had against it: who releases it answers for it."""

    async def work(it: Any) -> int:
        click.echo(f"order {await it.release(order, reason)} goes on")
        return 0

    desk(config, data, database, actor, work)


@main.command()
@click.argument("order")
@by_a_person
def refuse(order: str, reason: str, actor: str, config: Path | None, data: Path | None, database: str) -> None:
    """Refuse what waits for acceptance of ORDER."""

    async def work(it: Any) -> int:
        click.echo(f"order {await it.refuse(order, reason)} is refused, if it still waits")
        return 0

    desk(config, data, database, actor, work)


# ---------------------------------------------------------------- people who want to be forgotten, or to know


def _from_stdin(name: str) -> str:
    """`-`: the name is read from standard input, so that nobody sees it in the list of processes."""
    if name != "-":
        return name
    if not (said := sys.stdin.readline().strip()):
        raise click.UsageError("standard input was empty: a line is read from it where - is given")
    return said


@main.command()
@click.argument("name", metavar="ORDER|EMAIL|-", required=False)
@click.option("--unfinished", is_flag=True, help="Also orders that are not in Shopify yet, and now never will be.")
@click.option("--list", "listing", is_flag=True, help="Instead: the receipts of all that was ever erased.")
@click.option("--reason", default="", help="Why, without naming anybody; it is kept in the log for ever.")
@click.option("--as", "actor", default="", metavar="NAME", help="Who; else the login.")
@of_a_log
@as_json
def erase(
    name: str | None,
    unfinished: bool,
    listing: bool,
    reason: str,
    actor: str,
    config: Path | None,
    data: Path | None,
    database: str,
    as_json: bool,
) -> None:
    """Forget the buyer of ORDER, by either side's number, or of every order with EMAIL; print a receipt. Cannot be undone.

    The order, its amounts and its whole story stay; who bought it, nobody can read any more, here or in any backup of the log.
    """
    from ops.erase import erase_named, show_receipts  # noqa: PLC0415

    path = settings_file(config, data)
    if listing:
        run(show_receipts(path, database, os.environ, as_json=as_json))
    if not name or not reason:
        raise click.UsageError("give ORDER, EMAIL or -, and --reason; or --list")
    name = _from_stdin(name)
    run(erase_named(name, path, database, os.environ, reason=reason, actor=actor, unfinished=unfinished, as_json=as_json))


@main.command()
@click.argument("value", metavar="VALUE|-", callback=_said)
@of_a_log
def mark(value: str, config: Path | None, data: Path | None, database: str) -> None:
    """By what a buyer of that customer id, relay e-mail or "last name|zip" stands in the settings' blocklist."""
    from ops.erase import mark_of  # noqa: PLC0415

    click.echo(mark_of(_from_stdin(value), settings_file(config, data), os.environ))


@main.command()
@click.argument("name", metavar="ORDER|EMAIL|REQUEST|-", callback=_said)
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="A file that is not there yet.")
@by_a_person
def disclose(name: str, out: Path, reason: str, actor: str, config: Path | None, data: Path | None, database: str) -> None:
    """Write down all that is held of the buyer of ORDER, of EMAIL, or of whoever made REQUEST, which is answered by it."""
    from ops.erase import disclose as work  # noqa: PLC0415

    run(work(_from_stdin(name), settings_file(config, data), database, os.environ, reason=reason, actor=actor, out=out))


@main.command()
@click.option("--projection", "only", default="", metavar="P", help="Only this one.")
@click.option("--until", default="", metavar="POSITION|TIME", help="Fold up to there: a position, or a time such as 2026-11-20T12:00:00Z.")
@click.option("--show", default="", metavar="KEY", help="Show the rows with this key, or in whose key it stands: an order number, a SKU.")
@click.option(
    "--with",
    "changed",
    type=click.Path(path_type=Path, exists=True),
    help="Fold with the projections of this checkout, package or file as well, and show what would be otherwise. Exit code 1 if anything.",
)
@click.option("--verify", "verifying", is_flag=True, help="Compare with the live rows, and show the first difference.")
@click.option("--swap", is_flag=True, help="Put the rebuilt rows in the place of the live ones.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1, 16), help="Processes that share the streams, where they can.")
@of_a_log
@as_json
def replay(
    only: str,
    until: str,
    show: str,
    changed: Path | None,
    verifying: bool,
    swap: bool,
    jobs: int,
    config: Path | None,
    data: Path | None,
    database: str,
    as_json: bool,
) -> None:
    """Fold the log again from nothing. Sends nothing: it has no way out."""
    if until and (swap or verifying):
        raise click.UsageError("--verify and --swap are about the live rows, which have the whole log: leave out --until")
    path = settings_file(config, data)
    if changed:
        from ops.replay_with import replay_with  # noqa: PLC0415

        if show or verifying or swap or jobs > 1:
            raise click.UsageError("with --with, only --projection, --until and --json")
        run(replay_with(changed, path, database, os.environ, only=only, until=until, as_json=as_json))
    from ops.replay import replay as work  # noqa: PLC0415

    run(work(path, database, os.environ, only=only, until=until, show=show, verifying=verifying, swapping=swap, jobs=jobs, as_json=as_json))


@main.command(hidden=True)
@click.argument("projection")
@click.argument("table")
@click.argument("upto", type=int)
@click.argument("shards", type=int, nargs=-1)
@of_a_log
def replay_part(
    projection: str, table: str, upto: int, shards: tuple[int, ...], config: Path | None, data: Path | None, database: str
) -> None:
    """One process's share of a `replay --jobs`; says what it has folded."""
    from ops.replay import replay_part as work  # noqa: PLC0415

    run(work(settings_file(config, data), database, os.environ, projection=projection, table=table, upto=upto, shards=shards))


@main.command()
@of_a_log
@as_json
def verify(config: Path | None, data: Path | None, database: str, as_json: bool) -> None:
    """Recompute the log's hash chain, compare it with every signed checkpoint, and name the first position that is not as it was."""
    from ops.evidence.commands import verify as work  # noqa: PLC0415

    run(work(settings_file(config, data), database, os.environ, as_json=as_json))


@main.command()
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Leave the backup in this directory.")
@click.option("--from", "backup", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Restore this one, made earlier.")
@click.option("--keys", type=click.Path(path_type=Path, file_okay=False, exists=True), help="With these keys, not those beside it.")
@of_a_log
@as_json
def drill(
    keep: Path | None, backup: Path | None, keys: Path | None, config: Path | None, data: Path | None, database: str, as_json: bool
) -> None:
    """Back up, restore into an empty server, verify and rebuild everything there, and compare it with what is live.

    The engine may run meanwhile; nothing of the live database is changed. Exit code 1 if anything differs.
    """
    from ops.drill import drill as work  # noqa: PLC0415

    if keep and backup:
        raise click.UsageError("--keep is for a new backup, --from for an old one")
    run(work(settings_file(config, data), database, os.environ, keep=keep, backup=backup, keys=keys, as_json=as_json))


@main.command()
@click.argument("order", required=False)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="A file that is not there yet.")
@click.option("--opened", is_flag=True, help="With what is said of people, which stays sealed otherwise.")
@click.option(
    "--consistency",
    nargs=2,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="OLD NEW",
    help="Instead of an order: that NEW continues OLD, two files (….note) from the checkpoints of [evidence] directory.",
)
@of_a_log
def evidence(
    order: str | None,
    out: Path | None,
    opened: bool,
    consistency: tuple[Path, Path] | None,
    config: Path | None,
    data: Path | None,
    database: str,
) -> None:
    """All events of ORDER, by either side's number, as proof that needs neither us nor our database: ops/evidence/verify.py reads it."""
    from ops.evidence import commands  # noqa: PLC0415

    path = settings_file(config, data)
    if consistency is not None and order is None:
        run(commands.consistency_evidence(*consistency, path, database, os.environ, out=out))
    if order is None or consistency is not None or out is None:
        raise click.UsageError("give an ORDER and --out FILE, or --consistency OLD NEW")
    run(commands.order_evidence(order, out, path, database, os.environ, opened=opened))


@main.command()
@click.option("--anyway", is_flag=True, help="Though not everything has been read again since.")
@by_a_person
def resume(anyway: bool, reason: str, actor: str, config: Path | None, data: Path | None, database: str) -> None:
    """Let work go on in a log that was restored to an earlier state: until then everything is read and nothing is sent."""
    from ops.evidence.commands import resume as work  # noqa: PLC0415

    run(work(reason, actor, settings_file(config, data), database, os.environ, anyway=anyway))


@main.command()
@click.option("--scenario", default="", metavar="NAME|FILE", help="What happens in it: one that comes along, or a file of your own.")
@click.option("--list", "listing", is_flag=True, help="The scenarios that come along.")
@click.option("--faults", "faults", is_flag=True, help="What can go wrong, and what each is called.")
@click.option("--port", default=8800, show_default=True, type=click.IntRange(0, 65535), help="On loopback. 0: any free one.")
@click.option("--seed", default=1, show_default=True, help="Of everything that chance decides.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Keep the two systems' state here.")
@click.option("--speed", default=1.0, show_default=True, type=Within(0.001, 100_000), help="How many times as fast as real time.")
@click.option("--step", "stepped", is_flag=True, help="Time stands still, but for POST /sandbox/step.")
@click.option("--start", default="", metavar="TIME", help="When it is there at first.  [default: now; with --step 2026-11-27T08:00:00Z]")
@click.option("--orders", type=click.IntRange(0), help="Marketplace orders that are bought by themselves, whatever the scenario says.")
@click.option("--offers", type=click.Choice(["zero", "stock"]), help="What Mirakl offers before the first file: nothing, or what there is.")
@click.option(
    "--certificate",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Serve https, with the certificate and the key in this PEM file: for clients that know nothing else.",
)
@click.option("--measure", "measuring", is_flag=True, help="Serve nothing: print how fast a large world starts and answers here.")
@click.option(
    "--soak", type=click.IntRange(1), metavar="N", help="Serve nothing: put N seeds through every fault in memory, and print what was met."
)
def sandbox(
    scenario: str,
    listing: bool,
    faults: bool,
    port: int,
    seed: int,
    data: Path | None,
    speed: float,
    stepped: bool,
    start: str,
    orders: int | None,
    offers: str | None,
    certificate: Path | None,
    measuring: bool,
    soak: int | None,
) -> None:
    """A Shopify and a Mirakl to try things on, and to go wrong on demand. GET /sandbox/ tells what can be done with it."""
    from ops.sandbox import alone  # noqa: PLC0415

    if listing or faults:
        sys.exit(alone.print_scenarios() if listing else alone.print_faults())
    if soak:
        sys.exit(alone.soak_all(range(seed, seed + soak)))
    if measuring:
        from ops.sandbox.measure import measure  # noqa: PLC0415

        run(measure())
    if stepped and speed != 1.0:
        raise click.UsageError("--step and --speed exclude each other")
    plan = alone.planned(scenario, orders, offers)
    try:
        begins = datetime.fromisoformat(start) if start else None
    except ValueError:
        begins = None
    if start and (begins is None or begins.tzinfo is None):
        raise click.UsageError("--start is a moment with its offset, such as 2026-11-27T08:00:00Z")
    pace = None if stepped else speed
    run(alone.stand_alone(plan, port=port, seed=seed, data=data, speed=pace, start=begins, certificate=certificate))


@main.command()
@click.argument("url", metavar="URL")
@click.option("--settled", is_flag=True, help="All work is said to be done: what is missing is missing for good.")
@click.option(
    "--buffer", default=0, show_default=True, type=click.IntRange(0), metavar="N", help="Units that the connector keeps back from each SKU."
)
@click.option(
    "--staleness", default=600.0, show_default=True, type=Within(0, YEAR), metavar="SECONDS", help="How old a published quantity may be."
)
@click.option(
    "--order-id",
    "where",
    default="metafield,source,tag",
    show_default=True,
    metavar="PLACES",
    help="Where the connector keeps Mirakl's order id: metafield[:NAME], source, tag[:PREFIX], attribute:NAME; the first that has one.",
)
@as_json
def referee(url: str, settled: bool, buffer: int, staleness: float, where: str, as_json: bool) -> None:
    """Judge what a connector has done between the two systems of the sandbox at URL, whoever wrote it.

    Prints each rule that was broken, with the order and the call that broke it. Exit code 1 if there is any.
    """
    from ops.sandbox.referee.ask import judge_url  # noqa: PLC0415
    from ops.sandbox.referee.case import Conventions  # noqa: PLC0415

    run(judge_url(url, Conventions(settled=settled, buffer=buffer, staleness=staleness, order_id=tuple(where.split(","))), as_json=as_json))


@main.command()
@click.option("--database", default="", metavar="URL", help="Measure this Postgres instead of one brought along.")
@click.option("--quick", is_flag=True, help="Fewer events and shorter runs: for a look, not for a figure.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(["append", "project", "replay", "dispatch", "torture", "latency", "load", "publish"]),
    help="Only this part. Measured only when asked for: latency (how soon each side knows, in real time: half an hour), load and publish "
    "(a shop of 200,000 variants, one of 100,000 on five channels: a quarter of an hour each).",
)
@as_json
def bench(database: str, quick: bool, only: tuple[str, ...], as_json: bool) -> None:
    """Measure log, replay and dispatch as ratios to the raw limits of this machine, in the same run."""
    from ops.bench import bench as work  # noqa: PLC0415

    run(work(database, quick=quick, only=only, as_json=as_json))


@main.command(context_settings={"ignore_unknown_options": True})
@click.option("--extended", is_flag=True, help="Twenty times as much of what is tried at random, and what is left out otherwise: hours.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(arguments: tuple[str, ...], extended: bool) -> None:
    """Check everything: formatting, lint, types, import rules, tests. ARGUMENTS go to pytest."""
    from ops.checks import run_checks  # noqa: PLC0415 - needs what only the test lock installs

    if extended:
        os.environ["CROSSDOCK_THOROUGH"] = "20"  # tests/thorough.py
    sys.exit(run_checks(list(arguments)))


if __name__ == "__main__":
    main(prog_name="crossdock")
