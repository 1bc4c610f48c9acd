"""How far a long reading of the log has come, for who waits for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Told = Callable[[int, int], None]  # events done, events in all


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[str], Told]]:
    """A bar a task, on standard error, while it is a terminal."""
    columns = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), TextColumn("events"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:

        def begin(name: str) -> Told:
            task = progress.add_task(name)
            return lambda done, total: progress.update(task, completed=done, total=total)

        yield begin
