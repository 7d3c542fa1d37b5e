"""Count the pixels of every image by label and prediction, the basis of all pixel scores.

In int64: keras.metrics.MeanIoU keeps an int32 matrix that wraps after 2^31 pixels (Keras 3.15.1).
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX

_EXACT = 2**24  # pixels at a time, because OpenCV's histograms are float32
_CACHED = 2**16  # pixels at a time, whose values stay in the processor's cache
THRESHOLDS = tuple(k / 20 for k in range(1, 20))  # 0.05, 0.10, ..., 0.95


def confusion_counts(
    labels: ArrayLike, predictions: ArrayLike, num_classes: int, ignore_index: int | None = IGNORE_INDEX
) -> NDArray[np.int64]:
    """Count the pixels of every image and class that are true positive, false positive and false negative.

    Args:
        labels: (N, ...) integers, 0 to num_classes - 1 or `ignore_index`.
        predictions: the same shape, 0 to num_classes - 1; any value where the label is `ignore_index`.
        num_classes: the number of classes, background included, the ignored label not.
        ignore_index: the label of pixels that don't count; None if there is none.

    Returns:
        int64 (N, num_classes, 3): tp, fp, fn.

    Raises:
        BenchError: the shapes differ, or values aren't integers or belong to no class.
    """
    return counts_of(confusion_matrices(labels, predictions, num_classes, ignore_index))


def counts_of(matrices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the true positives, false positives and false negatives of matrices: (N, C, C) to (N, C, 3)."""
    tp = np.diagonal(matrices, axis1=1, axis2=2)
    return np.stack([tp, matrices.sum(axis=1) - tp, matrices.sum(axis=2) - tp], axis=-1)


def confusion_matrices(
    labels: ArrayLike, predictions: ArrayLike, num_classes: int, ignore_index: int | None = IGNORE_INDEX
) -> NDArray[np.int64]:
    """Count the pixels of every image by label and prediction: int64 (N, label, prediction).

    The arguments and errors are those of `confusion_counts`.
    """
    true, predicted = _flat_integers(labels, "labels"), _flat_integers(predictions, "predictions")
    _check_shapes(np.shape(labels), np.shape(predictions))
    ignored = true == ignore_index if ignore_index is not None else np.zeros(true.shape, bool)
    _check_range(true, ignored, num_classes, "labels")
    _check_range(predicted, ignored, num_classes, "predictions")
    cells = num_classes * num_classes
    kind = np.min_scalar_type(cells)  # the smallest dtype, because there are many pixels
    cell = true.astype(kind) * kind.type(num_classes) + predicted.astype(kind)
    cell[ignored] = cells  # replaces values that may have overflowed
    return _histograms(cell, cells + 1)[:, :-1].reshape(-1, num_classes, num_classes)


def threshold_counts(
    labels: ArrayLike,
    probabilities: ArrayLike,
    thresholds: tuple[float, ...] = THRESHOLDS,
    ignore_index: int | None = IGNORE_INDEX,
) -> NDArray[np.int64]:
    """Count the pixels of class 1 of a binary task at several thresholds: positive is probability > threshold.

    Args:
        labels: (N, ...) integers, 0, 1 or `ignore_index`.
        probabilities: the same shape, float, of class 1. The thresholds are rounded to their dtype.
            At 0.5 this is the argmax of two classes: a tie is class 0 in both. NaN is never positive.
        thresholds: T ascending values.
        ignore_index: the label of pixels that don't count; None if there is none.

    Returns:
        int64 (N, T, 3): tp, fp, fn.

    Raises:
        BenchError: the shapes differ, or a label is neither 0, 1 nor ignored.
    """
    _check_shapes(np.shape(labels), np.shape(probabilities))
    return level_counts(labels, levels(np.asarray(probabilities), thresholds), len(thresholds), ignore_index)


