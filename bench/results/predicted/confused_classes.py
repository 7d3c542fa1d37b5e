"""The confusion matrix of a configuration: the sum of those in its trials' tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import BenchError
from bench.core.specs import TrialRecord
from bench.evaluation.image_table import read_confusion
from bench.results.analysis.configurations import Configuration
from bench.results.clean_text import clean, shorten
from bench.results.trial_files import IMAGES

NOT_RECORDED = "not recorded"
_NAME_LENGTH = 40  # characters of a class's name


@dataclass(frozen=True)
class Confused:
    """A class that was taken for another one."""

    true: str
    predicted: str
    pixels: int
    share: float  # of the pixels that are of the class `true`

    def __str__(self) -> str:
        return f"'{self.true}' taken for '{self.predicted}': {self.pixels:,} pixels, {self.share:.1%} of '{self.true}'"


@dataclass(frozen=True, eq=False)
class Confusion:
    """The confusion matrix of a configuration."""

    classes: tuple[str, ...]
    matrix: NDArray[np.int64]  # (label, prediction), summed over the test images of its trials
    trials: int  # that recorded it
    of: int  # its ok trials

    def shares(self) -> NDArray[np.float64]:
        """Return each cell's share of the pixels of its label, (C, C); 0 for a class without pixels."""
        return self.matrix / np.maximum(self.matrix.sum(axis=1, keepdims=True), 1)

    def most(self, number: int) -> list[Confused]:
        """List the pairs of classes with the most wrong pixels, most first."""
        wrong, shares = self.matrix - np.diag(np.diag(self.matrix)), self.shares()
        order = np.argsort(-wrong, axis=None, kind="stable")[:number]
        places = [tuple(map(int, np.unravel_index(place, wrong.shape))) for place in order]
        return [
            Confused(
                shown_name(self.classes[true]),
                shown_name(self.classes[predicted]),
                int(wrong[true, predicted]),
                shares[true, predicted],
            )
            for true, predicted in places
            if wrong[true, predicted]
        ]

    def united(self, least: int) -> "Confusion":
        """Return the matrix with the classes of the fewest wrong pixels as one, the last, so that `least` are left."""
        if len(self.classes) <= least:
            return self
        wrong = self.matrix.sum(axis=0) + self.matrix.sum(axis=1) - 2 * np.diag(self.matrix)
        kept = np.sort(np.argsort(-wrong, kind="stable")[: least - 1])
        place = np.full(len(self.classes), least - 1)
        place[kept] = np.arange(least - 1)
        matrix = np.zeros((least, least), np.int64)
        np.add.at(matrix, (place[:, None], place), self.matrix)
        others = f"{len(self.classes) - least + 1} other classes"
        return Confusion((*(self.classes[k] for k in kept), others), matrix, self.trials, self.of)


def confusion_of(member: Configuration, records: Mapping[str, TrialRecord]) -> Confusion | None:
    """Sum the matrices of a configuration's ok trials; None if none of them recorded one.

    Args:
        records: by the trials' folders.
    """
    folders = member.ok["folder"].tolist()
    classes = class_names(records[folders[0]]) if folders else ()
    alike = [folder for folder in folders if class_names(records[folder]) == classes]
    found = [*_matrices(alike, len(classes))]
    if not found:
        return None
    return Confusion(classes, np.sum(found, axis=0, dtype=np.int64), len(found), len(folders))


def _matrices(folders: Sequence[str], num_classes: int) -> Iterator[NDArray[np.int64]]:
    for folder in folders:
        try:
            cells = read_confusion(Path(folder) / IMAGES, num_classes)
        except BenchError:  # the ranking says that there is no readable table
            continue
        if cells is not None:
            yield cells.total(num_classes)


def class_names(record: TrialRecord) -> tuple[str, ...]:
    """Return the class names from the record's data set, or from its metrics if that has none."""
    for values, name in ((record.dataset, "classes"), (record.metrics, "iou")):
        found = values.get(name) if isinstance(values, dict) else None
        if isinstance(found, list | dict) and found:
            return tuple(map(str, found))
    return ()


def shown_name(name: str) -> str:
    """Return a class's name as a reader sees it."""
    return shorten(clean(name), _NAME_LENGTH)
