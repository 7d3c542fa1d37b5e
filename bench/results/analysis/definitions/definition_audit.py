"""Scores of the same predictions under other definitions, and whether the ranking depends on the definition.

Everything is computed from the per-image tables: nothing is predicted again.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import BenchError
from bench.core.specs import TrialRecord, flat
from bench.evaluation.image_table import ImageTable, read_table
from bench.evaluation.summary import summarise
from bench.results.analysis.bootstrap import Uncertainty, bootstrap, significant_pairs
from bench.results.analysis.configurations import Configuration
from bench.results.analysis.definitions.metric_definitions import definitions, pair_as_one
from bench.results.analysis.uncertainty import NO_TABLE, OTHER_IMAGES, by_seed
from bench.results.clean_text import clean
from bench.results.dataframe import finite
from bench.results.predicted.confused_classes import class_names, shown_name
from bench.results.quantities.quantity import LOWER, Better, Definition
from bench.results.trial_files import IMAGES

_CLOSE = 1e-6
_MOST_DRAWN = 200  # configurations with intervals, best first; each takes up to a second


@dataclass(frozen=True)
class Reversal:
    """Two configurations whose order depends on the definition."""

    above: int  # place of the one that is better by the first definition
    below: int
    definitions: tuple[str, ...]  # definitions by which the other one is better
    significant: tuple[str, ...]  # those among them with a significant difference in both orders


@dataclass(frozen=True, eq=False)
class Audit:
    """The value of every definition for every configuration, averaged over its seeds."""

    definitions: tuple[str, ...]
    better: tuple[Better, ...]  # the better direction of each definition
    values: NDArray[np.float64]  # (definitions, configurations); NaN if a table doesn't allow it
    intervals: NDArray[np.float64]  # (definitions, configurations, 2): 95 %; NaN if unknown
    different: NDArray[np.bool_]  # (definitions, configurations, configurations): pairs that differ significantly
    mismatches: tuple[str, ...]  # unused tables, then records whose values differ from those of their tables

    @cached_property
    def goodness(self) -> NDArray[np.float64]:
        """The values, negated for definitions in which lower is better: (definitions, configurations)."""
        signs = [-1.0 if better == LOWER else 1.0 for better in self.better]
        return self.values * np.array(signs).reshape(-1, 1)

    def best(self, number: int) -> int:
        """Return the place of the best configuration by the definition with that number."""
        return int(np.nanargmax(self.goodness[number]))

    def ranks(self) -> NDArray[np.float64]:
        """Rank the configurations under each definition, 1 is the best; NaN if it has no value."""
        better = self.goodness[:, None, :] > self.goodness[:, :, None]
        return np.where(np.isfinite(self.values), 1 + better.sum(axis=2), np.nan)

    def swapped(self) -> NDArray[np.bool_]:
        """Pairs that the first definition puts in the other order: (definitions, configurations, configurations)."""
        difference = self.goodness[:, :, None] - self.goodness[:, None, :]
        return difference * difference[0] < 0

    def significantly_swapped(self) -> NDArray[np.bool_]:
        """The swapped pairs that differ significantly by both the definition and the first one."""
        return self.swapped() & self.different & self.different[0]

    def reversals(self) -> list[Reversal]:
        """List the pairs whose order depends on the definition: significant ones first, then by how many say so."""
        swapped, significantly = self.swapped(), self.significantly_swapped()
        found = []
        for one, other in np.argwhere(np.triu(swapped.any(axis=0))):
            above, below = (one, other) if self.goodness[0, one] > self.goodness[0, other] else (other, one)
            names, significant = (
                tuple(name for name, is_so in zip(self.definitions, some, strict=True) if is_so)
                for some in (swapped[:, one, other], significantly[:, one, other])
            )
            found.append(Reversal(int(above), int(below), names, significant))
        return sorted(found, key=lambda reversal: (-len(reversal.significant), -len(reversal.definitions)))


_Table = tuple[ImageTable, float, tuple[str, ...]]  # a table with its seed and its classes
_Row = dict[tuple[str, Better], Uncertainty]  # by definition; only the first _MOST_DRAWN rows have draws


def audit(members: Sequence[Configuration], records: Mapping[str, TrialRecord]) -> Audit:
    """Score the tables of configurations under every definition.

    Configurations with other images than most are left out, as in `measure`.

    Args:
        members: configurations of one data set with at least one ok trial, the best first.
        records: the records by the trials' folders.
    """
    rows: list[_Row] = []
    unused, mismatches = [], []
    of_images: dict[frozenset[Any], list[int]] = {}  # places of the configurations
    pair: tuple[int, int] | None = None  # of classes: the one that the best configuration confuses most
    for place, member in enumerate(members):
        tables, without, differing = _tables(member, records)
        unused += without
        mismatches += differing
        pair = pair or _most_confused(tables)
        images = frozenset((table.names, table.groups, table.counts.shape) for table, *_ in tables)
        of_images.setdefault(images, []).append(place)
        rows.append(_scored(tables, pair, is_drawn=place < _MOST_DRAWN) if len(images) == 1 else {})
    most = max((key for key in of_images if len(key) == 1), key=lambda key: len(of_images[key]), default=None)
    for place in (place for key, places in of_images.items() if key and key != most for place in places):
        rows[place] = {}
        unused.append(f"{_folder_name(members[place].ok['folder'].iloc[0])}: {OTHER_IMAGES}")
    return _audited(rows, (*unused, *mismatches))


def _audited(rows: Sequence[_Row], mismatches: tuple[str, ...]) -> Audit:
    keys = tuple(dict.fromkeys(key for row in rows for key in row))
    found = [[row[key].mean if key in row else np.nan for row in rows] for key in keys]
    values = np.array(found).reshape(len(keys), len(rows))
    intervals = np.full((*values.shape, 2), np.nan)
    different = np.zeros((len(keys), len(rows), len(rows)), bool)
    for number, key in enumerate(keys):
        drawn = {place: row[key] for place, row in enumerate(rows) if key in row and row[key].draws.size}
        for place, one in drawn.items():
            intervals[number, place] = one.interval.low, one.interval.high
        different[number][np.ix_([*drawn], [*drawn])] = significant_pairs([*drawn.values()])
    names, better = tuple(name for name, _ in keys), tuple(better for _, better in keys)
    return Audit(names, better, values, intervals, different, mismatches)


def _tables(member: Configuration, records: Mapping[str, TrialRecord]) -> tuple[list[_Table], list[str], list[str]]:
    """Return the ok trials' tables, the reasons why others are not used, and the differences from the records."""
    tables, unused, mismatches = [], [], []
    for folder, seed in zip(member.ok["folder"], member.ok["seed"], strict=True):
        record, name = records[folder], _folder_name(folder)
        classes = class_names(record)
        try:
            table = read_table(Path(folder) / IMAGES)
        except BenchError:
            unused.append(f"{name}: {NO_TABLE}")
            continue
        if len(classes) != table.counts.shape[1] or not table.names:
            unused.append(f"{name}: its table doesn't have its {len(classes)} classes")
            continue
        mismatches += [f"{name}: {text}" for text in _mismatches(record, table, classes)]
        if math.isnan(seed):
            unused.append(f"{name}: no seed in the record, so its table is not used")
            continue
        tables.append((table, seed, tuple(map(shown_name, classes))))
    return tables, unused, mismatches


