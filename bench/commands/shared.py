"""A data set as the commands' options name it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from bench.core.errors import BenchError

if TYPE_CHECKING:
    import pandas as pd

    from bench.core.specs import DatasetSpec
    from bench.data.source import Source
    from bench.results.store import Loaded


import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def checked_params(spec: "DatasetSpec", given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a data set among the options that were given; BenchError for one that it does not have."""
    from bench.config import checks
    from bench.config.options import single

    values = {name: single(name, value) for name, value in given.items() if value is not None}
    for name in values:
        if name not in {param.name for param in spec.params}:
            raise BenchError(f"The data set '{spec.name}' has no --{name.replace('_', '-')}.")
    return checks.params(values, spec)


def opened(console: Console, spec: "DatasetSpec", folder: Path | str | None, params: Mapping[str, Any]) -> "Source":
    """The data set, with a word on the terminal meanwhile: comparing all tiles of Airbus takes minutes, once."""
    from bench.data.source import open_source

    with console.status(f"opening {spec.name}"):
        return open_source(spec, folder, params)


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


def read_results(paths: "Sequence[Path]") -> "tuple[pd.DataFrame, Loaded]":
    """Read the trials of results folders, duplicates left out, and warn of each that can't be read."""
    from bench.results.dataframe import drop_duplicates, trials_frame
    from bench.results.store import load

    loaded = load(paths)
    for problem in loaded.problems:
        warn(f"Not used: {problem}")
    return trials_frame(drop_duplicates(loaded.trials)[0]), loaded
