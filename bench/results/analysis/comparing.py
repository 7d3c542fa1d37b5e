"""The comparison of two configurations, or of one in two results folders: quality, speed, and what differs."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from bench.core.backends import TABLE
from bench.core.errors import first_few
from bench.results.analysis.bootstrap import LEVEL, Uncertainty
from bench.results.analysis.configurations import SAME, Configuration
from bench.results.analysis.intervals.scales import Interval
from bench.results.analysis.quiet import busy_note, quiet_ratio, without_busy
from bench.results.analysis.speed_samples import Shift, speed_shifts
from bench.results.analysis.uncertainty import measure
from bench.results.clean_text import shorten
from bench.results.quantities import MEAN_IOU, shown_in
from bench.results.quantities.quantity import COMPARISON, Metric

_PROTOCOL = ("protocol_version",)
_DATA, _COUNTS = ("data_fingerprint",), ("train_images", "val_images", "test_images")
_CODE = ("commit", "dirty", "plugin")
_MACHINE = (
    *("device", "gpu", "driver", "cpu", "cores", "memory_gib", "platform", "variables"),
    *("jit_compile", "tf32", "memory_method"),
)
_LIBRARIES = ("python", "cuda", "cudnn")
_SIDES = ("the first", "the second")
_KINDS = ("data", "protocol", "configuration", "code", "packages", "machine")  # the likelier cause first
SPEED_ONLY = "no quality: a speed-only trial"


@dataclass(frozen=True)
class Difference:
    """Something in which two configurations differ."""

    kind: str  # data, protocol, configuration, code, packages, machine
    name: str
    one: str
    other: str


@dataclass(frozen=True)
class Comparison:
    """The comparison of a second configuration with a first one."""

    label: str
    metric: Metric  # mean IoU if neither side has the requested one
    scores: tuple[float, float]  # NaN if a side has none
    change: Interval | None  # of the score, second - first; None if there is no interval
    reason: str  # why there is no interval; empty if there is one
    ratios: dict[str, Interval]  # second / first, 95 % intervals over the seeds; low and high are NaN for one seed
    speeds: dict[str, Shift | str]  # second / first by samples, or why there is none
    busy: str  # why the intervals of speeds are wider; empty if they are not
    differences: tuple[Difference, ...]  # the likeliest cause of another score first
    members: tuple[Configuration, Configuration]  # the first and the second

    @property
    def has_scores(self) -> bool:
        """True if both sides have the metric's score."""
        return not any(map(math.isnan, self.scores))

    @property
    def is_significant(self) -> bool:
        """True if the two are significantly different."""
        return self.change is not None and not self.change.low <= 0 <= self.change.high


def compare(label: str, one: Configuration, other: Configuration, metric: Metric = MEAN_IOU) -> Comparison:
    """Compare two configurations that have at least one ok trial each.

    If neither has the metric (another data set's own one, for example), mean IoU is compared, as in the tables.
    """
    if not any(member.spread(metric.name).n for member in (one, other)):
        metric = MEAN_IOU
    scores = one.spread(metric.name).mean, other.spread(metric.name).mean
    change, reason = _change(one, other, metric)
    found = {row: _ratio(one, other, row.name) for row in shown_in(COMPARISON)}
    shares = one.others_share, other.others_share
    ratios = {row.name: quiet_ratio(row, ratio, shares) for row, ratio in found.items() if ratio}
    speeds = speed_shifts(one, other)
    busy, different = busy_note(shares), tuple(differences(one, other))
    return Comparison(label, metric, scores, change, reason, ratios, speeds, busy, different, (one, other))


def _ratio(one: Configuration, other: Configuration, name: str) -> Interval | None:
    """Return the ratio of the geometric means over seeds, with Welch's 95 % interval computed on the logs.

    Return None if a side has no positive value.
    """
    sides = [_logarithms(member, name) for member in (one, other)]
    if any(not len(side) for side in sides):
        return None
    change = sides[1].mean() - sides[0].mean()
    if any(len(side) < 2 for side in sides):
        return Interval(math.exp(change), math.nan, math.nan)
    parts = [float(side.var(ddof=1)) / len(side) for side in sides]
    if not (total := sum(parts)):
        return Interval(math.exp(change), math.exp(change), math.exp(change))
    freedom = total**2 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, sides, strict=True))
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * math.sqrt(total)
    return Interval(math.exp(change), math.exp(change - half), math.exp(change + half))


