"""The same predictions under other definitions of the score, and whether the ranking depends on them.

What the per-image tables allow: nothing is predicted again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.evaluation.table import ImageTable, read_table
from bench.metrics import scores
from bench.metrics.confusion import THRESHOLDS
from bench.records.statistics import Configuration
from bench.records.store import IMAGES
from bench.records.uncertainty import SCORES, image_scores

_CLOSE = 1e-6
RECORDED = "mean IoU of the split"
_THRESHOLDS = (0.3, 0.5, 0.7)


@dataclass(frozen=True)
class Definition:
    """A score of a whole table; None where the table doesn't allow it."""

    name: str
    value: Callable[[ImageTable], float | None]


@dataclass(frozen=True, eq=False)
class Audit:
    """Every definition for every configuration, mean over its trials."""

    definitions: tuple[str, ...]
    values: NDArray[np.float64]  # (definitions, configurations), NaN where a table doesn't allow it
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


def audit(members: Sequence[Configuration], classes: Sequence[str]) -> Audit:
    """Score the tables of configurations under every definition.

    Args:
        members: with at least one trial that ended well.
        classes: the classes' names, in their order.
    """
    names = [definition.name for definition in definitions(classes)]
    columns, mismatches = [], []
    for member in members:
        tables = [(folder, _table(folder)) for folder in member.ok["folder"]]
        rows = [_values(table, classes) for _, table in tables if table]
        columns.append(np.mean(rows, axis=0) if rows else np.full(len(names), np.nan))
        for (folder, table), (_, row) in zip(tables, member.ok.iterrows(), strict=True):
            mismatches += [f"{Path(folder).name}: {text}" for text in _mismatches(table, row)]
    values = np.array(columns).T
    some = np.isfinite(values).any(axis=1)
    return Audit(tuple(name for name, kept in zip(names, some, strict=True) if kept), values[some], tuple(mismatches))


def definitions(classes: Sequence[str]) -> list[Definition]:
    """All definitions for a data set with these classes; the first is the one that is ranked by."""
    found = [
        Definition(RECORDED, lambda table: scores.mean_iou(table.counts)),
        Definition("mean IoU of each image, absent classes left out", lambda table: _mean(image_scores(table))),
        Definition("mean IoU of each image, absent classes count 1", _absent_is_one),
        Definition("IoU of each image by class, then over classes", _by_class),
        Definition("mean dice of the split", lambda table: scores.macro_mean(scores.dice, table.counts)),
        Definition("mean F2 of the split", lambda table: scores.macro_mean(scores.f2, table.counts)),
        Definition("pixel accuracy of the split", lambda table: scores.pixel_accuracy(table.counts)),
        Definition("IoU weighted by the classes' pixels", _weighted),
        Definition("mean boundary IoU of the split", _boundary),
    ]
    if len(classes) > 2:
        found += [_without(place, name) for place, name in enumerate(classes) if name in ("background", "border")]
    if len(classes) == 2:
        found += [
            Definition(f"IoU of {classes[1]}, split", lambda table: float(scores.iou(table.counts.sum(axis=0))[1])),
            Definition(
                f"dice of {classes[1]}, each image, empty counts 1", lambda table: _foreground(table, empty=1.0)
            ),
            Definition(
                f"dice of {classes[1]}, each image, empty left out", lambda table: _foreground(table, empty=np.nan)
            ),
            *(_at(threshold, classes[1]) for threshold in _THRESHOLDS),
            Definition(f"IoU of {classes[1]} at its best threshold", lambda table: _thresholds(table, max)),
        ]
    return found


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None


def _absent_is_one(table: ImageTable) -> float | None:
    return _mean(np.nan_to_num(scores.iou(table.counts), nan=1.0).mean(axis=1))


def _by_class(table: ImageTable) -> float | None:
    values = scores.iou(table.counts)
    return _mean(np.array([np.nan if (found := _mean(column)) is None else found for column in values.T]))


def _weighted(table: ImageTable) -> float | None:
    sums = table.counts.sum(axis=0)
    pixels = sums[:, 0] + sums[:, 2]
    return float((np.nan_to_num(scores.iou(sums)) * pixels).sum() / pixels.sum()) if pixels.any() else None


def _boundary(table: ImageTable) -> float | None:
    counts = table.extra.get("boundary")
    return None if counts is None else scores.mean_iou(counts)


def _without(place: int, name: str) -> Definition:
    return Definition(
        f"mean IoU of the split, without {name}", lambda table: scores.mean_iou(np.delete(table.counts, place, axis=1))
    )


def _foreground(table: ImageTable, *, empty: float) -> float | None:
    return _mean(np.nan_to_num(scores.dice(table.counts)[:, 1], nan=empty))


def _at(threshold: float, name: str) -> Definition:
    place = THRESHOLDS.index(threshold)
    return Definition(
        f"IoU of {name} at threshold {threshold}", lambda table: _thresholds(table, lambda values: values[place])
    )


def _thresholds(table: ImageTable, choose: Callable[[list[float]], float]) -> float | None:
    if table.threshold_counts is None:
        return None
    return choose(scores.iou(table.threshold_counts.sum(axis=0)).tolist())


def _table(folder: str) -> ImageTable | None:
    try:
        return read_table(Path(folder) / IMAGES)
    except BenchError:
        return None


def _values(table: ImageTable, classes: Sequence[str]) -> list[float]:
    found = (definition.value(table) for definition in definitions(classes))
    return [np.nan if value is None else value for value in found]


def _mismatches(table: ImageTable | None, row: object) -> Iterator[str]:
    """Values of the record that the table gives otherwise."""
    if table is None:
        yield "no readable per-image table"
        return
    for name, score in SCORES.items():
        recorded, found = row[name], float(score.of_sums(score.values(table).sum(axis=0)))  # type: ignore[index]
        if abs(recorded - found) > _CLOSE:
            yield f"{name} is {recorded:.6f} in the record and {found:.6f} by its table"
