"""`bench list`: what can be run, and what has been run."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.commands.console import number, output, warn
from bench.commands.run import DEFAULT_RESULTS

if TYPE_CHECKING:
    from bench.records.store import Loaded
    from bench.spec import ArchitectureSpec


class What(StrEnum):
    """What can be listed."""

    architectures = "architectures"
    backbones = "backbones"
    datasets = "datasets"
    runs = "runs"


def listing(
    what: Annotated[What, typer.Argument(help="What to list.", show_default=False)],
    results: Annotated[Path, typer.Option(help="The results folder whose runs are listed.")] = DEFAULT_RESULTS,
    plugin: Annotated[Path | None, typer.Option(help="A plug-in file to list too.", show_default=False)] = None,
) -> None:
    """List architectures, backbones, data sets or runs."""
    console = output()
    if what is What.runs:
        _print_runs(console, results)
        return
    from bench import catalog

    if plugin:
        catalog.add_plugin(plugin)
    tables = {What.architectures: architectures_table, What.backbones: backbones_table, What.datasets: datasets_table}
    console.print(tables[what]())
    for problem in catalog.problems():
        warn(problem)


def architectures_table() -> Table:
    """Name, aliases, backbones, what the image size must be a multiple of, parameters, paper."""
    from bench import catalog

    rows = []
    for spec in catalog.architectures():
        params = ", ".join(f"{param.name}={param.default}" for param in spec.params)
        rows.append((_names(spec), _backbones(spec), str(spec.divisor(spec.default_backbone)), params, spec.paper))
    return _table(("architecture", "backbones", "size multiple of", "parameters", "paper"), rows)


def _names(spec: object) -> str:
    aliases = ", ".join(getattr(spec, "aliases", ()))
    name = str(getattr(spec, "name", ""))
    return f"{name} ({aliases})" if aliases else name


def _backbones(spec: "ArchitectureSpec") -> str:
    names = [f"{name} (default)" if name == spec.default_backbone else name for name in spec.backbones]
    if not spec.default_backbone:
        names.insert(0, "none (default)")
    return ", ".join(names)


def backbones_table() -> Table:
    """Name, strides and paper."""
    from bench import catalog

    rows = [(_names(spec), ", ".join(map(str, spec.strides)), spec.paper) for spec in catalog.backbones()]
    return _table(("backbone", "strides", "paper"), rows)


def datasets_table() -> Table:
    """Name, classes, whether it needs a folder, what it is."""
    from bench import catalog

    rows = [
        (
            _names(spec),
            ", ".join(spec.classes),
            _source(spec.needs_data_dir, bool(spec.archives)),
            f"{spec.summary} {spec.homepage}".strip(),
        )
        for spec in catalog.datasets()
    ]
    return _table(("data set", "classes", "data", "summary"), rows)


def _source(needs_data_dir: bool, can_be_fetched: bool) -> str:
    if not needs_data_dir:
        return "made by code"
    return "downloaded, or --data-dir" if can_be_fetched else "--data-dir"


def _table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _print_runs(console: Console, results: Path) -> None:
    from bench.records import store

    loaded = store.load([results])
    console.print(runs_table(loaded))
    for problem in loaded.problems:
        warn(problem)


def runs_table(loaded: "Loaded") -> Table:
    """A row a trial: id, pair, data set, seed, status, mean IoU, speed and time; also those running or interrupted."""
    from bench.records import store

    rows = []
    for trial in loaded.trials:
        record = trial.record
        rows.append(
            (
                short_id(trial.folder),
                *_who(record.config),
                record.status,
                number(record.metrics.get("mean_iou"), ".3f"),
                number(record.speed.get("train_images_per_second"), ".0f"),
                record.finished[5:16].replace("T", " "),
            )
        )
    for status, folders in (("running", loaded.running), ("interrupted", loaded.abandoned)):
        for folder in folders:
            request = store.read_json(folder / store.REQUEST).get("config") or {}
            rows.append((short_id(folder), *_who(request), status, "", "", ""))
    return _table(("id", "architecture", "data set", "seed", "status", "mean IoU", "images/s", "UTC"), rows)


def short_id(folder: Path) -> str:
    """What tells a trial from all others: the last parts of its folder's name (key, device, repeat)."""
    return folder.name.removesuffix(".running").split("_", 3)[-1]


def _who(config: Mapping[str, Any]) -> tuple[str, str, str]:
    """Pair, data set and seed, as far as a record says them."""
    pair = ":".join(str(config[name]) for name in ("arch", "backbone") if config.get(name))
    return pair, str(config.get("dataset", "")), str(config.get("seed", ""))
