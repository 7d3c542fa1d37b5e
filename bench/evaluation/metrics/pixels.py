"""Pixels that are true positive, false positive and false negative, by class and threshold: the counts behind IoU."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.evaluation import scores
from bench.evaluation.confusion import THRESHOLDS
from bench.evaluation.metric_protocol import CLASSES, KINDS, Array, Arrays, ImageMetric, Need, Prediction, Tuning
from bench.evaluation.scores import Counts, Scores


def counts_by_threshold(prediction: Prediction) -> Counts:
    """Count class 1 of an image at each of THRESHOLDS: int64 (19, 3)."""
    return prediction.threshold_counts


def _summary(arrays: Arrays, names: Sequence[str]) -> dict[str, Any]:
    return scores.summary(arrays["counts"], names)


def _tuned_summary(arrays: Arrays, names: Sequence[str]) -> dict[str, Any]:
    counts = arrays["counts"]
    sums = counts[:, 1].sum(axis=0)
    return {
        "mean_iou": scores.mean_iou(counts),
        "foreground_iou": scores.mean_of(scores.iou(sums)),
        "foreground_dice": scores.mean_of(scores.dice(sums)),
        "foreground_f2": scores.mean_of(scores.f2(sums)),
    }


def _iou_by_threshold(counts: Counts) -> Scores:
    """Compute the IoU of class 1 over the split: (N, 19, 3) -> (19, 1)."""
    return np.nan_to_num(scores.iou(counts.sum(axis=0)))[:, None]


PIXELS = ImageMetric(
    name="pixels",
    arrays=(Array("counts", (CLASSES, KINDS), prefix=""),),
    per_image=lambda prediction: {"counts": prediction.counts},
    summary=_summary,
    counts_suffice=True,
    history=("mean_iou", "dice", "f2", "pixel_accuracy"),
    tuned=("counts",),
    tuned_summary=_tuned_summary,
    tuning=Tuning(counts_by_threshold, _iou_by_threshold),
)

THRESHOLD_KEYS = tuple(f"t{round(100 * t):02d}" for t in THRESHOLDS)

PIXELS_BY_THRESHOLD = ImageMetric(
    name="pixels_by_threshold",
    arrays=(Array("thresholds", (THRESHOLD_KEYS, KINDS), prefix=""),),
    per_image=lambda prediction: {"thresholds": counts_by_threshold(prediction)},
    summary=lambda arrays, names: {},
    needs=(Need.TWO_CLASSES, Need.LEVELS),
    counts_suffice=True,
)
