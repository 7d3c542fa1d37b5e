"""Scores of objects, not pixels: how many ships were found, and how well, at ten thresholds of overlap.

A predicted object hits at threshold t if its IoU with a true object is greater than t = 0.50, 0.55, ..., 0.95. Objects
of one map don't overlap, so that at these thresholds no object can hit twice. The definition is that of the Airbus
Ship Detection Challenge (Kaggle, 2018, "Evaluation"). IoUs are compared in integers, because 0.6 has no exact float.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.core.errors import BenchError
from bench.evaluation.confusion import THRESHOLDS
from bench.evaluation.metric_protocol import KINDS, MIN_AREAS, Array, Arrays, ImageMetric, Need, Prediction, Tuning
from bench.evaluation.scores import Counts, Scores, f2

OVERLAPS = tuple(k / 20 for k in range(10, 20))  # 0.50, 0.55, ..., 0.95
SIZES = {"small": (1, 32**2), "medium": (32**2, 96**2), "large": (96**2, None)}  # pixels, from and to below, as in COCO
_TWENTIETHS = np.arange(10, 20)
_LARGE = 2**16  # cells of a table that costs nothing
_BOUNDS = np.array([low for low, _ in list(SIZES.values())[1:]])


class Overlap(NamedTuple):
    """The objects of one image: their areas, and the pixels that each pair shares."""

    true: NDArray[np.int64]  # area of each true object in pixels
    predicted: NDArray[np.int64]  # area of each predicted object
    pairs: NDArray[np.int64]  # (M, 3): true object, predicted object, pixels they share


def airbus_f2(true: ArrayLike, predicted: ArrayLike, *, true_is_instances: bool = False) -> Scores:
    """Compute the F2 score of the Airbus Ship Detection Challenge, one for each image.

    It is the mean over ten thresholds of 5 TP / (5 TP + 4 FN + FP), counted over the image's objects: 1 if neither map
    has an object, 0 if only one has any. The score of a split is the mean over its images.

    Args:
        true: (N, H, W); an object is an 8-connected component of pixels that aren't 0.
        predicted: the same, integers or booleans.
        true_is_instances: `true` numbers its objects instead (1, 2, ...; 0 is none), so that touching ships stay apart.

    Returns:
        float64 (N,).

    Raises:
        BenchError: the shapes differ, or values aren't integers.
    """
    return image_f2(object_counts(true, predicted, true_is_instances=true_is_instances))


def object_counts(true: ArrayLike, predicted: ArrayLike, *, true_is_instances: bool = False) -> Counts:
    """Count found, wrongly predicted and missed objects by size and threshold; arguments and errors are `airbus_f2`'s.

    A found or missed object counts under the size of the true object, a wrongly predicted one under its own.

    Returns:
        int64 (N, 3, 10, 3): image, size (small, medium, large), threshold, then tp, fp, fn.
    """
    maps, guesses = _maps(true, "true objects"), _maps(predicted, "predicted objects")
    if maps.shape != guesses.shape:
        raise BenchError(
            f"True objects of shape {maps.shape}, predicted ones of {guesses.shape}: the shapes must be equal."
        )
    counts = np.zeros((len(maps), len(SIZES), len(OVERLAPS), 3), np.int64)
    for row, (labels, guess) in enumerate(zip(maps, guesses, strict=True)):
        counts[row] = count(overlap(labels if true_is_instances else components(labels), components(guess)))
    return counts


def image_f2(counts: Counts) -> Scores:
    """Compute `airbus_f2` of images from their `object_counts`: (..., 3, 10, 3) -> (...)."""
    return np.asarray(f2_by_overlap(counts).mean(axis=-1))


def f2_by_overlap(counts: Counts) -> Scores:
    """Compute F2 at each of OVERLAPS, whose mean is `image_f2`: (..., 3, 10, 3) -> (..., 10)."""
    scores = f2(counts.sum(axis=-3))  # sizes together
    return np.where(np.isnan(scores), 1.0, scores)


def object_summary(counts: Counts) -> dict[str, float | None]:
    """Compute the scores of a split from its `object_counts`; None if there is nothing to score.

    Returns:
        airbus_f2: mean over the images; airbus_f2_with_objects: mean over those that have a true object;
        object_presence_accuracy: share of the images with objects in both maps or in neither;
        airbus_f2_small, ..._medium, ..._large: from the split's sums for one size, mean over the thresholds.
    """
    scores = image_f2(counts)
    tp, fp, fn = np.moveaxis(
        counts.sum(axis=1)[:, 0], -1, 0
    )  # (N,) each; whether there is any doesn't depend on the overlap
    has_true, has_predicted = tp + fn > 0, tp + fp > 0
    values = {
        "airbus_f2": _mean(scores),
        "airbus_f2_with_objects": _mean(scores[has_true]),
        "object_presence_accuracy": _mean(has_true == has_predicted),
    }
    for size, sums in zip(SIZES, counts.sum(axis=0), strict=True):
        values[f"airbus_f2_{size}"] = float(f2(sums).mean()) if sums.any() else None
    return values


def components(mask: NDArray[Any]) -> NDArray[np.int32]:
    """Number the 8-connected components of pixels that aren't 0: (H, W) to int32 (H, W), 0 outside of them."""
    return cv2.connectedComponents((mask != 0).view(np.uint8), connectivity=8, ltype=cv2.CV_32S)[1]