def levels(
    probabilities: NDArray[np.floating[Any]], thresholds: tuple[float, ...] = THRESHOLDS
) -> NDArray[np.unsignedinteger]:
    """Count how many of the ascending thresholds each probability exceeds; see `threshold_counts` for their dtype.

    Returns:
        The smallest unsigned integers that hold the count, of the same shape.
    """
    flat = probabilities.reshape(-1)
    found = np.zeros(flat.shape, np.min_scalar_type(len(thresholds)))
    limits = [flat.dtype.type(threshold) for threshold in thresholds]
    above = np.zeros(min(len(flat), _CACHED), bool)
    for start in range(0, len(flat), _CACHED):  # cheaper than a binary search per pixel for a few dozen thresholds
        part, passed = flat[start : start + _CACHED], found[start : start + _CACHED]
        for limit in limits:
            np.greater(part, limit, out=above[: len(part)])
            passed += above[: len(part)].view(np.uint8)
    return found.reshape(probabilities.shape)


def level_counts(
    labels: ArrayLike,
    passed: NDArray[np.unsignedinteger],
    thresholds: int = len(THRESHOLDS),
    ignore_index: int | None = IGNORE_INDEX,
) -> NDArray[np.int64]:
    """Do the same as `threshold_counts`, given how many of the thresholds each pixel has passed."""
    true = _flat_integers(labels, "labels")
    ignored = true == ignore_index if ignore_index is not None else np.zeros(true.shape, bool)
    _check_range(true, ignored, 2, "labels")
    bins = thresholds + 1  # a pixel's bin is the number of thresholds that it passes
    kind = np.min_scalar_type(2 * bins)  # the smallest dtype: four times as fast as int64
    cell = passed.reshape(true.shape).astype(kind)
    cell += true.astype(kind) * kind.type(bins)
    cell[ignored] = 2 * bins
    histogram = _histograms(cell, 2 * bins + 1)[:, :-1]
    # Pixels that pass threshold k are those in the bins above k: a sum from the right.
    above = histogram.reshape(-1, 2, bins)[:, :, ::-1].cumsum(axis=2)[:, :, ::-1]
    fp, tp = above[:, 0, 1:], above[:, 1, 1:]
    return np.stack([tp, fp, above[:, 1, :1] - tp], axis=-1)


def _histograms(cell: NDArray[np.unsignedinteger], cells: int) -> NDArray[np.int64]:
    """Count the values of each row: (N, P) integers below `cells` to int64 (N, cells)."""
    count = _bincount if cell.itemsize <= 2 else np.bincount
    return np.array([count(row, minlength=cells) for row in cell], np.int64).reshape(len(cell), cells)


def _bincount(row: NDArray[np.unsignedinteger], minlength: int) -> NDArray[np.int64]:
    """Do the same as `np.bincount` for uint8 or uint16 below `minlength`, but in a fraction of the time."""
    counts = np.zeros(minlength, np.int64)
    for start in range(0, len(row), _EXACT):
        part = row[None, start : start + _EXACT]
        counts += cv2.calcHist([part], [0], None, [minlength], [0, minlength]).ravel().astype(np.int64)
    return counts


def _flat_integers(values: ArrayLike, what: str) -> NDArray[np.integer]:
    array = np.asarray(values)
    if array.dtype.kind not in "biu" or array.ndim < 1:
        raise BenchError(
            f"The {what} are {array.dtype} of shape {array.shape}. Give integers of shape (N, height, width)."
        )
    return array.reshape(len(array), int(np.prod(array.shape[1:])))


def _check_shapes(labels: tuple[int, ...], predictions: tuple[int, ...]) -> None:
    if labels != predictions:
        raise BenchError(f"Labels of shape {labels} and predictions of shape {predictions}: the shapes must be equal.")


def _check_range(values: NDArray[np.integer], ignored: NDArray[np.bool_], num_classes: int, what: str) -> None:
    outside = ((values < 0) | (values >= num_classes)) & ~ignored
    if outside.any():
        raise BenchError(
            f"The {what} hold {int(values[outside][0])}, which is none of the {num_classes} classes "
            f"(0 to {num_classes - 1}). Check the data set's label values and num_classes."
        )
