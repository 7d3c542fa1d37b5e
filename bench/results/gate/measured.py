"""The configurations and trials that `bench check` compares, as results folders have them."""

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.evaluation.image_table import ImageTable, read_table
from bench.results.analysis.configurations import SAME
from bench.results.analysis.same_trial import drop_duplicates
from bench.results.clean_text import clean
from bench.results.dataframe import without_tuning
from bench.results.loading import StoredTrial, load
from bench.results.quantities import METRICS
from bench.results.software import software_of, tables
from bench.results.trial_files import IMAGES

_NOT_TOLD = ("arch", "backbone", "dataset", "params")  # a label names these in another way


@dataclass(frozen=True, order=True)
class HardwareClass:
    """The hardware that a baseline is stored by, because memory, and the last digits of scores, depend on it."""

    device: str  # the GPU's name, or the CPU's with its usable cores
    backend: str
    precision: str

    def __str__(self) -> str:
        return ", ".join(map(clean, (self.device or "unknown device", self.backend, self.precision)))


@dataclass(frozen=True, eq=False)
class Measured:
    """One trial: its numbers, and its per-image counts where there are any."""

    seed: int
    status: str
    reason: str = ""
    values: Mapping[str, float] = field(default_factory=dict)  # numbers of the record's metrics, model and memory
    counts: NDArray[np.int64] | None = None  # (images, classes, 3), images by name
    own: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)  # the data set's metrics: (images,)


@dataclass(frozen=True, eq=False)
class Subject:
    """A configuration on one device, with all its trials."""

    configuration: str  # the hash in the records
    config: Mapping[str, Any]  # all that decides a result but seed and repeat, with today's defaults filled in
    fingerprint: str
    protocol: int
    device: str
    memory_method: str
    images: str  # hash of the test images' names and groups; empty without a table
    groups: tuple[str, ...]  # the images' groups, by name; empty if only the hash is known
    trials: tuple[Measured, ...]

    @property
    def hardware(self) -> HardwareClass:
        """The class whose baseline it is compared with."""
        return HardwareClass(self.device, *(str(self.config.get(name, "")) for name in ("backend", "precision")))

    @property
    def ok(self) -> tuple[Measured, ...]:
        """The ok trials."""
        return tuple(trial for trial in self.trials if trial.status == "ok")

    @property
    def label(self) -> str:
        """A label that names what differs from the defaults: `unet on shapes, image size 64x64, filters=[8, 16]`."""
        pair = ":".join(str(self.config[name]) for name in ("arch", "backbone") if self.config.get(name))
        usual = identity({"arch": "", "dataset": ""})
        parts = [f"{pair} on {self.config.get('dataset')}"]
        for name, value in self.config.items():
            if name not in _NOT_TOLD and value != usual.get(name):
                text = "x".join(map(str, value)) if name == "image_size" else value
                parts.append(f"{name.replace('_', ' ')} {clean(text)}")
        parts += [f"{name}={clean(value)}" for name, value in self.config.get("params", {}).items()]
        return ", ".join(map(clean, parts))

    def mean(self, metric: str) -> float | None:
        """Return the mean over the trials that have the metric; None if no trial does."""
        values = [trial.values[metric] for trial in self.ok if metric in trial.values]
        if len(set(values)) == 1:
            return values[0]  # exactly: the rounded mean of six equal numbers may differ from that of three
        return float(np.mean(values)) if values else None


def by_class(subjects: Iterable[Subject]) -> dict[HardwareClass, list[Subject]]:
    """Sort subjects into hardware classes, whose order is that of their names."""
    classes: dict[HardwareClass, list[Subject]] = defaultdict(list)
    for subject in subjects:
        classes[subject.hardware].append(subject)
    return dict(sorted(classes.items()))


def from_results(paths: Iterable[Path]) -> tuple[list[Subject], list[str]]:
    """Read the configurations of results folders; return them and a line for everything that was left out.

    Of trials that ran on several versions of the backend or of Keras, those of the newest count.
    """
    loaded = load(paths)
    trials, left_out = drop_duplicates(without_tuning(loaded.trials))
    same: dict[tuple[str, str], dict[str, list[StoredTrial]]] = defaultdict(lambda: defaultdict(list))
    for trial in trials:
        same[trial.record.configuration, trial.record.device][software_of(trial.record)].append(trial)
    subjects = []
    for by_software in same.values():
        newest, *older = tables(by_software)
        subjects.append(_subject(by_software[newest]))
        left_out += [
            f"{subjects[-1].label}: {len(by_software[old])} trials on {old} left out, since others ran on {newest}."
            for old in older
        ]
    return subjects, [*loaded.problems, *loaded.parts, *left_out]


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides a result but seed and repeat, with defaults filled in."""
    values = TrialConfig.from_dict(config).to_dict()
    return {name: value for name, value in values.items() if _column(name) in SAME}


def _column(name: str) -> str:
    return "builder_params" if name == "params" else name


def _subject(trials: Sequence[StoredTrial]) -> Subject:
    measured: list[Measured] = []
    methods: list[str] = []
    images, groups = "", tuple[str, ...]()
    for trial in trials:
        record = trial.record
        values = _numbers(record.metrics) | _numbers(record.model) | _numbers(record.memory)
        table = _table(trial.folder) if record.status == "ok" else None
        if table and images in ("", _images(table)):
            images, groups = _images(table), table.groups
        else:
            table = None
        methods += [str(record.memory["method"])] if record.memory.get("method") else []
        seed = int(record.config.get("seed", 0))
        counts, own = (table.counts, _own(table)) if table else (None, {})
        measured.append(Measured(seed, record.status, clean(record.reason), values, counts, own))
    record = next((t.record for t in trials if t.record.status == "ok"), trials[0].record)
    return Subject(
        configuration=record.configuration,
        config=identity(record.config),
        fingerprint=str(record.dataset.get("fingerprint") or ""),
        protocol=record.protocol_version,
        device=record.device,
        memory_method=", ".join(dict.fromkeys(methods)),
        images=images,
        groups=groups,
        trials=tuple(measured),
    )


def _table(folder: Path) -> ImageTable | None:
    """Read the per-image table, with images in the order of their names; None if it can't be read."""
    try:
        table = read_table(folder / IMAGES)
    except BenchError:
        return None
    order = sorted(range(len(table.names)), key=table.names.__getitem__)
    names, groups = (tuple(texts[i] for i in order) for texts in (table.names, table.groups))
    extra = {name: values[order] for name, values in table.extra.items()}
    return ImageTable(names, groups, table.counts[order], None, extra)


def _images(table: ImageTable) -> str:
    return _digest(json.dumps([table.names, table.groups]))


def _own(table: ImageTable) -> dict[str, NDArray[np.float64]]:
    names = [metric.name for metric in METRICS.values() if metric.score.own and metric.name in table.extra]
    return {name: np.asarray(table.extra[name], np.float64) for name in names}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the finite numbers among a record's values."""
    return {
        clean(name): float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
