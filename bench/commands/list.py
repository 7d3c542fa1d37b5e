"""`bench list`: list what can be run and what has been run."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from bench.commands.shared import DEFAULT_RESULTS, cell, number, output, warn

if TYPE_CHECKING:
    from bench.core.specs import ArchitectureSpec, TrialRecord
    from bench.results.loading import Loaded


SHOWN_SIZE = 256  # pixels: the image size for which parameters and GFLOPs are counted


class What(StrEnum):
    """The kinds of things that can be listed."""

    architectures = "architectures"
    backbones = "backbones"
    datasets = "datasets"
    presets = "presets"
    runs = "runs"


def listing(
    what: Annotated[What, typer.Argument(help="What to list.", show_default=False)],
    results: Annotated[Path, typer.Option(help="The results folder, for runs.")] = DEFAULT_RESULTS,
    plugin: Annotated[Path | None, typer.Option(help="A plug-in file to list, too.", show_default=False)] = None,
) -> None:
    """List architectures, backbones, data sets, presets or runs."""
    console = output()
    if what is What.runs:
        _print_runs(console, results)
        return
    from bench.config import catalog

    if plugin:
        catalog.add_plugin(plugin)
    tables = {
        What.architectures: architectures_table,
        What.backbones: backbones_table,
        What.datasets: datasets_table,
        What.presets: presets_table,
    }
    console.print(tables[what]())
    for problem in catalog.problems():
        warn(problem)


def architectures_table() -> Table:
    """Make a table of name, default backbone, output stride, parameters, GFLOPs at 256 px, summary and paper."""
    from bench.config import catalog

    specs = list(catalog.architectures())
    rows = []
    for spec, facts in zip(specs, _facts(specs), strict=True):
        strides = [param.default for param in spec.params if param.name == "output_stride"]
        rows.append(
            (
                _names(spec),
                spec.default_backbone or "none",
                str(strides[0] if strides else spec.divisor(spec.default_backbone)),
                f"{facts['params'] / 1e6:.2f}" if "params" in facts else "",
                f"{facts['gflops']:.1f}" if "gflops" in facts else "",
                f"{spec.summary}. {spec.paper}".strip(". "),
            )
        )
    headings = ("architecture", "default backbone", "output stride", "params (M)", "GFLOPs", "summary and paper")
    return _table(
        headings,
        rows,
        caption=f"params and GFLOPs (2 x MAC, one image) are those at {SHOWN_SIZE} px with 3 classes and the default "
        "backbone. `bench show-arch NAME` shows the backbones and parameters of an architecture.",
    )


def _facts(specs: "Sequence[ArchitectureSpec]") -> list[dict[str, Any]]:
    """Build each architecture with its defaults in a child process; one that can't be built here gets no facts."""
    from bench.core.trial_config import TrialConfig
    from bench.trials import preflight

    configs = [
        TrialConfig(spec.name, "", backbone=spec.default_backbone, image_size=_legal_size(spec), plugin=_plugin(spec))
        for spec in specs
    ]
    with Console(stderr=True).status("building each architecture once, to count its parameters"):
        facts = preflight.summaries(configs)
    for spec, answer in zip(specs, facts, strict=True):
        if "error" in answer:
            warn(f"{spec.name}: {answer['error']}")
    return facts


def _plugin(spec: "ArchitectureSpec") -> str | None:
    """Return the plug-in's file that defines the architecture; None if no plug-in does."""
    source = spec.build.rpartition(":")[0]
    return source if source.endswith(".py") else None


def _legal_size(spec: "ArchitectureSpec") -> tuple[int, int]:
    """Return 256 px, or the next larger size that the architecture accepts."""
    divisor = spec.divisor(spec.default_backbone)
    side = -(-SHOWN_SIZE // divisor) * divisor
    return side, side


def _names(spec: object) -> str:
    aliases = ", ".join(getattr(spec, "aliases", ()))
    name = str(getattr(spec, "name", ""))
    return f"{name} ({aliases})" if aliases else name


def backbones_table() -> Table:
    """Make a table of name, strides of the features, possible output strides and paper."""
    from bench.config import catalog

    rows = [
        (_names(spec), ", ".join(map(str, spec.strides)), ", ".join(map(str, spec.output_strides)), spec.paper)
        for spec in catalog.backbones()
    ]
    return _table(("backbone", "strides", "output strides", "paper"), rows)


def presets_table() -> Table:
    """Make a table of each preset with the first line of its file."""
    from bench.config import presets

    return _table(("preset", "summary"), [(name, presets.summary(name)) for name in presets.names()])


def datasets_table() -> Table:
    """Make a table of name, classes, source of the data and summary, the data sets that a prefix names included."""
    from bench.config import catalog
    from bench.datasets.prefixes import PREFIXES

    rows = [
        (
            _names(spec),
            ", ".join(spec.classes),
            "Kaggle, or --data-dir" if spec.kaggle else _source(spec.needs_data_dir, bool(spec.archives)),
            f"{spec.summary} {spec.homepage}".strip(),
        )
        for spec in catalog.datasets()
    ]
    named = [(prefix.form, "from its files", f"--dataset {prefix.form}", prefix.summary) for prefix in PREFIXES]
    return _table(("data set", "classes", "data", "summary"), [*rows, *named])


def _source(needs_data_dir: bool, can_be_fetched: bool) -> str:
    if not needs_data_dir:
        return "generated by code"
    return "downloaded, or --data-dir" if can_be_fetched else "--data-dir"


def _table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]], caption: str | None = None) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), caption=caption, caption_justify="left")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(cell, row))
    return table


def _print_runs(console: Console, results: Path) -> None:
    from bench.results.loading import load

    loaded = load([results])
    console.print(runs_table(loaded))
    for problem in (*loaded.problems, *loaded.parts):
        warn(problem)


def runs_table(loaded: "Loaded") -> Table:
    """Make a table with one row per trial, including running and interrupted trials."""
    from bench.results.find import short_id
    from bench.results.trial_files import REQUEST, read_json

    rows, shown = [], set(loaded.folders())  # a trial that is run again has one row
    for trial in (trial for trial in loaded.trials if trial.folder in shown):
        record = trial.record
        rows.append(
            (
                short_id(trial.folder),
                *_who(record.config),
                record.status,
                number(record.metrics.get("mean_iou"), ".3f")
                if record.config.get("measure") != "validation"
                else "tuning",
                number(record.speed.get("train_images_per_second"), ".0f"),
                record.finished[5:16].replace("T", " "),
                "kept" if trial.weights else "",
            )
        )
    for status, folders in (("running", loaded.running), ("interrupted", loaded.abandoned)):
        for folder in (folder for folder in folders if folder in shown):
            request = read_json(folder / REQUEST).get("config")
            request = request if isinstance(request, dict) else {}
            rows.append((short_id(folder), *_who(request), status, "", "", "", ""))
    return _table(("id", "architecture", "data set", "seed", "status", "mean IoU", "images/s", "UTC", "weights"), rows)


def _score(record: "TrialRecord") -> str:
    return number(record.metrics.get("mean_iou"), ".3f")


def _who(config: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the pair, the data set, and the seed with its fold, each empty if the configuration lacks it."""
    pair = ":".join(str(config[name]) for name in ("arch", "backbone") if config.get(name))
    fold = f", fold {config.get('fold')} of {config['folds']}" if config.get("folds") else ""
    return pair, str(config.get("dataset", "")), f"{config.get('seed', '')}{fold}"
