"""Gather what the trials of one configuration gave at one commit of segbench."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.core.specs import TrialRecord
from bench.core.trial_config import TrialConfig
from bench.results.clean_text import clean, shorten
from bench.results.dataframe import finite, without_tuning
from bench.results.loading import StoredTrial
from bench.results.software import software_of

PARTS: dict[str, tuple[str, str]] = {
    "mean_iou": ("metrics", "mean_iou"),
    "train_images_per_second": ("speed", "train_images_per_second"),
    "latency_ms_p50": ("speed", "latency_ms_p50"),
    "peak_memory_mib": ("memory", "peak_memory_mib"),
}
FIXED = "fixed_seconds"  # the wall time of a trial but for training on the budget's clock
FOLLOWED = (*PARTS, FIXED)
"""The numbers that are followed over commits."""


@dataclass(frozen=True)
class Point:
    """The trials of one configuration at one commit, on one device and one version of the software."""

    commit: str
    dirty: bool  # the tree had changes, so the commit doesn't say which code it was
    time: str  # ISO 8601, when the first of the trials started
    configuration: str  # the hash of the configuration without the seed
    label: str
    device: str
    software: str
    values: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # by name, then by seed

    @property
    def series(self) -> tuple[str, str, str]:
        """The configuration, the device and the software, which the points of one line share."""
        return self.configuration, self.device, self.software

    @property
    def identity(self) -> tuple[str, bool, tuple[str, str, str]]:
        """The commit and the series: a point that is there already isn't added again."""
        return self.commit, self.dirty, self.series

    def mean(self, name: str, seeds: Iterable[str] = ()) -> float:
        """Return the mean over the seeds, all or the given ones; NaN if one of them lacks the value."""
        known = self.values.get(name, {})
        wanted = list(seeds) or list(known)
        found = [known.get(seed, math.nan) for seed in wanted]
        return sum(found) / len(found) if found else math.nan


def points_of(trials: Iterable[StoredTrial]) -> list[Point]:
    """Make a point for each commit and configuration of the ok trials.

    Tuning trials, which no test has scored, and trials that name no commit are left out.
    """
    together: dict[Any, list[TrialRecord]] = defaultdict(list)
    for trial in without_tuning(trials):
        record, environment = trial.record, _mapping(trial.record.environment)
        commit = clean(environment.get("commit") or "")
        if record.status == "ok" and commit:
            together[commit, bool(environment.get("dirty")), _series(record)].append(record)
    return [
        Point(
            commit=commit,
            dirty=dirty,
            time=min(clean(record.started) for record in records),
            configuration=configuration,
            label=_label(records[0]),
            device=device,
            software=software,
            values=_values(records),
        )
        for (commit, dirty, (configuration, device, software)), records in together.items()
    ]


def _series(record: TrialRecord) -> tuple[str, str, str]:
    configuration = clean(getattr(record, "configuration", "") or "") or _without_seed(record)
    return configuration, clean(record.device), software_of(record)


def _without_seed(record: TrialRecord) -> str:
    """Describe a configuration whose record has no hash of it."""
    return str(sorted((k, str(v)) for k, v in _mapping(record.config).items() if k not in ("seed", "repeat")))


def _label(record: TrialRecord) -> str:
    try:
        config = TrialConfig.from_dict(record.config)
        height, width = config.image_size
        return shorten(f"{config.pair} on {config.dataset} at {height}x{width}, {config.budget}", 120)
    except Exception:  # noqa: BLE001 - a record of another version
        return shorten(clean(_mapping(record.config).get("arch", "?")), 120)


def _values(records: Iterable[TrialRecord]) -> dict[str, dict[str, float]]:
    """Take the followed numbers by seed; repeats of a seed are averaged."""
    found: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in FOLLOWED}
    for record in records:
        seed = str(_mapping(record.config).get("seed", 0))
        for name, (part, key) in PARTS.items():
            found[name][seed].append(finite(_mapping(getattr(record, part)).get(key)))
        trained = finite(_mapping(record.training).get("train_seconds"))
        found[FIXED][seed].append(finite(record.wall_seconds) - trained)
    means = {name: {seed: sum(some) / len(some) for seed, some in seeds.items()} for name, seeds in found.items()}
    return {name: {seed: value for seed, value in seeds.items() if value == value} for name, seeds in means.items()}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
