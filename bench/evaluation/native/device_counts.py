"""The function that a backend compiles: bilinear resizing, decisions and counts of images of one size."""

from typing import Any

import numpy as np
from keras import ops

from bench.core.specs import IGNORE_INDEX
from bench.evaluation.confusion import THRESHOLDS

CUTS = tuple(float(np.log(t / (1 - t))) for t in THRESHOLDS)  # a probability exceeds t where the margin exceeds this
SLACK = 2e-5  # of a margin near a cut: twice what a float32 sigmoid and the rounding of t make


def restore_and_count(
    values: Any, labels: Any, near: Any, rows: Any, columns: Any, *, num_classes: int, levels: bool, maps: bool
) -> dict[str, Any]:
    """Resize logits and compare them with labels.

    Args:
        values: float32 (N, h, w, C), or (N, h, w, 1): the logit of class 1 minus that of class 0.
        labels: uint8 (N, H, W).
        near: float32 (N,): how far rounding may move a resized value.
        rows: the axis of H pixels as three arrays, see `resizing_axes.Axis`.
        columns: that of W pixels.

    Returns:
        unsure: bool (N, H), the rows of pixels that aren't counted since rounding could decide about one of them;
        wrong: bool (N,), whether a label belongs to no class; counts: int32 (N, C, 3);
        levels: int32 (N, 19, 2), tp and fp by threshold, if `levels`;
        map: uint8 (N, H, W), if `maps`: the number of thresholds that are passed if `levels`, else the class.
    """
    values, labels, near = (ops.convert_to_tensor(array) for array in (values, labels, near))
    restored = _resized(_resized(values, columns, axis=2), rows, axis=1)
    if values.shape[-1] == 1:
        classes, passed, unsure = _of_margin(restored[..., 0], near[:, None, None], levels)
    else:
        classes, unsure = _of_logits(restored, near[:, None, None, None])
        passed = classes
    unsure = ops.any(unsure, axis=2)
    known = labels != IGNORE_INDEX
    counted = known & ~unsure[..., None]
    truths = [counted & (labels == label) for label in range(num_classes)]
    found = {"unsure": unsure, "wrong": ops.any(known & (labels >= num_classes), axis=(1, 2))}
    found["counts"] = ops.stack([_counts(truths[k], counted & (classes == k)) for k in range(num_classes)], axis=1)
    if levels:
        above = [passed > k for k in range(len(CUTS))]
        pairs = [ops.stack([_sum(truths[1] & some), _sum(truths[0] & some)], axis=-1) for some in above]
        found["levels"] = ops.stack(pairs, axis=1)
    if maps:
        found["map"] = ops.cast(passed if levels else classes, "uint8")
    return found


def _resized(values: Any, axis_of: Any, axis: int) -> Any:
    """Resize along one axis; first the columns and then the rows, as OpenCV does."""
    low, high, weight = (ops.convert_to_tensor(array) for array in axis_of)
    weight = ops.reshape(weight, [-1 if place == axis else 1 for place in range(4)])
    return ops.take(values, low, axis=axis) * (1 - weight) + ops.take(values, high, axis=axis) * weight


def _of_margin(margin: Any, near: Any, levels: bool) -> tuple[Any, Any, Any]:
    """Return the classes, the number of cuts that are exceeded, and where rounding could decide, each (N, H, W)."""
    sure = ops.abs(margin) > near  # False for NaN
    positive = ops.cast(margin > 0, "int32")
    if not levels:
        return positive, positive, ~sure
    passed = ops.zeros_like(positive)
    for cut in CUTS:
        passed = passed + ops.cast(margin > cut, "int32")
        sure = sure & (ops.abs(margin - cut) > near + SLACK)
    return positive, passed, ~sure


def _of_logits(logits: Any, near: Any) -> tuple[Any, Any]:
    """Return the most probable class, and where rounding could choose another one, each (N, H, W)."""
    best = ops.max(logits, axis=-1, keepdims=True)
    rivals = ops.sum(ops.cast(logits >= best - 2 * near, "int32"), axis=-1)
    return ops.cast(ops.argmax(logits, axis=-1), "int32"), rivals != 1


def _counts(true: Any, predicted: Any) -> Any:
    """Count true positive, false positive and false negative pixels of two masks, (N, H, W) to (N, 3)."""
    both = _sum(true & predicted)
    return ops.stack([both, _sum(predicted) - both, _sum(true) - both], axis=-1)


def _sum(mask: Any) -> Any:
    return ops.sum(ops.cast(mask, "int32"), axis=(1, 2))
