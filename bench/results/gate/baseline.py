"""The configurations and trials that `bench check` compares, from results folders or from a baseline file.

The file holds only what the paired bootstrap needs: the per-image counts of each trial as int32 (images, classes, 3),
images in the order of their names, zlib-compressed, in base64; a data set's own metrics likewise. The names of the
images are held as a hash.
"""

import base64
import hashlib
import json
import math
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.core.untrusted import safe_json
from bench.core.untrusted.plain_files import read_file
from bench.evaluation.image_table import ImageTable, read_table
from bench.results.analysis.configurations import SAME
from bench.results.analysis.same_trial import drop_duplicates
from bench.results.clean_text import clean
from bench.results.dataframe import without_tuning
from bench.results.loading import StoredTrial, load
from bench.results.quantities import METRICS
from bench.results.record_reader import check_config
from bench.results.software import software_of, tables
from bench.results.trial_files import IMAGES, write_json

BASELINE_VERSION = 1
_MOST_BYTES = 2**30  # of the file, and of the counts of a trial
_MOST_VALUES = 10_000_000
_NOT_TOLD = ("arch", "backbone", "dataset", "params")  # a label names these in another way


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
    def ok(self) -> tuple[Measured, ...]:
        """The ok trials."""
        return tuple(trial for trial in self.trials if trial.status == "ok")

    @property
    def label(self) -> str:
        """A label that names what differs from the defaults: `unet on shapes, image size 64x64, filters=[8, 16]`."""
        pair = ":".join(str(self.config[name]) for name in ("arch", "backbone") if self.config.get(name))
        usual = _identity({"arch": "", "dataset": ""})
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
        return float(np.mean(values)) if values else None


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


def _identity(config: Mapping[str, Any]) -> dict[str, Any]:
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
        config=_identity(record.config),
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


def write_baseline(file: Path, subjects: Sequence[Subject], change: Mapping[str, str]) -> None:
    """Write the ok trials to a baseline file; the reason is added to the file's list of changes.

    Args:
        change: `reason`, `time` and `commit`: why, when, and by which code.
    """
    changes = _read(file)["changes"] if file.exists() else []
    configurations = [_to_json(subject) for subject in subjects if subject.ok]
    if not configurations:
        raise BenchError("No trial is ok, so there is nothing to make a baseline of.")
    file.parent.mkdir(parents=True, exist_ok=True)
    values = {"schema_version": BASELINE_VERSION, "changes": [*changes, dict(change)], "configurations": configurations}
    write_json(file, values)


def _to_json(subject: Subject) -> dict[str, Any]:
    trials = [
        {"seed": trial.seed, "values": dict(trial.values), **(_packed(trial) if trial.counts is not None else {})}
        for trial in subject.ok
    ]
    names = ("configuration", "fingerprint", "protocol", "device", "memory_method", "images")
    return {"config": dict(subject.config), **{name: getattr(subject, name) for name in names}, "trials": trials}


def _packed(trial: Measured) -> dict[str, Any]:
    counts = np.asarray(trial.counts)
    own = {name: _pack(values.astype("<f8")) for name, values in trial.own.items()}
    return {"shape": list(counts.shape), "counts": _pack(counts.astype("<i4")), **({"own": own} if own else {})}


def _pack(values: NDArray[Any]) -> str:
    return base64.b64encode(zlib.compress(values.tobytes(), 9)).decode()


def _unpack(text: str, dtype: str) -> NDArray[Any]:
    packed = zlib.decompressobj()
    values = packed.decompress(base64.b64decode(text), _MOST_BYTES)
    if packed.unconsumed_tail or not packed.eof:
        raise ValueError(f"its counts are cut short, or have more than {_MOST_BYTES:,} bytes")
    return np.frombuffer(values, dtype)


def read_baseline(file: Path) -> list[Subject]:
    """Read the configurations of a baseline; raise BenchError if it is missing, broken or of a newer schema."""
    try:
        return [_from_json(values) for values in _read(file)["configurations"]]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, zlib.error) as error:
        if isinstance(error, BenchError):
            raise
        raise BenchError(f"The baseline '{file}' is broken ({error}). Remove it and make one with --update.") from error


def _read(file: Path) -> dict[str, Any]:
    try:
        values = safe_json.loads(read_file(file, _MOST_BYTES, links=True), most=_MOST_VALUES)
        version, changes = int(values["schema_version"]), values["changes"]
        if not isinstance(changes, list):
            raise ValueError("its changes are no list")
    except OSError as error:
        raise BenchError(
            f"The baseline '{file}' can't be read ({error.strerror}). `bench check RESULTS --update --reason TEXT` "
            "makes one."
        ) from error
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BenchError(f"'{file}' isn't a baseline of `bench check` ({error}).") from error
    if version > BASELINE_VERSION:
        raise BenchError(f"The baseline '{file}' was written by a newer segbench (schema {version}). Update segbench.")
    return values


def _from_json(values: Mapping[str, Any]) -> Subject:
    names = ("configuration", "fingerprint", "device", "memory_method", "images")
    check_config(values["config"])
    return Subject(
        **{name: str(values[name]) for name in names},
        config=_identity(values["config"]),
        protocol=int(values["protocol"]),
        groups=(),
        trials=tuple(map(_trial, values["trials"])),
    )


def _trial(values: Mapping[str, Any]) -> Measured:
    numbers = {str(name): float(value) for name, value in values["values"].items()}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError("a value is not finite")
    if "counts" not in values:
        return Measured(int(values["seed"]), "ok", values=numbers)
    counts = _unpack(values["counts"], "<i4").reshape(values["shape"]).astype(np.int64)
    own = {str(name): _unpack(text, "<f8") for name, text in values.get("own", {}).items()}
    return Measured(int(values["seed"]), "ok", values=numbers, counts=counts, own=own)
