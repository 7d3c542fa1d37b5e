"""The parts that commands share: parameters made from the table of options, the console, opening a data set."""

import inspect
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from bench.core.errors import BenchError
from bench.core.options import BACKEND, DATA, MODEL, REPETITION, RUN, TRAINING, Option
from bench.core.trial_config import OPTIONS, SEEDS, TrialConfig
from bench.results.clean_text import clean

if TYPE_CHECKING:
    import pandas as pd

    from bench.core.specs import DatasetSpec
    from bench.data.source import Source
    from bench.results.loading import Loaded, StoredTrial

DEFAULT_RESULTS = Path("results")
GROUP_BY_HELP = (
    "A regular expression on an image's name, such as 'car_(\\w+)_': images with the same first group, or the same "
    "match, stay in one split. Short for --dataset-param group_by=."
)
VERIFY_DATA_HELP = (
    "Read the source files again and compare them with those that were decoded: nothing else notices a change after "
    "which a file has its old size and time."
)
SavedRun = Annotated[
    str,
    typer.Argument(
        help="A run with saved weights: its id, the beginning of its id, or its folder's path.", show_default=False
    ),
]
ResultsOfRun = Annotated[Path, typer.Option(help="The results folder with the run.")]
RunsPlugin = Annotated[
    Path | None,
    typer.Option(help="The plug-in's file, if the run has one: code runs only if you name it.", show_default=False),
]
Augmentation = Annotated[
    str | None,
    typer.Option(
        "--tta",
        help="Average the probabilities over views of each image: flips (it and its mirror image) or scales (0.75, 1 "
        "and 1.25 times its size, or the nearest sizes that the model takes).",
        show_default=False,
    ),
]
OtherBackend = Annotated[str | None, typer.Option(help="The Keras backend. Default: the run's.", show_default=False)]
PANELS = (MODEL, DATA, TRAINING, BACKEND, REPETITION, RUN)  # in the order of a command's help


def with_options(wanted: Callable[[Option], bool]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace a command's `**given` by a parameter for each option of the table that is wanted.

    The command gets their values in `given`, with None for an option that the user leaves out. The defaults are only
    shown in the help, so that a TOML file can give the value.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[:-1]
        options = [o for o in (*OPTIONS.values(), SEEDS) if wanted(o) and not (o.internal or o.own_form)]
        by_panel = sorted(options, key=lambda o: PANELS.index(o.panel))  # stable: else in the table's order
        parameters = [*map(_parameter, by_panel), *own]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return decorate


def _parameter(option: Option) -> inspect.Parameter:
    names = (option.flag,) if option.kind.annotation == bool | None else ()  # no --no-trace
    metavar = None if names else f"<{option.kind.word}>"
    said = typer.Option(
        *names, help=option.help_text(), metavar=metavar, rich_help_panel=option.panel, show_default=False
    )
    annotation: Any = Annotated[option.kind.annotation, said]
    return inspect.Parameter(option.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=annotation)


def with_group_by(given: Sequence[str] | None, group_by: str | None) -> list[str]:
    """Return the texts of --dataset-param and one for --group-by, quoted, since an expression may have commas."""
    if group_by is not None and not group_by.strip():
        raise BenchError("--group-by is empty. Give a regular expression such as 'car_(\\w+)_', or leave it out.")
    return [*(given or ()), *([] if group_by is None else [f"group_by={json.dumps(group_by, ensure_ascii=False)}"])]


def dataset_params(spec: "DatasetSpec", given: Sequence[str] | None) -> dict[str, Any]:
    """Read and check the parameters of a data set from the texts of --dataset-param."""
    from bench.config import checks
    from bench.config.given import single_parameters

    return checks.params(single_parameters("dataset_param", given), spec)


def trained(run: str, results: Path, plugin: Path | None, backend: str | None) -> "tuple[StoredTrial, TrialConfig]":
    """Find a run with saved weights and the configuration that rebuilds its model; warn if its code has changed."""
    from bench.trials.saved.stored_trials import changed_code, find_trained, trained_config

    trial = find_trained(run, results)
    config = trained_config(trial, plugin=plugin, backend=backend)
    if note := changed_code(trial, config):
        warn(note)
    return trial, config


def check_augmentation(tta: str | None, config: TrialConfig) -> None:
    """Raise BenchError for an unknown --tta, or for scales if the model takes no smaller image."""
    from bench.config.checks import require_choice
    from bench.config.view_sizes import TTA, view_sizes

    if tta is not None:
        require_choice("test-time augmentation", tta, TTA)
    if tta == "scales":
        view_sizes(config)


def opened(console: Console, spec: "DatasetSpec", folder: Path | str | None, params: Mapping[str, Any]) -> "Source":
    """Open the data set and show a message meanwhile: comparing all tiles of Airbus takes minutes the first time."""
    from bench.data.source import open_source

    with console.status(f"opening {spec.name}"):
        return open_source(spec, folder, params)


PLAIN_WIDTH = 120  # columns of a file or pipe; Rich's own guess of 80 folds the tables


def output() -> Console:
    """Open standard output at the terminal's width, or wide enough for the tables if it is no terminal."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PLAIN_WIDTH
    return console


def warn(text: str) -> None:
    """Print a line on standard error."""
    say(Console(stderr=True), text)


def say(console: Console, text: str) -> None:
    """Print a line as it is but for what a terminal would obey: markup, escapes, the direction of text."""
    console.print(cell(text), highlight=False, soft_wrap=True)


def cell(value: Any, style: str = "") -> Text:
    """Make a table's cell of a text that somebody else may have written."""
    return Text(clean(value, keep="\n"), style=style)


def number(value: Any, form: str) -> str:
    """Format a number; return an empty text if a record has none."""
    return format(value, form) if isinstance(value, int | float) else ""


def bars(console: Console, *columns: ProgressColumn) -> Progress:
    """Make progress bars that disappear at the end: a name, a bar of up to 30 characters and the columns."""
    name = TextColumn("{task.description}", markup=False, table_column=Column())  # one that folds
    bar = BarColumn(min(30, console.width // 5))
    return Progress(name, bar, *columns, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def counting(console: Console, name: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar that disappears at the end; yield a function that takes the finished and the total count."""
    with bars(console, MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def read_results(paths: "Sequence[Path]") -> "tuple[pd.DataFrame, Loaded]":
    """Read the trials of results folders, duplicates left out, and warn of each that can't be read."""
    from bench.results.dataframe import drop_duplicates, trials_frame
    from bench.results.loading import load

    loaded = load(paths)
    for problem in loaded.problems:
        warn(f"Not used: {problem}")
    return trials_frame(drop_duplicates(loaded.trials)[0]), loaded
