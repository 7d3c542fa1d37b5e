"""Where the commands print."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PLAIN_WIDTH = 120  # columns of a file or pipe; Rich's own guess of 80 folds the tables


def output() -> Console:
    """Standard output at the terminal's width, or wide enough for the tables where it is no terminal."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PLAIN_WIDTH
    return console


def warn(text: str) -> None:
    """A line on standard error."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(text, markup=False)


def number(value: Any, form: str) -> str:
    """A number in its format, or nothing where a record has none."""
    return format(value, form) if isinstance(value, int | float) else ""


@contextmanager
def counting(console: Console, name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that goes away when it is done; yields what is told how many of how many are."""
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
