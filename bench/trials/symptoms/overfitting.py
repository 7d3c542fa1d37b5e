"""Compare a model's score on the images that it was trained on with its score on the test split."""

import math

import numpy as np

from bench.evaluation import scores
from bench.evaluation.image_table import ImageTable
from bench.evaluation.scores import Counts

SAMPLE = 64  # training images that are scored


def sample_of(train: np.ndarray) -> np.ndarray:
    """Choose up to SAMPLE training images, evenly spread over the split, the same for each seed."""
    places = np.linspace(0, len(train) - 1, min(SAMPLE, len(train))).round().astype(int)
    return np.sort(train)[places]


def overfitting(train: ImageTable, test: ImageTable) -> dict[str, float]:
    """Compute `train_mean_iou`, of a sample of the training split, and `train_gap`, by which it is above the test's.

    `train_gap_se` is the gap's standard error, as far as other images of both splits would move it. It is left out
    where a split has fewer than two groups of images; everything is where a split has no score.
    """
    known, unknown = scores.mean_iou(train.counts), scores.mean_iou(test.counts)
    if known is None or unknown is None:
        return {}
    error = math.hypot(standard_error(train), standard_error(test))
    found = {"train_mean_iou": known, "train_gap": known - unknown}
    return {**found, "train_gap_se": error} if math.isfinite(error) else found


def standard_error(table: ImageTable) -> float:
    """Estimate the standard error of the mean IoU over other groups of images by the infinitesimal jackknife.

    The influence of an image on the IoU of a class is (tp - IoU x union of the image) / union of the split (Efron,
    "Nonparametric estimates of standard error", Biometrika 1981). NaN below two groups.
    """
    _, group = np.unique(np.asarray(table.groups), return_inverse=True)
    groups = int(group.max()) + 1
    if groups < 2:
        return math.nan
    moved = np.bincount(group, weights=_influence(table.counts), minlength=groups)
    return float(np.sqrt(groups / (groups - 1) * np.square(moved).sum()))


def _influence(counts: Counts) -> np.ndarray:
    """Compute how much each image moves the mean IoU: (N, C, 3) -> (N,)."""
    unions, totals = counts.sum(axis=-1), counts.sum(axis=(0, 2))
    known = totals > 0
    of_class = (counts[..., 0] - scores.iou(counts.sum(axis=0)) * unions)[:, known] / totals[known]
    return np.asarray(of_class.mean(axis=1))