def _folder_name(folder: str) -> str:
    return clean(Path(folder).name)


def _most_confused(tables: Sequence[_Table]) -> tuple[int, int] | None:
    """Return the two of three or more classes with the most pixels taken for the other one; None if that is unknown."""
    cells = [(table.confusion, table.counts.shape[1]) for table, *_ in tables if table.confusion is not None]
    if not cells or cells[0][1] < 3:
        return None
    total = np.sum([some.total(classes) for some, classes in cells], axis=0)
    wrong = np.triu(total + total.T, 1)
    one, other = np.unravel_index(int(wrong.argmax()), wrong.shape)
    return (int(one), int(other)) if wrong.any() else None


def _scored(tables: Sequence[_Table], pair: tuple[int, int] | None, *, is_drawn: bool) -> _Row:
    """Score the tables under the definitions that all of them allow, with one bootstrap of joined (images, K)."""
    seeds = [seed for _, seed, _ in tables]
    found = [_values(table, classes, pair) for table, _, classes in tables]
    kept = [one for one, _ in found[0] if all(one.name in {other.name for other, _ in some} for some in found[1:])]
    names = [one.name for one in kept]
    values = [[array for one, array in some if one.name in names] for some in found]
    ends = np.cumsum([array.shape[1] for array in values[0]])

    def scores(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        parts = np.split(sums, ends[:-1], axis=-1)
        return np.stack([one.score.of_sums(part) for one, part in zip(kept, parts, strict=True)], axis=-1)

    arrays = [np.concatenate(some, axis=1, dtype=np.float64) for some in values]
    if is_drawn:
        (whole,) = bootstrap([arrays], tables[0][0].groups, scores)
    else:
        whole = Uncertainty(scores(np.stack([array.sum(axis=0) for array in arrays])), np.empty((0, len(names))), 0)
    each = [
        by_seed(Uncertainty(whole.scores[:, n], whole.draws[:, n], whole.groups, scale=one.score.scale), seeds)
        for n, one in enumerate(kept)
    ]
    return {(one.name, one.better): of for one, of in zip(kept, each, strict=True) if np.isfinite(of.mean)}


def _values(
    table: ImageTable, classes: Sequence[str], pair: tuple[int, int] | None
) -> list[tuple[Definition, NDArray[Any]]]:
    found = []
    for definition in [*definitions(classes), *([pair_as_one(classes, pair)] if pair else [])]:
        try:
            found.append((definition, definition.score.values(table)))
        except KeyError:
            continue
    return found


def _mismatches(record: TrialRecord, table: ImageTable, classes: Sequence[str]) -> Iterator[str]:
    """Yield the record's values that differ from the table's; a value that the record doesn't have is ignored."""
    if table.confusion is not None and not np.array_equal(table.confusion.counts(len(classes)), table.counts):
        yield "the confusion matrices of its table don't add up to the table's counts"
    recorded = _numbers(record.metrics)
    for name, found in _numbers(summarise(table, classes, {})).items():
        if name in recorded and not abs(recorded[name] - found) <= _CLOSE:
            yield f"{shown_name(name)} is {recorded[name]:.6f} in the record and {found:.6f} by its table"


def _numbers(metrics: Any) -> dict[str, float]:
    """Take the numbers of nested metrics: `{"iou": {"pet": 0.8}}` becomes `{"iou.pet": 0.8}`."""
    values = flat(metrics) if isinstance(metrics, dict) else {}
    return {
        name: finite(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
