"""Tabulate the F2 of objects by threshold of overlap: which row finds objects, and which finds their outlines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import BenchError
from bench.evaluation.image_metrics import tuned_name
from bench.evaluation.image_table import ImageTable, read_table
from bench.evaluation.metrics.objects import AIRBUS_F2, OVERLAPS, f2_by_overlap
from bench.report.findings.boards.board import cut_note
from bench.report.table_model import Group, Row
from bench.report.text.tables import markdown_cell
from bench.results.trial_files import IMAGES

HEADINGS = (*(f"{overlap:.2f}" for overlap in OVERLAPS), "mean")
MEANING = (
    "A predicted object is a hit if its IoU with a true one is greater than the column's threshold; F2 is 5 TP / "
    "(5 TP + 4 FN + FP) over the objects of an image, averaged over the images and the seeds. The mean of the ten is "
    "the score of the Airbus challenge. A score that falls early finds objects without their outlines."
)
_COUNTS = "objects"
_MOST_ROWS = 20  # of a group, best first
_DIGITS = 3


@dataclass(frozen=True)
class ObjectRow:
    """A configuration's F2 at each threshold."""

    label: str
    scores: tuple[float, ...]  # for each of OVERLAPS

    @property
    def cells(self) -> tuple[str, ...]:
        """The text for each of HEADINGS."""
        return tuple(f"{value:.{_DIGITS}f}" for value in (*self.scores, float(np.mean(self.scores))))


@dataclass(frozen=True)
class ObjectBoard:
    """The best rows of a group whose images have objects, each as it is and as tuned on the validation split."""

    rows: tuple[ObjectRow, ...]
    sentences: tuple[str, ...]

    def markdown(self, title: str) -> list[str]:
        """Return the lines of a GitHub table with its sentences."""
        head = f"| configuration | {' | '.join(HEADINGS)} |"
        rule = f"| --- |{' ---: |' * len(HEADINGS)}"
        rows = [f"| {' | '.join((markdown_cell(row.label), *row.cells))} |" for row in self.rows]
        told = [f"- {markdown_cell(sentence)}" for sentence in self.sentences]
        return [f"## {markdown_cell(title)}: F2 by threshold", "", head, rule, *rows, "", *told, "", MEANING, ""]


def object_board(group: Group) -> ObjectBoard | None:
    """Make the table of a group; None if no row's trials counted objects."""
    tables = {row.label: found for row in group.ranked[:_MOST_ROWS] if (found := _tables(row))}
    if not tables:
        return None
    plain = [ObjectRow(label, _mean(some, _COUNTS)) for label, some in tables.items()]
    tuned = {
        label: ObjectRow(f"{label}, tuned", _mean(some, tuned_name(_COUNTS)))
        for label, some in tables.items()
        if all(tuned_name(_COUNTS) in table.extra for table in some)
    }
    rows = [each for row in plain for each in (row, tuned.get(row.label)) if each]
    empty = _without_objects(next(iter(tables.values()))[0])
    cut = cut_note(len(group.ranked), _MOST_ROWS)
    return ObjectBoard(tuple(rows), (*_leaders(plain), *_baseline(*empty), *_tuned(plain, tuned), *cut))


def _tables(row: Row) -> list[ImageTable]:
    """Read the tables of a row's trials; none if one of them can't be read or has no objects."""
    if AIRBUS_F2.name not in row.configuration.ok or row.configuration.ok[AIRBUS_F2.name].isna().any():
        return []
    try:
        tables = [read_table(Path(folder) / IMAGES) for folder in row.configuration.ok["folder"]]
    except BenchError:
        return []
    return tables if all(_COUNTS in table.extra and table.names for table in tables) else []


def _mean(tables: Sequence[ImageTable], name: str) -> tuple[float, ...]:
    values: NDArray[np.float64] = np.mean([f2_by_overlap(t.extra[name]).mean(axis=0) for t in tables], axis=0)
    return tuple(map(float, values))


def _without_objects(table: ImageTable) -> tuple[int, int]:
    """Count the images without a true object, and all."""
    true = table.extra[_COUNTS][..., (0, 2)].sum(axis=(1, 2, 3))
    return int((true == 0).sum()), len(table.names)


def _leaders(rows: Sequence[ObjectRow]) -> list[str]:
    """Say which row leads from which threshold on; nothing of a single row."""
    if len(rows) < 2:
        return []
    spans: list[tuple[str, str, str]] = []  # label, first and last threshold
    for overlap, values in zip(HEADINGS, zip(*(row.scores for row in rows), strict=True), strict=False):
        best = [row.label for row, value in zip(rows, values, strict=True) if value == max(values)]
        label = best[0] if len(best) == 1 else ""
        if spans and spans[-1][0] == label:
            spans[-1] = label, spans[-1][1], overlap
        else:
            spans.append((label, overlap, overlap))
    told = [
        f"{label or 'no row alone'} {f'from {low} to {high}' if low != high else f'at {low}'}"
        for label, low, high in spans
    ]
    return [f"The highest F2 has {'; '.join(told)} (without regard to chance)."]


def _baseline(empty: int, images: int) -> list[str]:
    if not empty:
        return []
    return [
        f"{empty} of {images} test images have no object. A model that predicts none anywhere scores "
        f"{empty / images:.{_DIGITS}f} at every threshold."
    ]


def _tuned(plain: Sequence[ObjectRow], tuned: Mapping[str, ObjectRow]) -> list[str]:
    if not tuned:
        return []
    better = sum(np.mean(tuned[row.label].scores) > np.mean(row.scores) for row in plain if row.label in tuned)
    return [
        "Tuned: the threshold on the probability and the smallest area were chosen on the validation split. "
        f"The mean is higher with them in {better} of {len(tuned)} rows."
    ]
