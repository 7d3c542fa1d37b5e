"""Where the commands print."""

import os
from typing import Any

from rich.console import Console

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
