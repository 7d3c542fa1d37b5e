"""The tables of `bench deploy`: trained models in the forms in which they are deployed, best score first."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from rich.table import Table
from rich.text import Text

from bench.report.columns import BUSY_MARK
from bench.report.text.tables import markdown_cell
from bench.report.text.terminal import plain_table
from bench.results.analysis.quiet import BUSY
from bench.results.clean_text import clean, shorten
from bench.results.deployed.deployment_rows import KERAS, Deployment, read_deployments
from bench.results.loading import StoredTrial
from bench.results.quantities import MISSING
from bench.results.quantities.quantity import decimals, significant

_MOST_CLASSES = 8  # with a column each


@dataclass(frozen=True)
class _Column:
    """A number of a row."""

    name: str
    heading: str
    meaning: str
    write: Callable[[float], str]
    higher: bool = False
    brief: bool = False  # shown in a terminal


_COLUMNS = (
    _Column("mean_iou", "mean IoU", "Mean IoU on the test split, of this form.", decimals(3), True, True),
    _Column(
        "drift",
        "drift",
        "Mean IoU less that of the trial's record, with the paired interval of 95 % over the test images. The weights "
        "are the same, so no seed is in it.",
        lambda value: f"{value:+.4f}",
        True,
        True,
    ),
    _Column(
        "agreement",
        "agreement (%)",
        "Pixels of the test split that get the class that Keras gives them.",
        lambda value: f"{100 * value:.2f}",
        True,
        True,
    ),
    _Column("latency_ms_p50", "latency p50 (ms)", "Median time of one image.", significant, brief=True),
    _Column("latency_ms_p95", "latency p95 (ms)", "95th percentile of the time of one image.", significant, brief=True),
    _Column("latency_ms_p99", "latency p99 (ms)", "99th percentile of the time of one image.", significant),
    _Column("images_per_second", "images/s", "Images per second, one image at a time.", significant, True),
    _Column(
        "load_seconds", "load (s)", "Time to open the file, or to build the model and load its weights.", significant
    ),
    _Column("first_call_ms", "first call (ms)", "Time of the first image, which may compile.", significant),
    _Column("size_mib", "size (MiB)", "Bytes on the disk; of Keras, those of the weights.", significant, brief=True),
    _Column(
        "process_peak_mib",
        "memory (MiB)",
        "Peak memory of a process that loads the model and predicts, libraries in files left out.",
        significant,
        brief=True,
    ),
)
_TIMES = ("latency_ms_p50", "latency_ms_p95", "latency_ms_p99", "images_per_second", "load_seconds", "first_call_ms")
_TEXTS = {
    "arch": ("architecture", "The trained model."),
    "format": (
        "format",
        "The form in which it was measured; keras is the trial itself. With flips or scales: the mean of the "
        "probabilities over the image and its mirror image, or over three sizes; its time is that of all views.",
    ),
    "precision": ("precision", "The precision that was asked for."),
    "computes": ("computed in", "The precision that the runtime used, as it says itself."),
}
_NOTE = ("note", "Why there is no such form, why it failed, or what to look at.")


@dataclass(frozen=True)
class DeploymentRow:
    """A row of the table, and the name of its model."""

    deployment: Deployment
    label: str
    cells: dict[str, str]
    titles: dict[str, str]
    values: dict[str, float]


@dataclass(frozen=True)
class DeploymentBoard:
    """The forms of models that were measured on the same data, with the same cores of one device."""

    title: str
    columns: dict[str, tuple[str, str]]  # name -> (heading with unit, definition), in order
    texts: frozenset[str]
    high: frozenset[str]
    rows: tuple[DeploymentRow, ...]

    @property
    def labels(self) -> list[str]:
        """The models, the best first."""
        return list(dict.fromkeys(row.label for row in self.rows))

    @property
    def notes(self) -> list[str]:
        """The notes below the table."""
        shares = [row.deployment.others_share or 0.0 for row in self.rows]
        most = max(shares, default=0.0)
        return [f"{BUSY_MARK}: timed while other processes took up to {most:.0%} of its cores."] if most > BUSY else []

    def of(self, rows: Sequence[DeploymentRow]) -> "DeploymentBoard":
        """Return the table with these rows only."""
        return replace(self, rows=tuple(rows))

    def terminal_table(self) -> Table:
        """Make a table for `rich.print`."""
        brief = {*_TEXTS, *(column.name for column in _COLUMNS if column.brief)}
        said = [row for row in self.rows if row.cells["note"]]
        notes = [
            f"{row.label} as {row.cells['format']} in {row.cells['precision']}: {row.cells['note']}" for row in said
        ]
        table = plain_table(self.title, [*self.notes, *(shorten(note, 300) for note in notes)])
        shown = [name for name in self.columns if name in brief]
        for name in shown:
            heading = Text(self.columns[name][0].replace(" ", "\n"))
            if name in self.texts:
                table.add_column(heading, overflow="fold")
            else:
                table.add_column(heading, justify="right", no_wrap=True)
        for row in self.rows:
            table.add_row(*(Text(shorten(row.cells[name], 120).replace(" [", "\n[")) for name in shown))
        return table

    def markdown(self) -> list[str]:
        """Return the lines of a GitHub table under its title."""
        heads = [markdown_cell(heading) for heading, _ in self.columns.values()]
        marks = ["---" if name in self.texts else "---:" for name in self.columns]
        rows = [[markdown_cell(row.cells[name]) for name in self.columns] for row in self.rows]
        lines = [f"| {' | '.join(cells)} |" for cells in (heads, marks, *rows)]
        notes = [f"- {markdown_cell(note)}" for note in self.notes]
        return [f"## {markdown_cell(self.title)}", "", *lines, "", *([*notes, ""] if notes else [])]


def deployment_boards(trials: Iterable[StoredTrial]) -> list[DeploymentBoard]:
    """Make the tables of what `bench deploy` has measured: one per data set, image size, device and cores."""
    found = [(trial, row) for trial in trials for row in read_deployments(trial.folder)]
    places = {trial.folder: _place(trial) for trial, _ in found}
    devices = {(trial.folder, row.threads): row.device for trial, row in found if row.device}

    def key(pair: tuple[StoredTrial, Deployment]) -> tuple[str, ...]:
        trial, row = pair
        return *places[trial.folder], row.device or devices.get((trial.folder, row.threads), ""), f"{row.threads:04}"

    return [_board(where, list(some)) for where, some in groupby(sorted(found, key=key), key=key)]


def _place(trial: StoredTrial) -> tuple[str, ...]:
    config = trial.record.config
    size = "x".join(map(str, config.get("image_size") or ()))
    return str(config.get("dataset")), str(trial.record.dataset.get("fingerprint")), size


def _board(where: tuple[str, ...], found: Sequence[tuple[StoredTrial, Deployment]]) -> DeploymentBoard:
    dataset, _, size, device, threads = where
    count = int(threads)
    names = _labels([trial for trial, _ in found])
    rows = [_row(names[trial.folder.name], row) for trial, row in found]
    best = {row.label: -math.inf for row in rows}
    for row in rows:
        best[row.label] = max(best[row.label], row.values.get("mean_iou", -math.inf))
    rows.sort(key=lambda row: (-best[row.label], row.label, row.deployment.format != KERAS, row.deployment.key))
    classes = _classes(found)
    columns = dict(_TEXTS)
    columns |= {column.name: (column.heading, column.meaning) for column in _COLUMNS}
    columns |= {f"iou {name}": (f"IoU {name}", f"IoU of the class {name}.") for name in classes}
    if any(row.cells["note"] for row in rows):
        columns["note"] = _NOTE
    return DeploymentBoard(
        title=clean(f"Deployed: {dataset} at {size} on {device}, {count} thread{'s' * (count > 1)}"),
        columns=columns,
        texts=frozenset({*_TEXTS, "note"}),
        high=frozenset({*(c.name for c in _COLUMNS if c.higher), *(f"iou {name}" for name in classes)}),
        rows=tuple(rows),
    )


def _labels(trials: Sequence[StoredTrial]) -> dict[str, str]:
    """Name each trial by its architecture, with the seed, or its folder, where that isn't enough."""
    known = {trial.folder.name: trial.record.config for trial in trials}
    for parts in (("arch", "backbone"), ("arch", "backbone", "seed")):
        labels = {name: _label(config, parts) for name, config in known.items()}
        if max(Counter(labels.values()).values(), default=1) == 1:
            return labels
    return {name: clean(name) for name in known}


