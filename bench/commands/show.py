"""`bench show`: show everything that is recorded of one run."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench.commands.shared import DEFAULT_RESULTS, cell, output, say
from bench.core.specs import flat

if TYPE_CHECKING:
    from bench.results.loading import StoredTrial

_PARTS = (
    "config",
    "dataset",
    "model",
    "metrics",
    "validation",
    "weights",
    "ledger",
    "training",
    "speed",
    "memory",
    "environment",
)
_HISTORY = ("fraction", "phase", "train_seconds", "images", "loss", "learning_rate", "val_mean_iou", "val_dice")
_LARGEST_LIST = 8  # values; longer lists are counted


def show(
    run: Annotated[
        str,
        typer.Argument(help="A run: its id from `bench list runs`, or the beginning of its id.", show_default=False),
    ],
    results: Annotated[Path, typer.Option(help="The results folder.")] = DEFAULT_RESULTS,
) -> None:
    """Show everything that is recorded of one run, or the progress of one that hasn't ended.

    Where the name fits all seeds and folds of one configuration and nothing else, list them with the pooled score.

    bench show unet --results demo
    """
    from bench.results.find import find, matching
    from bench.results.loading import load

    loaded, console = load([results]), output()
    stored = {trial.folder: trial for trial in loaded.trials}
    several = [stored.get(folder) for folder in matching(loaded.folders(), run)]
    if len(several) > 1 and (alike := _of_one_configuration(several)):
        _print_configuration(console, alike)
        return
    folder = find(loaded.folders(), run)
    if folder in stored:
        _print_record(console, stored[folder])
    else:
        _print_progress(console, folder, "running" if folder in loaded.running else "interrupted")


def _of_one_configuration(trials: "Sequence[StoredTrial | None]") -> "list[StoredTrial]":
    """Return the trials if all have ended and differ in nothing but seed, repeat and fold; otherwise none."""
    ended = [trial for trial in trials if trial]
    kinds = {(trial.record.configuration, trial.record.device) for trial in ended}
    return ended if len(ended) == len(trials) and len(kinds) == 1 and all(next(iter(kinds))) else []


def _print_configuration(console: Console, trials: "list[StoredTrial]") -> None:
    """Print a line for each trial of a configuration, and its row of the leaderboard."""
    from bench.commands.list import runs_table
    from bench.report.leaderboard import groups
    from bench.report.text.tables import terminal_table
    from bench.results.dataframe import trials_frame
    from bench.results.loading import Loaded

    console.print(runs_table(Loaded(trials)))
    for group in groups(trials_frame(trials)):
        console.print(terminal_table(group))
    say(console, "These are one configuration. All that is recorded of one of them: bench show ID")


def _print_progress(console: Console, folder: Path, status: str) -> None:
    """Print the last progress message of a trial that has no record yet, and its configuration."""
    from bench.results.trial_files import REQUEST, read_json
    from bench.results.trial_output import read_progress

    console.print(cell(f"{folder.name.removesuffix('.running')}: {status}", "bold"))
    console.print(_table("progress", {**read_progress(folder), "folder": str(folder)}))
    if isinstance(config := read_json(folder / REQUEST).get("config"), dict):
        console.print(_table("config", flat(config)))


def _print_record(console: Console, trial: "StoredTrial") -> None:
    record = trial.record
    console.print(cell(f"{trial.folder.name}: {record.status}", "bold"))
    if record.reason:
        console.print(cell(record.reason))
    summary = {"device": record.device, "started": record.started, "finished": record.finished}
    console.print(_table("trial", {**summary, "wall_seconds": record.wall_seconds, "folder": str(trial.folder)}))
    values = record.to_dict()
    for part in _PARTS:
        if values[part]:
            console.print(_table(part, flat(values[part])))
    if history := trial.history():
        console.print(_history(history))
    for line in record.log_tail:
        console.print(cell(line, "dim"))


def _table(title: str, values: Mapping[str, Any]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in values.items():
        table.add_row(cell(name, "cyan"), cell(_text(value)))
    return table


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        if len(value) > _LARGEST_LIST and not all(isinstance(item, str) for item in value):
            return f"{len(value)} values"
        return ", ".join(map(_text, value))
    return value if isinstance(value, str) else json.dumps(value)


def _history(rows: Sequence[Mapping[str, Any]]) -> Table:
    names = [name for name in _HISTORY if any(name in row for row in rows)]
    table = Table(title="history", title_justify="left")
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(*(cell("" if row.get(name) is None else _short(row[name])) for name in names))
    return table


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
