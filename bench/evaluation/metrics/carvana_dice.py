"""The Dice coefficient of the Carvana Image Masking Challenge (Kaggle, 2017): class 1 of each image, 1 if empty."""

from collections.abc import Sequence

import numpy as np

from bench.evaluation.metric_protocol import Array, Arrays, ImageMetric, Need, Tuning
from bench.evaluation.metrics.pixels import counts_by_threshold
from bench.evaluation.scores import Counts, Scores, dice


def carvana_dice(counts: Counts) -> Scores:
    """Compute the Dice coefficient of class 1 of images from their counts: (..., C, 3) -> (...).

    It is 1 if neither the labels nor the prediction have the class. The score of a split is the mean over its images.
    """
    return _dice_or_1(counts[..., 1, :])


def _dice_or_1(counts: Counts) -> Scores:
    scores = dice(counts)
    return np.where(np.isnan(scores), 1.0, scores)


def _summary(arrays: Arrays, names: Sequence[str]) -> dict[str, float]:
    return _of_images(arrays["carvana_dice"])


def _tuned_summary(arrays: Arrays, names: Sequence[str]) -> dict[str, float]:
    return _of_images(carvana_dice(arrays["counts"]))


def _of_images(scores: Scores) -> dict[str, float]:
    """Return the challenge's score, and 1 minus it in thousandths, which tells its leading entries from each other."""
    mean = scores.mean()
    return {"carvana_dice": float(mean), "carvana_error": float(1000 * (1 - mean))}


CARVANA_DICE = ImageMetric(
    name="carvana_dice",
    arrays=(Array("carvana_dice"),),
    per_image=lambda prediction: {"carvana_dice": carvana_dice(prediction.counts)},
    summary=_summary,
    needs=(Need.TWO_CLASSES, Need.NAMED),
    counts_suffice=True,
    history=("carvana_dice",),
    tuned_summary=_tuned_summary,
    tuning=Tuning(counts_by_threshold, lambda counts: _dice_or_1(counts).mean(axis=0)[:, None]),
)