def _label(config: dict[str, object], parts: Sequence[str]) -> str:
    pair = ":".join(str(config[name]) for name in parts[:2] if config.get(name))
    return clean(", ".join([pair, *(f"seed {config.get(name)}" for name in parts[2:])]))


def _classes(found: Sequence[tuple[StoredTrial, Deployment]]) -> list[str]:
    names = [str(name) for name in found[0][0].record.dataset.get("classes", [])]
    return names if len(names) <= _MOST_CLASSES else []


def _row(label: str, row: Deployment) -> DeploymentRow:
    values = {column.name: _number(getattr(row, column.name)) for column in _COLUMNS}
    cells = {
        column.name: column.write(v) if math.isfinite(v := values[column.name]) else MISSING for column in _COLUMNS
    }
    if (row.others_share or 0.0) > BUSY:
        cells |= {name: f"{BUSY_MARK}{cells[name]}" for name in _TIMES if math.isfinite(values[name])}
    if row.drift is not None and row.drift_low is not None and row.drift_high is not None:
        cells["drift"] += f" [{row.drift_low:+.4f}, {row.drift_high:+.4f}]"
    per_class = row.metrics.get("iou")
    for name, value in (per_class if isinstance(per_class, dict) else {}).items():
        values[f"iou {name}"] = _number(value)
        cells[f"iou {name}"] = f"{values[f'iou {name}']:.3f}" if math.isfinite(values[f"iou {name}"]) else MISSING
    cells |= {"arch": label, "format": row.form, "precision": row.precision, "computes": row.computes or MISSING}
    cells["note"] = (f"failed: {row.failed}" if row.failed else row.empty) or row.flag
    titles = {"arch": row.run, "mean_iou": f"{row.images:,} test images"}
    if row.others_share is not None:
        titles["latency_ms_p50"] = f"other processes took {row.others_share:.0%} of its cores"
    if row.logit_drift is not None:
        titles["drift"] = f"logits differ from Keras's by {row.logit_drift:.2g} of the largest"
    return DeploymentRow(row, label, _Cells(cells), titles, values)


class _Cells(dict[str, str]):
    """The texts of a row; a class that it hasn't is missing."""

    def __missing__(self, name: str) -> str:
        return MISSING


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
