"""Two configurations, or the same one in two results folders: how much better, how much faster, and what differs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from bench.records.bootstrap import Interval, Uncertainty
from bench.records.statistics import SAME, Configuration
from bench.records.text import shorten
from bench.records.uncertainty import MEAN_IOU, Score, measure

RATIOS = (  # columns whose ratio is told
    "train_images_per_second",
    "inference_images_per_second",
    "latency_ms_p95",
    "peak_memory_mib",
    "params",
    "train_seconds",
)
_DATA = ("data_fingerprint", "train_images", "val_images", "test_images")
_CODE = ("commit", "dirty", "protocol_version", "plugin")
_MACHINE = ("device", "gpu", "driver", "cpu", "cores", "memory_gib", "platform", "jit_compile", "tf32", "memory_method")
_MOST_VALUES = 3


@dataclass(frozen=True)
class Difference:
    """Something in which the two differ."""

    kind: str  # data, configuration, code, packages, machine
    name: str
    one: str
    other: str


@dataclass(frozen=True)
class Comparison:
    """The second against the first."""

    label: str
    scores: tuple[float, float]
    change: Interval | None  # of the score, second - first; None: it can't be told
    reason: str  # why there is no interval; empty where there is one
    ratios: dict[str, float]  # second / first
    differences: tuple[Difference, ...]  # the likely cause of another score first

    @property
    def is_apart(self) -> bool:
        """Whether the two can be told apart."""
        return self.change is not None and not self.change.low <= 0 <= self.change.high


def compare(label: str, one: Configuration, other: Configuration, score: Score = MEAN_IOU) -> Comparison:
    """Compare two configurations that have at least one trial that ended well."""
    scores = one.spread(score.name).mean, other.spread(score.name).mean
    change, reason = _change(one, other, score)
    ratios = {name: other.spread(name).mean / one.spread(name).mean for name in RATIOS if one.spread(name).mean}
    ratios = {name: ratio for name, ratio in ratios.items() if ratio == ratio}
    return Comparison(label, scores, change, reason, ratios, tuple(differences(one, other)))


def _change(one: Configuration, other: Configuration, score: Score) -> tuple[Interval | None, str]:
    rows = measure([one, other], score).rows
    for name, row in zip(("the first", "the second"), rows, strict=True):
        if isinstance(row, str):
            return None, f"{name}: {row}"
    first, second = (row for row in rows if isinstance(row, Uncertainty))
    change = second.minus(first)
    return change, "" if change else "not separable by seed: a side has one seed"


def differences(one: Configuration, other: Configuration) -> Iterator[Difference]:
    """What differs between the trials that ended well: data, configuration, code, packages, machine."""
    named: dict[str, Sequence[str]] = {"data": _DATA, "configuration": _configuration_columns(), "code": _CODE}
    named["packages"] = sorted(
        {c for member in (one, other) for c in member.ok.columns if c.startswith("version_")} | {"python"}
    )
    for kind, names in (named | {"machine": _MACHINE}).items():
        for name in names:
            first, second = _values(one.ok, name), _values(other.ok, name)
            if first != second:
                yield Difference(kind, name.removeprefix("version_"), _listed(first), _listed(second))


def _configuration_columns() -> tuple[str, ...]:
    return tuple(c for c in SAME if c not in (*_DATA, *_CODE, *_MACHINE))


def _values(rows: pd.DataFrame, name: str) -> list[str]:
    if name not in rows:
        return []
    return sorted({f"{value:g}" if isinstance(value, float) else str(value) for value in rows[name]} - {"", "nan"})


def _listed(values: Sequence[str]) -> str:
    more = f" and {len(values) - _MOST_VALUES} more" if len(values) > _MOST_VALUES else ""
    return ", ".join(shorten(value, 60) for value in values[:_MOST_VALUES]) + more or "none"


def pairs(ones: Sequence[Configuration], others: Sequence[Configuration]) -> list[tuple[Configuration, Configuration]]:
    """The same configuration in two sets: equal in all options; on several devices, on the same one where it can be."""
    found = []
    for one in ones:
        alike = [other for other in others if _options(other) == _options(one) and other.seeds]
        alike.sort(key=lambda other: other.values["device"] != one.values["device"])
        if one.seeds and alike:
            found.append((one, alike[0]))
    return found


def _options(member: Configuration) -> tuple[str, ...]:
    return tuple(str(member.values[name]) for name in _configuration_columns())
