"""Scores from counts of true positive, false positive and false negative pixels.

`iou`, `dice` and `f2` take counts (..., 3) and give NaN where all three are 0: a class that is neither in the labels
nor in the predictions has no score. The scores of a split come from the split's sums; `..._per_image` are means over
images.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]  # (N, C, 3): tp, fp, fn
Scores = NDArray[np.float64]
Formula = Callable[[NDArray[Any]], Scores]  # of counts, or of their sums over images


def iou(counts: Counts) -> Scores:
    """Compute the intersection over union (Jaccard index), tp / (tp + fp + fn): (..., 3) -> (...)."""
    tp, fp, fn = np.moveaxis(counts, -1, 0)
    return ratio(tp, tp + fp + fn)


def dice(counts: Counts) -> Scores:
    """Compute the Dice coefficient (F1), 2 tp / (2 tp + fp + fn): (..., 3) -> (...)."""
    tp, fp, fn = np.moveaxis(counts, -1, 0)
    return ratio(2 * tp, 2 * tp + fp + fn)


def f2(counts: Counts) -> Scores:
    """Compute F2, which weights misses more than false alarms, 5 tp / (5 tp + fp + 4 fn): (..., 3) -> (...)."""
    tp, fp, fn = np.moveaxis(counts, -1, 0)
    return ratio(5 * tp, 5 * tp + fp + 4 * fn)


def recall(counts: Counts) -> Scores:
    """Compute the share of each class's pixels that are found, tp / (tp + fn): (..., 3) -> (...)."""
    return ratio(counts[..., 0], counts[..., 0] + counts[..., 2])


def accuracy(counts: Counts) -> Scores:
    """Compute the share of all pixels that have the right class: (..., C, 3) -> (...)."""
    return recall(counts.sum(axis=-2))


def macro(score: Formula) -> Formula:
    """Make the mean of a score over the classes, absent ones left out: (..., C, 3) -> (...)."""
    return lambda counts: mean_of_known(score(counts))


def of_split(formula: Formula, counts: Counts) -> float | None:
    """Apply a formula to the sums over the images, (N, C, 3); None where it gives no value."""
    return _value(formula(counts.sum(axis=0)))


def mean_iou(counts: Counts) -> float | None:
    """Compute the mean over classes of the IoU of the split's sums (one confusion matrix over the whole split)."""
    return of_split(macro(iou), counts)


def mean_iou_per_image(counts: Counts) -> float | None:
    """Compute the mean over images of their mean IoU over the classes in their labels or predictions."""
    return mean_per_image(iou(counts))


def image_means(counts: Counts) -> Scores:
    """Compute each image's mean IoU over the classes in its labels or predictions: (N, C, 3) -> (N,), NaN for none."""
    return mean_of_known(iou(counts))


def mean_per_image(scores: Scores) -> float | None:
    """Compute the mean over images of their means over classes, (N, C); NaN is left out of both."""
    return mean_of(np.nanmean(scores[~np.isnan(scores).all(axis=1)], axis=1))


def majority_class_mean_iou(counts: Counts) -> float | None:
    """Compute the mean IoU of predicting the most frequent class everywhere, which a model must exceed.

    The IoU of that class is its share of the pixels; that of the other classes in the labels is 0.
    """
    pixels = counts[..., 0].sum(axis=0) + counts[..., 2].sum(axis=0)  # tp + fn: pixels by label
    if not pixels.any():
        return None
    return float(pixels.max() / pixels.sum() / np.count_nonzero(pixels))


def summary(counts: Counts, classes: Sequence[str]) -> dict[str, Any]:
    """Compute the `metrics` of a record; a score that does not exist (an absent class, no image) is None, never NaN.

    Args:
        counts: int64 (N, C, 3) of all images of a split, from `confusion_counts`.
        classes: the C names.

    Returns:
        mean_iou, dice, f2, pixel_accuracy, mean_iou_per_image, majority_class_mean_iou: float;
        iou, dice_per_class, f2_per_class: {class: float};
        never_predicted: the classes that the labels have and no prediction has;
        with two classes also foreground_iou, foreground_dice, foreground_f2, of class 1, and foreground_iou_per_image,
        the mean over the images that have class 1 or are said to.
    """
    sums = counts.sum(axis=0)
    values: dict[str, Any] = {
        "mean_iou": mean_iou(counts),
        "dice": of_split(macro(dice), counts),
        "f2": of_split(macro(f2), counts),
        "pixel_accuracy": of_split(accuracy, counts),
        "mean_iou_per_image": mean_iou_per_image(counts),
        "majority_class_mean_iou": majority_class_mean_iou(counts),
    }
    for key, score in (("iou", iou), ("dice_per_class", dice), ("f2_per_class", f2)):
        values[key] = dict(zip(classes, map(_value, score(sums)), strict=True))
    values["never_predicted"] = [name for name, (tp, fp, fn) in zip(classes, sums, strict=True) if fn and not tp + fp]
    if len(classes) == 2:
        for key, score in (("iou", iou), ("dice", dice), ("f2", f2)):
            values[f"foreground_{key}"] = _value(score(sums[1]))
        values["foreground_iou_per_image"] = mean_of(iou(counts[:, 1]))
    return values


def mean_of_known(values: Scores) -> Scores:
    """Compute the mean over the last axis without NaN; NaN where nothing is known."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))


def ratio(part: NDArray[Any], whole: NDArray[Any]) -> Scores:
    """Compute part / whole, NaN where whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)


def mean_of(scores: Scores) -> float | None:
    """Compute the mean of what is not NaN; None where nothing is left."""
    present = scores[~np.isnan(scores)]
    return float(present.mean()) if present.size else None


def _value(score: Scores | float) -> float | None:
    return None if np.isnan(score) else float(score)
