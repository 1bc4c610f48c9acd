"""What every command does beyond click: numbers that are none are refused, help is whole, and each ends with the code that it tells."""

import math
import os
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import click
import uvloop

from engine.errors import EngineError
from ops.postgres import EmbeddedError

INTERRUPTED, UNHEARD = 130, 141  # exit codes: what a shell makes of SIGINT and of SIGPIPE


class Within(click.FloatRange):
    """A number in its range: click finds `nan` in every one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if math.isnan(number := super().convert(value, param, ctx)):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


class Whole(click.Group):
    """Lists its commands with what each does, whole: click cuts it off at the end of the line."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(limit=200)) for name, each in commands.items() if each and not each.hidden])


class Commands(Whole):
    """Says what went wrong in one line, and leaves with the exit codes that the help tells."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with heard():  # --help
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with heard():
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                ctx.exit(INTERRUPTED)
            except BrokenPipeError:
                raise
            except Exception as error:
                told = _told(error)
                if told is None:
                    raise
                click.secho(f"crossdock: {told}", fg="red", err=True)
                ctx.exit(3)


@contextmanager
def heard() -> Iterator[None]:
    """Leave with a code of its own where whoever read our output went away: click and rich leave with 1."""
    try:
        try:
            yield
        finally:
            click.echo(nl=False)
    except (SystemExit, BrokenPipeError) as end:
        if not isinstance(end, BrokenPipeError) and not isinstance(end.__context__, BrokenPipeError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more as it ends
        sys.exit(UNHEARD)


def _told(error: Exception) -> str | None:
    """What kept us from it, for a person; None where it is a bug of ours, which is to be seen whole."""
    from engine.ports import DATABASE_AWAY  # noqa: PLC0415 - the drivers, which --help can do without

    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    match error:
        case EngineError() | EmbeddedError():
            return str(error)
        case OSError(strerror=str(why)):
            return f"{error.filename}: {why}" if error.filename else why
        case _ if isinstance(error, DATABASE_AWAY):
            why = (str(error).splitlines() or [type(error).__name__])[0]  # what follows is about rows, and may quote them
            return f"the database does not go along: {why}. Is it up, and is this login allowed to?"
    return None


class Listed(Whole):
    """Lists, where nothing else is said."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        plain = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        return super().parse_args(ctx, ["list", *args] if plain else args)


def run(work: Coroutine[Any, Any, int]) -> None:
    """Run to the end and leave with its exit code."""
    sys.exit(uvloop.run(work))