def _logarithms(member: Configuration, name: str) -> np.ndarray:
    """Return the logarithms of a column's mean for each seed with a positive one: (seeds,)."""
    if name not in member.ok:
        return np.array([])
    values = without_busy(member.ok, pd.Series(0, member.ok.index)).groupby("seed")[name].mean()
    return np.log(values[values > 0].to_numpy(dtype=float))


def _change(one: Configuration, other: Configuration, metric: Metric) -> tuple[Interval | None, str]:
    if any(member.values["measure"] == "speed" for member in (one, other)):
        return None, SPEED_ONLY
    for name, member in zip(_SIDES, (one, other), strict=True):
        if not member.spread(metric.name).n:
            return None, f"{name} doesn't have the score"
    rows = measure([one, other], metric).rows
    for name, row in zip(_SIDES, rows, strict=True):
        if isinstance(row, str):
            return None, f"{name}: {row}"
    first, second = (row for row in rows if isinstance(row, Uncertainty))
    change = second.minus(first)
    return change, "" if change else "not separable by seed: a side has one seed"


def differences(one: Configuration, other: Configuration) -> Iterator[Difference]:
    """List what differs between the ok trials, the likeliest causes of another score first."""
    named = (
        ("data", _DATA),
        ("protocol", _PROTOCOL),
        ("configuration", (*_configuration_columns(), "seed")),
        ("data", _COUNTS),  # the configuration changes the counts of the same data
        ("code", _CODE),
        ("packages", _packages(one, other)),
        ("machine", _MACHINE),
    )
    for kind, names in named:
        for name in names:
            first, second = _values(one.ok, name), _values(other.ok, name)
            if first != second:
                yield Difference(kind, name.removeprefix("version_"), _listed(first), _listed(second))
        if kind == "code":
            yield from _changed_files(one, other)


def _changed_files(one: Configuration, other: Configuration) -> Iterator[Difference]:
    """Yield a difference if the hashes of two configurations with equal settings differ: a file has changed."""
    hashes = [_values(member.ok, "configuration") for member in (one, other)]
    settings = (*_configuration_columns(), *_DATA, *_PROTOCOL)
    if all(hashes) and hashes[0] != hashes[1] and all(_values(one.ok, c) == _values(other.ok, c) for c in settings):
        yield Difference("code", "plug-in or weights file", *map(_listed, hashes))


def cause_order(difference: Difference) -> tuple[int, bool]:
    """Return the key that sorts the differences of several pairs as `differences` does for one."""
    is_count = difference.name in _COUNTS
    return _KINDS.index("configuration" if is_count else difference.kind), is_count


def _packages(one: Configuration, other: Configuration) -> list[str]:
    """List the packages: those of the backend, Keras, then the rest."""
    found = {c.removeprefix("version_") for m in (one, other) for c in m.ok.columns if c.startswith("version_")}
    backend = {name for m in (one, other) for name in _libraries(m)}
    order = sorted(found, key=lambda name: (name not in backend, name != "keras", name))
    return [*(f"version_{name}" for name in order), *_LIBRARIES]


def _libraries(member: Configuration) -> tuple[str, ...]:
    """Return the packages of its backend; none for a backend that this version doesn't know."""
    backend = TABLE.get(str(member.values["backend"]))
    return backend.libraries if backend else ()


def _configuration_columns() -> tuple[str, ...]:
    return tuple(c for c in SAME if c not in (*_DATA, *_PROTOCOL, *_CODE, *_MACHINE))


def _values(rows: pd.DataFrame, name: str) -> list[str]:
    if name not in rows:
        return []
    texts = {f"{value:g}" if isinstance(value, float) else str(value) for value in rows[name]} - {"", "nan"}
    return sorted({text[:12] for text in texts} if name == "commit" else texts)


def _listed(values: Sequence[str]) -> str:
    return first_few(shorten(value, 60) for value in values) or "none"


def pairs(ones: Sequence[Configuration], others: Sequence[Configuration]) -> list[tuple[Configuration, Configuration]]:
    """Pair the configurations of two sets that are equal in their options: on one device and versions if possible."""
    found = []
    for one in filter(lambda member: member.seeds, ones):
        alike = [other for other in others if _options(other) == _options(one) and other.seeds]
        if alike:
            found.append((one, min(alike, key=partial(_distance, one))))
    return found


def _distance(one: Configuration, other: Configuration) -> tuple[bool, bool, int]:
    """Return the key that sorts partners of a configuration, the best first: else the one with the newest versions."""
    device, software = (other.values[name] != one.values[name] for name in ("device", "software"))
    return device, software, other.generation


def _options(member: Configuration) -> tuple[str, ...]:
    return tuple(str(member.values[name]) for name in _configuration_columns())