def overlap(true: NDArray[Any], predicted: NDArray[Any]) -> Overlap:
    """Measure the objects of two maps (H, W) that number them; a number without pixels is no object."""
    taken = np.flatnonzero((true != 0) | (predicted != 0))  # a few thousand of 768 x 768 pixels
    true, predicted = (_compact(numbers.ravel()[taken]) for numbers in (true, predicted))
    columns = int(predicted.max(initial=0)) + 1
    cells = true * columns + predicted
    size = (int(true.max(initial=0)) + 1) * columns
    if size <= 4 * len(cells) + _LARGE:
        shared = np.bincount(cells, minlength=size)
        cells = np.flatnonzero(shared)
        shared = shared[cells]
    else:  # thousands of specks in both maps: a full matrix would not fit
        cells, shared = np.unique(cells, return_counts=True)
    pairs = np.stack([cells // columns - 1, cells % columns - 1, shared], axis=1)
    return Overlap(_areas(true), _areas(predicted), pairs[(pairs[:, 0] >= 0) & (pairs[:, 1] >= 0)])


def without_small(objects: Overlap, min_area: int) -> Overlap:
    """Leave out predicted objects of fewer than `min_area` pixels."""
    kept = objects.predicted >= min_area
    number = np.cumsum(kept) - 1
    pairs = objects.pairs[kept[objects.pairs[:, 1]]]
    return Overlap(objects.true, objects.predicted[kept], np.stack([pairs[:, 0], number[pairs[:, 1]], pairs[:, 2]], 1))


def drop_small(mask: NDArray[np.bool_], min_area: int) -> NDArray[np.bool_]:
    """Remove from a mask (H, W) its 8-connected components of fewer than `min_area` pixels."""
    if min_area <= 1:
        return mask
    numbers = components(mask)
    kept = np.bincount(numbers.ravel()) >= min_area
    kept[0] = False
    return kept[numbers]


def count(objects: Overlap) -> Counts:
    """Compute the `object_counts` of one image: int64 (3, 10, 3)."""
    first, second, shared = objects.pairs.T
    union = objects.true[first] + objects.predicted[second] - shared
    hits = 20 * shared[:, None] > _TWENTIETHS * union[:, None]  # (M, 10)
    found = np.zeros((len(objects.true), len(OVERLAPS)), bool)
    right = np.zeros((len(objects.predicted), len(OVERLAPS)), bool)
    pair, threshold = np.nonzero(hits)
    found[first[pair], threshold] = True
    right[second[pair], threshold] = True
    by_size = [np.searchsorted(_BOUNDS, areas, side="right") for areas in (objects.true, objects.predicted)]
    counts = np.zeros((len(SIZES), len(OVERLAPS), 3), np.int64)
    np.add.at(counts[..., 0], by_size[0], found)
    np.add.at(counts[..., 1], by_size[1], ~right)
    np.add.at(counts[..., 2], by_size[0], ~found)
    return counts


def _compact(numbers: NDArray[Any]) -> NDArray[np.int64]:
    """Number the same objects 1, 2, ... without gaps."""
    if numbers.max(initial=0) > _LARGE:
        known, numbers = np.unique(numbers, return_inverse=True)
        return numbers + int(known[0] != 0)
    known = np.bincount(numbers, minlength=1) > 0
    known[0] = False
    return np.cumsum(known)[numbers]


def _areas(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.bincount(numbers)[1:]


def _maps(values: ArrayLike, what: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind not in "biu" or array.ndim != 3:
        raise BenchError(
            f"The {what} are {array.dtype} of shape {array.shape}. Give integers or booleans of shape "
            "(N, height, width)."
        )
    if array.size and array.min() < 0:
        raise BenchError(f"The {what} hold {array.min()}. Accepted: 0 (no object) and above.")
    return array


def _mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if len(values) else None


def _true_objects(prediction: Prediction) -> NDArray[Any]:
    if prediction.objects is None:
        raise BenchError("Objects are scored, but the prediction has none.")
    return prediction.objects


def _per_image(prediction: Prediction) -> dict[str, Any]:
    mask = (prediction.classes == 1) & prediction.counted
    counts = count(overlap(_true_objects(prediction), components(mask)))
    return {"objects": counts, "airbus_f2": image_f2(counts)}


def _f2_by_threshold(prediction: Prediction) -> Scores:
    """Score an image at each threshold and minimum area: (19, len(MIN_AREAS))."""
    true = _true_objects(prediction)
    return np.array([_f2_by_area(true, prediction.above(threshold)) for threshold in THRESHOLDS])


def _f2_by_area(true: NDArray[Any], mask: NDArray[np.bool_]) -> list[float]:
    """Score the objects of a mask at each minimum area; areas that keep equally many objects are scored once."""
    found = overlap(true, components(mask))
    kept = [int((found.predicted >= area).sum()) for area in MIN_AREAS]
    scores = {
        number: float(image_f2(count(without_small(found, area))))
        for number, area in dict(zip(kept, MIN_AREAS, strict=True)).items()
    }
    return [scores[number] for number in kept]


def _summary(arrays: Arrays, names: Sequence[str]) -> dict[str, float | None]:
    return object_summary(arrays["objects"])


AIRBUS_F2 = ImageMetric(
    name="airbus_f2",
    arrays=(
        Array("objects", (tuple(SIZES), tuple(f"t{round(100 * t):02d}" for t in OVERLAPS), KINDS)),
        Array("airbus_f2"),
    ),
    per_image=_per_image,
    summary=_summary,
    needs=(Need.TWO_CLASSES, Need.NAMED, Need.OBJECTS),
    history=("airbus_f2",),
    tuned=("objects",),
    tuned_summary=_summary,
    tuning=Tuning(_f2_by_threshold, lambda scores: scores.mean(axis=0)),
)
