"""Boundary scores: IoU near the boundary, and how much of a contour lies near the other one.

Boundary IoU: Cheng et al. 2021, arXiv:2103.16562: only pixels within 2 % of the image's diagonal of their own mask's
boundary count, in chessboard distance as in the authors' code; the image's border is a boundary.
Boundary F: Csurka et al. 2013, "What is a good evaluation measure for semantic segmentation?": precision and recall of
contour pixels within 0.75 % of the diagonal of the other contour, in Euclidean distance; the image's border isn't one.
Ignored pixels make no boundary and count in neither score. Two classes share their boundary: only class 1 is scored.
"""

from math import hypot
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.core.specs import IGNORE_INDEX
from bench.evaluation.metric_protocol import CLASSES, KINDS, Array, ImageMetric, Prediction
from bench.evaluation.scores import Counts, Scores, iou, macro, mean_per_image, of_split

WIDTH = 0.02  # of the diagonal: how far from its boundary a mask's pixel counts for boundary IoU
TOLERANCE = 0.0075  # of the diagonal: how far from the other contour a contour pixel may lie

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def boundary_counts(
    labels: NDArray[Any], predictions: NDArray[Any], num_classes: int, ignore_index: int | None = IGNORE_INDEX
) -> Counts:
    """Count the pixels of the boundary regions that are true positive, false positive and false negative.

    Args:
        labels: (N, H, W) integers, 0 to num_classes - 1 or `ignore_index`.
        predictions: the same shape, 0 to num_classes - 1.

    Returns:
        int64 (N, num_classes, 3): tp, fp, fn; their IoU is the boundary IoU. With two classes, the first has zeros.
    """
    counts = np.zeros((len(labels), num_classes, 3), np.int64)
    width = max(1, round(WIDTH * hypot(*labels.shape[1:])))
    for row, (truth, guess) in enumerate(zip(labels, predictions, strict=True)):
        ignored = _ignored(truth, ignore_index)
        for label in _scored(num_classes):
            true, predicted = (_region(classes == label, ignored, width) for classes in (truth, guess))
            shared = np.count_nonzero(true & predicted)
            counts[row, label] = shared, np.count_nonzero(predicted) - shared, np.count_nonzero(true) - shared
    return counts


def contour_counts(
    labels: NDArray[Any], predictions: NDArray[Any], num_classes: int, ignore_index: int | None = IGNORE_INDEX
) -> Counts:
    """Count the contour pixels, and those of them near the other contour; the arguments are those of `boundary_counts`.

    Returns:
        int64 (N, num_classes, 4): predicted pixels near the true contour, predicted pixels, true pixels near the
        predicted contour, true pixels. With two classes, the first has zeros.
    """
    counts = np.zeros((len(labels), num_classes, 4), np.int64)
    disk = _disk(TOLERANCE * hypot(*labels.shape[1:]))
    for row, (truth, guess) in enumerate(zip(labels, predictions, strict=True)):
        ignored = _ignored(truth, ignore_index)
        for label in _scored(num_classes):
            true, predicted = (_contour(classes == label, ignored) for classes in (truth, guess))
            near_true, near_predicted = _near(predicted, true, disk), _near(true, predicted, disk)
            counts[row, label] = near_true, np.count_nonzero(predicted), near_predicted, np.count_nonzero(true)
    return counts


def boundary_f(counts: Counts) -> Scores:
    """Compute boundary F, 2 precision recall / (precision + recall), from `contour_counts`: (..., 4) -> (...).

    It is NaN if there is neither contour, and 0 if there is only one.
    """
    near_true, predicted, near_predicted, true = np.moveaxis(counts, -1, 0)
    precision, recall = near_true / np.maximum(predicted, 1), near_predicted / np.maximum(true, 1)
    both = precision + recall
    scores = np.divide(2 * precision * recall, both, out=np.zeros(both.shape), where=both > 0)
    return np.where((predicted == 0) & (true == 0), np.nan, scores)


def boundary_summary(boundary: Counts, contour: Counts) -> dict[str, float | None]:
    """Compute the scores of a split from its `boundary_counts` and `contour_counts`; None if there is nothing to score.

    Returns:
        boundary_iou: computed from the split's sums, mean over the classes; boundary_iou_per_image and
        boundary_f_per_image: the mean over the images of each image's mean over its true and predicted classes.
    """
    return {
        "boundary_iou": of_split(macro(iou), boundary),
        "boundary_iou_per_image": mean_per_image(iou(boundary)),
        "boundary_f_per_image": mean_per_image(boundary_f(contour)),
    }


def _per_image(prediction: Prediction) -> dict[str, Counts]:
    maps = prediction.labels[None], prediction.classes[None], prediction.num_classes
    return {"boundary": boundary_counts(*maps)[0], "contour": contour_counts(*maps)[0]}


BOUNDARY = ImageMetric(
    name="boundary",
    arrays=(
        Array("boundary", (CLASSES, KINDS)),
        Array("contour", (CLASSES, ("near_true", "predicted", "near_predicted", "true"))),
    ),
    per_image=_per_image,
    summary=lambda arrays, names: boundary_summary(arrays["boundary"], arrays["contour"]),
)


def _scored(num_classes: int) -> range:
    return range(num_classes == 2, num_classes)


def _ignored(truth: NDArray[Any], ignore_index: int | None) -> NDArray[np.bool_] | None:
    ignored = truth == ignore_index if ignore_index is not None else None
    return ignored if ignored is not None and ignored.any() else None


def _region(mask: NDArray[np.bool_], ignored: NDArray[np.bool_] | None, width: int) -> NDArray[np.bool_]:
    """Find the mask's pixels within `width` of what is outside of it."""
    if not mask.any():
        return mask
    whole = mask if ignored is None else mask | ignored
    side = 2 * width + 1
    inner = cv2.erode(
        whole.view(np.uint8), np.ones((side, side), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    region = mask & (inner == 0)
    return region if ignored is None else region & ~ignored


def _contour(mask: NDArray[np.bool_], ignored: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Find the mask's pixels beside what is outside of it (4-connected)."""
    if not mask.any():
        return mask
    whole = mask if ignored is None else mask | ignored
    inside = cv2.erode(whole.view(np.uint8), _CROSS)  # beyond the image's border nothing erodes
    contour = mask & (inside == 0)
    return contour if ignored is None else contour & ~ignored


def _near(contour: NDArray[np.bool_], other: NDArray[np.bool_], disk: NDArray[np.uint8]) -> int:
    """Count the pixels of a contour that have a pixel of the other within the disk around them."""
    if not contour.any() or not other.any():
        return 0
    left, top, width, height = cv2.boundingRect((contour | other).view(np.uint8))
    box = np.s_[top : top + height, left : left + width]
    return int(np.count_nonzero(cv2.dilate(other[box].view(np.uint8), disk)[contour[box]]))


def _disk(radius: float) -> NDArray[np.uint8]:
    """Draw the disk of that radius, uint8 (2 r + 1, 2 r + 1); OpenCV's own ellipse is rounded."""
    reach = np.arange(-int(radius), int(radius) + 1)
    return (np.hypot(*np.meshgrid(reach, reach)) <= radius).astype(np.uint8)
