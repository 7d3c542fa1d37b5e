"""The confusion matrices of a split's images without the cells that are 0: few of the 22,500 of 150 classes are not."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class ConfusionCells(NamedTuple):
    """The classes that were taken for others, image by image.

    The cells of image i are those from `starts[i]` to `starts[i + 1]`; an image without a counted pixel has none.
    """

    starts: NDArray[np.int64]  # (N + 1,)
    true: NDArray[np.uint8]  # (cells,): the label
    predicted: NDArray[np.uint8]  # (cells,): what it was taken for
    pixels: NDArray[np.int64]  # (cells,), each above 0

    def total(self, num_classes: int) -> NDArray[np.int64]:
        """Return the matrix of the whole split, (label, prediction)."""
        matrix = np.zeros((num_classes, num_classes), np.int64)
        np.add.at(matrix, (self.true, self.predicted), self.pixels)
        return matrix

    def of_pair(self, one: int, other: int) -> NDArray[np.int64]:
        """Return each image's pixels that are of one of two classes and were taken for the other, (N,)."""
        between = (self.true == one) & (self.predicted == other) | (self.true == other) & (self.predicted == one)
        sums = np.concatenate([[0], np.cumsum(np.where(between, self.pixels, 0))])
        return np.diff(sums[self.starts])

    def counts(self, num_classes: int) -> NDArray[np.int64]:
        """Return each image's pixels that are true positive, false positive and false negative: (N, C, 3)."""
        counts = np.zeros((len(self.starts) - 1, num_classes, 3), np.int64)
        images = np.repeat(np.arange(len(counts)), np.diff(self.starts))
        wrong = self.true != self.predicted
        for kind, classes, some in ((0, self.true, ~wrong), (1, self.predicted, wrong), (2, self.true, wrong)):
            np.add.at(counts, (images[some], classes[some], kind), self.pixels[some])
        return counts


Cells = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]  # labels, predictions, pixels of one image


def cells_of(matrix: NDArray[np.int64]) -> Cells:
    """Return the cells above 0 of one image's matrix (label, prediction), row by row."""
    true, predicted = np.nonzero(matrix)
    return true.astype(np.uint8), predicted.astype(np.uint8), matrix[true, predicted]


def joined(images: Iterable[Cells]) -> ConfusionCells:
    """Join the cells of a split's images."""
    found = list(images)
    starts = np.cumsum([0, *(len(pixels) for *_, pixels in found)])
    if not found:
        return ConfusionCells(starts, np.zeros(0, np.uint8), np.zeros(0, np.uint8), np.zeros(0, np.int64))
    return ConfusionCells(starts, *(np.concatenate(parts) for parts in zip(*found, strict=True)))
