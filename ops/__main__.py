"""The `crossdock` command."""

import sys

import click


@click.group()
def main() -> None:
    """Shopify and Mirakl, in one append-only log."""


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(arguments: tuple[str, ...]) -> None:
    """Check everything: formatting, lint, types, import rules, tests. ARGUMENTS go to pytest."""
    from ops.checks import run_checks  # noqa: PLC0415 - needs what only the test lock installs

    sys.exit(run_checks(list(arguments)))


if __name__ == "__main__":
    main(prog_name="crossdock")
