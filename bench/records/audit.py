"""The same predictions under other definitions of the score, and whether the ranking depends on them.

What the per-image tables allow: nothing is predicted again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.evaluation.summary import summarise
from bench.evaluation.table import ImageTable, read_table
from bench.records.bootstrap import Uncertainty, bootstrap, separable
from bench.records.definitions import definitions
from bench.records.statistics import Configuration
from bench.records.store import IMAGES
from bench.records.uncertainty import Score, by_seed
from bench.spec import TrialRecord

_CLOSE = 1e-6
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
    mismatches: tuple[str, ...]  # records whose values are not those of their tables

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


@dataclass(frozen=True)
class _Found:
    """What a definition gives for a configuration."""

    mean: float
    drawn: Uncertainty | None  # None: beyond those that are drawn


_Table = tuple[ImageTable, float, tuple[str, ...]]  # with its seed and its classes


def audit(members: Sequence[Configuration], records: Mapping[str, TrialRecord]) -> Audit:
    """Score the tables of configurations under every definition.

    Args:
        members: with at least one trial that ended well, of one data set; the best first.
        records: by the trials' folders.
    """
    names: dict[str, None] = {}  # of the definitions, in order
    rows, mismatches = [], []
    images = None
    for place, member in enumerate(members):
        tables, problems = _tables(member, records)
        mismatches += problems
        images = images or (tables[0][0].names if tables else None)
        if any(table.names != images for table, *_ in tables):
            mismatches.append(f"{Path(member.ok['folder'].iloc[0]).name}: other test images than the best one's")
            tables = []
        rows.append(_scored(tables, is_drawn=place < _MOST_DRAWN))
        names |= dict.fromkeys(rows[-1])
    return _audited(tuple(names), rows, tuple(mismatches))


def _audited(names: tuple[str, ...], rows: Sequence[dict[str, _Found]], mismatches: tuple[str, ...]) -> Audit:
    found = [[row[name].mean if name in row else np.nan for row in rows] for name in names]
    values = np.array(found).reshape(len(names), len(rows))
    intervals = np.full((*values.shape, 2), np.nan)
    apart = np.zeros((len(names), len(rows), len(rows)), bool)
    for number, name in enumerate(names):
        drawn = {place: row[name].drawn for place, row in enumerate(rows) if name in row}
        sure = {place: found for place, found in drawn.items() if found}
        for place, one in sure.items():
            intervals[number, place] = one.interval.low, one.interval.high
        apart[number][np.ix_([*sure], [*sure])] = separable([*sure.values()])
    return Audit(names, values, intervals, apart, mismatches)


def _tables(member: Configuration, records: Mapping[str, TrialRecord]) -> tuple[list[_Table], list[str]]:
    """The tables of the trials that ended well, and what is wrong with them."""
    tables, problems = [], []
    for folder, seed in zip(member.ok["folder"], member.ok["seed"], strict=True):
        record, name = records[folder], Path(folder).name
        classes = _classes(record)
        try:
            table = read_table(Path(folder) / IMAGES)
        except BenchError:
            problems.append(f"{name}: no readable per-image table")
            continue
        if len(classes) != table.counts.shape[1] or not table.names:
            problems.append(f"{name}: a table that is not of its {len(classes)} classes")
            continue
        problems += [f"{name}: {text}" for text in _mismatches(record, table, classes)]
        tables.append((table, seed, classes))
    return tables, problems


def _classes(record: TrialRecord) -> tuple[str, ...]:
    classes = record.dataset.get("classes") if isinstance(record.dataset, dict) else None
    return tuple(map(str, classes)) if isinstance(classes, list) else ()


def _scored(tables: Sequence[_Table], *, is_drawn: bool) -> dict[str, _Found]:
    """All definitions that all tables allow, drawn at once: (images, K) of all of them side by side."""
    if not tables:
        return {}
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
    if not is_drawn:
        means = np.mean([scores(array.sum(axis=0)) for array in arrays], axis=0)
        return {name: _Found(float(mean), None) for name, mean in zip(names, means, strict=True)}
    (drawn,) = bootstrap([arrays], tables[0][0].groups, scores)
    each = [by_seed(Uncertainty(drawn.scores[:, n], drawn.draws[:, n], drawn.groups), seeds) for n in range(len(names))]
    return {name: _Found(one.mean, one) for name, one in zip(names, each, strict=True) if np.isfinite(one.mean)}


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
    recorded = _flat(record.metrics)
    for name, found in _flat(summarise(table, classes, {})).items():
        if name in recorded and not abs(recorded[name] - found) <= _CLOSE:
            yield f"{name} is {recorded[name]:.6f} in the record and {found:.6f} by its table"


def _flat(metrics: Any, prefix: str = "") -> dict[str, float]:
    """`{"iou": {"pet": 0.8}}` as `{"iou.pet": 0.8}`; numbers alone."""
    flat: dict[str, float] = {}
    for name, value in metrics.items() if isinstance(metrics, dict) else ():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            flat[f"{prefix}{name}"] = float(value)
    return flat
