"""The same predictions under other definitions of the score, and whether the ranking depends on them.

What the per-image tables allow: nothing is predicted again.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import BenchError
from bench.core.nested import flat
from bench.core.specs import TrialRecord
from bench.evaluation.image_table import ImageTable, read_table
from bench.evaluation.summary import summarise
from bench.results.analysis.bootstrap import Uncertainty, bootstrap, separable
from bench.results.analysis.configurations import Configuration
from bench.results.analysis.metric_definitions import definitions
from bench.results.analysis.resampling import Score
from bench.results.analysis.uncertainty import NO_TABLE, OTHER_IMAGES, by_seed
from bench.results.clean_text import clean, shorten
from bench.results.dataframe import finite
from bench.results.store import IMAGES

_CLOSE = 1e-6
_NAME_LENGTH = 40  # of a class
_MOST_DRAWN = 200  # configurations with intervals, best first: a second or less each


@dataclass(frozen=True)
class Reversal:
    """Two configurations whose order depends on the definition."""

    above: int  # place of the one that is better by the first definition
    below: int
    definitions: tuple[str, ...]  # by which the other one is better
    surely: tuple[str, ...]  # those of them where both orders are told apart


@dataclass(frozen=True, eq=False)
class Audit:
    """Every definition for every configuration, mean over its seeds."""

    definitions: tuple[str, ...]
    values: NDArray[np.float64]  # (definitions, configurations), NaN where a table doesn't allow it
    intervals: NDArray[np.float64]  # (definitions, configurations, 2): 95 %, NaN where they are not known
    apart: NDArray[np.bool_]  # (definitions, configurations, configurations): pairs that each one can tell apart
    mismatches: tuple[str, ...]  # tables that are not used, then records whose values are not those of their tables

    def ranks(self) -> NDArray[np.float64]:
        """The place of each configuration under each definition, 1 the best; NaN where it has no value."""
        known = np.isfinite(self.values)
        better = self.values[:, None, :] > self.values[:, :, None]
        return np.where(known, 1 + better.sum(axis=2), np.nan)

    def swapped(self) -> NDArray[np.bool_]:
        """(definitions, configurations, configurations): pairs that stand in another order than by the first one."""
        difference = self.values[:, :, None] - self.values[:, None, :]
        return difference * difference[0] < 0

    def surely_swapped(self) -> NDArray[np.bool_]:
        """Those of them that both the definition and the first one can tell apart."""
        return self.swapped() & self.apart & self.apart[0]

    def reversals(self) -> list[Reversal]:
        """The pairs whose order depends on the definition: those that surely do first, then by how many say so."""
        swapped, sure = self.swapped(), self.surely_swapped()
        found = []
        for one, other in np.argwhere(np.triu(swapped.any(axis=0))):
            above, below = (one, other) if self.values[0, one] > self.values[0, other] else (other, one)
            names = [name for name, is_so in zip(self.definitions, swapped[:, one, other], strict=True) if is_so]
            surely = [name for name, is_so in zip(self.definitions, sure[:, one, other], strict=True) if is_so]
            found.append(Reversal(int(above), int(below), tuple(names), tuple(surely)))
        return sorted(found, key=lambda reversal: (-len(reversal.surely), -len(reversal.definitions)))


_Table = tuple[ImageTable, float, tuple[str, ...]]  # with its seed and its classes
_Row = dict[str, Uncertainty]  # by definition; without draws beyond those that are drawn


def audit(members: Sequence[Configuration], records: Mapping[str, TrialRecord]) -> Audit:
    """Score the tables of configurations under every definition.

    Configurations on other images than most are left out, as in `measure`.

    Args:
        members: with at least one trial that ended well, of one data set; the best first.
        records: by the trials' folders.
    """
    rows: list[_Row] = []
    unused, mismatches = [], []
    of_images: dict[frozenset, list[int]] = {}  # places of the configurations
    for place, member in enumerate(members):
        tables, without, differing = _tables(member, records)
        unused += without
        mismatches += differing
        images = frozenset((table.names, table.groups, table.counts.shape) for table, *_ in tables)
        of_images.setdefault(images, []).append(place)
        rows.append(_scored(tables, is_drawn=place < _MOST_DRAWN) if len(images) == 1 else {})
    most = max((key for key in of_images if len(key) == 1), key=lambda key: len(of_images[key]), default=None)
    for place in (place for key, places in of_images.items() if key and key != most for place in places):
        rows[place] = {}
        unused.append(f"{_folder_name(members[place].ok['folder'].iloc[0])}: {OTHER_IMAGES}")
    return _audited(rows, (*unused, *mismatches))


def _audited(rows: Sequence[_Row], mismatches: tuple[str, ...]) -> Audit:
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    found = [[row[name].mean if name in row else np.nan for row in rows] for name in names]
    values = np.array(found).reshape(len(names), len(rows))
    intervals = np.full((*values.shape, 2), np.nan)
    apart = np.zeros((len(names), len(rows), len(rows)), bool)
    for number, name in enumerate(names):
        drawn = {place: row[name] for place, row in enumerate(rows) if name in row and row[name].draws.size}
        for place, one in drawn.items():
            intervals[number, place] = one.interval.low, one.interval.high
        apart[number][np.ix_([*drawn], [*drawn])] = separable([*drawn.values()])
    return Audit(names, values, intervals, apart, mismatches)


def _tables(member: Configuration, records: Mapping[str, TrialRecord]) -> tuple[list[_Table], list[str], list[str]]:
    """The tables of the trials that ended well, why others are not used, and what differs from the records."""
    tables, unused, mismatches = [], [], []
    for folder, seed in zip(member.ok["folder"], member.ok["seed"], strict=True):
        record, name = records[folder], _folder_name(folder)
        classes = _classes(record)
        try:
            table = read_table(Path(folder) / IMAGES)
        except BenchError:
            unused.append(f"{name}: {NO_TABLE}")
            continue
        if len(classes) != table.counts.shape[1] or not table.names:
            unused.append(f"{name}: a table that is not of its {len(classes)} classes")
            continue
        mismatches += [f"{name}: {text}" for text in _mismatches(record, table, classes)]
        if math.isnan(seed):
            unused.append(f"{name}: no seed in the record, so its table is not used")
            continue
        tables.append((table, seed, tuple(map(_shown, classes))))
    return tables, unused, mismatches


def _folder_name(folder: str) -> str:
    return clean(Path(folder).name)


def _shown(name: str) -> str:
    return shorten(clean(name), _NAME_LENGTH)


def _classes(record: TrialRecord) -> tuple[str, ...]:
    """As the record spells them; of the metrics, in the same order, where the data set has none."""
    for values, name in ((record.dataset, "classes"), (record.metrics, "iou")):
        found = values.get(name) if isinstance(values, dict) else None
        if isinstance(found, list | dict) and found:
            return tuple(map(str, found))
    return ()


def _scored(tables: Sequence[_Table], *, is_drawn: bool) -> _Row:
    """All definitions that all tables allow, drawn at once: (images, K) of all of them side by side."""
    seeds = [seed for _, seed, _ in tables]
    found = [_values(table, classes) for table, _, classes in tables]
    kept = [score for score, _ in found[0] if all(score.name in {s.name for s, _ in some} for some in found[1:])]
    names = [score.name for score in kept]
    values = [[array for score, array in some if score.name in names] for some in found]
    ends = np.cumsum([array.shape[1] for array in values[0]])

    def scores(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        parts = np.split(sums, ends[:-1], axis=-1)
        return np.stack([score.of_sums(part) for score, part in zip(kept, parts, strict=True)], axis=-1)

    arrays = [np.concatenate(some, axis=1, dtype=np.float64) for some in values]
    if is_drawn:
        (whole,) = bootstrap([arrays], tables[0][0].groups, scores)
    else:
        whole = Uncertainty(scores(np.stack([array.sum(axis=0) for array in arrays])), np.empty((0, len(names))), 0)
    each = [by_seed(Uncertainty(whole.scores[:, n], whole.draws[:, n], whole.groups), seeds) for n in range(len(names))]
    return {name: one for name, one in zip(names, each, strict=True) if np.isfinite(one.mean)}


def _values(table: ImageTable, classes: Sequence[str]) -> list[tuple[Score, NDArray]]:
    found = []
    for score in definitions(classes):
        try:
            found.append((score, score.values(table)))
        except KeyError:
            continue
    return found


def _mismatches(record: TrialRecord, table: ImageTable, classes: Sequence[str]) -> Iterator[str]:
    """Values of the record that the table gives otherwise; what the record doesn't have is no mismatch."""
    recorded = _numbers(record.metrics)
    for name, found in _numbers(summarise(table, classes, {})).items():
        if name in recorded and not abs(recorded[name] - found) <= _CLOSE:
            yield f"{_shown(name)} is {recorded[name]:.6f} in the record and {found:.6f} by its table"


def _numbers(metrics: Any) -> dict[str, float]:
    """Take the numbers of nested metrics: `{"iou": {"pet": 0.8}}` becomes `{"iou.pet": 0.8}`."""
    values = flat(metrics) if isinstance(metrics, dict) else {}
    return {
        name: finite(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
