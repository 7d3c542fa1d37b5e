"""The parts that commands share: parameters made from the table of options, the console, opening a data set."""

import inspect
import json
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from bench.core.errors import BenchError
from bench.core.options import BACKEND, DATA, MODEL, REPETITION, RUN, TRAINING, TUNING, Option
from bench.core.trial_config import OPTIONS, SEEDS, TrialConfig
from bench.results.clean_text import clean

if TYPE_CHECKING:
    import pandas as pd

    from bench.core.specs import DatasetSpec
    from bench.data.facts.file_facts import Pending
    from bench.data.source import Source
    from bench.results.loading import Loaded, StoredTrial

DEFAULT_RESULTS = Path("results")
GROUP_BY_HELP = (
    "A regular expression on an image's name, such as 'car_(\\w+)_': images with the same first group, or the same "
    "match, stay in one split. Short for --dataset-param group_by=."
)
BANDS_HELP = (
    "The bands of an image that a model gets, counted from 1, in this order, such as 3,2,1. Default: all, but RGB of a "
    "photograph. Short for --dataset-param bands=."
)
BANDS_OF_NO_DATA_HELP = "The bands of an image, such as 1,2,3,4 for four. Default: three."
SCALE_VALUES_HELP = (
    "The values that become 0 and 1: range (of 8 or 16 bits), percentiles (of the training split, by band), or pairs "
    "such as 0:4095. Default: range for 8 bits, else percentiles. Short for --dataset-param scale_values=."
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
MovedData = Annotated[
    str | None, typer.Option(help="The data set's folder or address, if the data have moved.", show_default=False)
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
KeepPredictions = Annotated[
    bool,
    typer.Option(
        "--keep-predictions",
        help="Keep the class maps, and for two classes the probabilities: bench rescore and the report use them.",
    ),
]
OtherBackend = Annotated[str | None, typer.Option(help="The Keras backend. Default: the run's.", show_default=False)]
PANELS = (MODEL, DATA, TRAINING, TUNING, BACKEND, REPETITION, RUN)  # in the order of a command's help


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


def with_short_params(
    given: Sequence[str] | None, group_by: str | None, bands: str | None, scale_values: str | None
) -> list[str]:
    """Return the texts of --dataset-param and those of the options that are short for one, quoted for their commas."""
    if group_by is not None and not group_by.strip():
        raise BenchError("--group-by is empty. Give a regular expression such as 'car_(\\w+)_', or leave it out.")
    if bands is not None and not bands.strip():
        raise BenchError("--bands is empty. Give numbers counted from 1, such as 3,2,1, or leave it out.")
    plain = {"bands": bands and "".join(bands.split()), "scale_values": scale_values and scale_values.strip()}
    short = {"group_by": group_by, **plain}
    long = {text.partition("=")[0].strip() for text in given or ()}
    if twice := [name for name, text in short.items() if text is not None and name in long]:
        raise BenchError(
            f"--{twice[0].replace('_', '-')} is short for --dataset-param {twice[0]}=, and both are given. Give one."
        )
    texts = [f"{name}={json.dumps(text, ensure_ascii=False)}" for name, text in short.items() if text is not None]
    return [*(given or ()), *texts]


def bands_of_no_data(bands: str) -> dict[str, Any]:
    """Read --bands where there are no images, and only the number of bands counts."""
    from bench.data.reading.values import parse_bands

    text = "".join(bands.split())
    if not parse_bands(text):
        raise BenchError("--bands is empty. Give numbers counted from 1, such as 1,2,3,4 for four, or leave it out.")
    return {"bands": text}


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


def opened(
    console: Console,
    spec: "DatasetSpec",
    folder: Path | str | None,
    params: Mapping[str, Any],
    sizes: Collection[tuple[int, int]] = (),
) -> "Source":
    """Open the data set and show the progress of what takes minutes the first time, such as comparing Airbus tiles.

    Args:
        sizes: the image sizes at which it will be packed.

    Raises:
        BenchError: also if the disk has no room for these packs, before anything takes long.
    """
    from bench.data.facts.file_facts import sampling
    from bench.data.source import open_source, opened_once

    with opened_once(), counting(console, f"opening {spec.name}"):
        if sizes:
            with sampling() as left:
                source = open_source(spec, folder, params)
            _check_room(source, sizes, left)
        return open_source(spec, folder, params)


def _check_room(source: "Source", sizes: Collection[tuple[int, int]], left: "Sequence[Pending]") -> None:
    from bench.core.files import cache_path
    from bench.data.packing.room import check_room, is_packed
    from bench.data.selection.object_counts import COUNTING

    if not left or any(step.what == COUNTING for step in left):
        return  # nothing takes long before the writer looks itself; or how many images are chosen isn't known yet
    for size in sizes:
        if not is_packed(source.spec, size):
            check_room(cache_path("packs"), source, size, facts=sum(step.size for step in left))


_LINE_SECONDS = 30.0  # between two lines of progress, without a terminal
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
    """Show a bar that disappears at the end; yield a function that takes the finished and the total count.

    Long steps inside the context have their progress in the same bar; without a terminal, in a line now and then.
    """
    from bench.data.facts.long_steps import listening

    with bars(console, MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task(name, total=None)

        def count(done: int, total: int) -> None:
            bar.update(task, description=name, completed=done, total=total)

        def step(what: str, done: int, total: int) -> None:
            bar.update(task, description=f"{name}: {what}", completed=done, total=total or None)

        with listening(step if console.is_terminal else _StepLines(name)):
            yield count


class _StepLines:
    """A listener to long steps that prints a line every half minute."""

    def __init__(self, name: str):
        self._name, self._what, self._begun, self._said = name, "", 0.0, 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        from bench.trials.estimate import duration

        now = time.monotonic()
        if what != self._what:
            self._what, self._begun, self._said = what, now, now
        elif done < total and now - self._said >= _LINE_SECONDS:
            self._said = now
            left = duration((now - self._begun) / max(1, done) * (total - done))
            warn(f"{self._name}: {what}, {done:,} of {total:,}, about {left} left")


def read_results(paths: "Sequence[Path]") -> "tuple[pd.DataFrame, Loaded]":
    """Read the trials of results folders without duplicates and tuning trials; warn of each that can't be read."""
    from bench.results.analysis.same_trial import drop_duplicates
    from bench.results.dataframe import trials_frame, without_tuning
    from bench.results.loading import load

    loaded = load(paths)
    for problem in loaded.problems:
        warn(f"Not used: {problem}")
    for part in loaded.parts:
        warn(f"Read in part: {part}")
    return trials_frame(without_tuning(drop_duplicates(loaded.trials)[0])), loaded
