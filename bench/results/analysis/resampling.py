"""Scores of a split, computed from sums over its images: sums of pixel counts, or of the images' scores."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.evaluation import scores
from bench.evaluation.image_table import ImageTable
from bench.evaluation.scores import Formula, ratio
from bench.results.analysis.bootstrap import Values
from bench.results.analysis.intervals.scales import Scale

Counts = Callable[[ImageTable], NDArray[np.int64]]  # (N, C, 3); KeyError if the table has none


@dataclass(frozen=True)
class Score:
    """A score of a split that is computed from sums over its images, so that images can be bootstrapped."""

    values: Callable[[ImageTable], Values]  # (images, K)
    of_sums: Callable[[NDArray[np.float64]], NDArray[np.float64]]  # sums (..., K) -> (...)
    own: bool = False  # computed from a column of its own, not from the counts
    by_image: bool = True  # False: a number of the whole trial, which no table of images holds
    scale: Scale = Scale.SHARE  # of its intervals


def table_counts(table: ImageTable) -> NDArray[np.int64]:
    """Return the table's pixel counts per class."""
    return table.counts


def of_split(formula: Formula, counts: Counts = table_counts) -> Score:
    """Make a score from a formula of the split's sums: (..., C, 3) -> (...)."""

    def values(table: ImageTable) -> Values:
        found = counts(table)
        return found.reshape(len(found), -1)

    return Score(values, lambda sums: formula(sums.reshape(*sums.shape[:-1], -1, 3)))


def of_images(
    formula: Callable[[ImageTable], NDArray[np.float64]], *, own: bool = False, scale: Scale = Scale.SHARE
) -> Score:
    """Make the mean over the images of a score of each image, (N,); NaN is left out."""
    return Score(lambda table: with_number(formula(table)), mean_of_images, own, scale=scale)


def mean_of_column(name: str, scale: Scale = Scale.SHARE) -> Score:
    """Make the mean over the images of a column of the per-image table; NaN is left out."""
    return of_images(lambda table: table.extra[name], own=True, scale=scale)


def _of_no_image(_: object) -> NDArray[np.float64]:
    raise KeyError("a number of the whole trial")


OF_TRIAL = Score(_of_no_image, _of_no_image, own=True, by_image=False, scale=Scale.PLAIN)
"""The score of a number that a trial has once; its uncertainty is that over the seeds."""


def of_class(score: Formula, place: int = 1) -> Formula:
    """Make the formula of one class's score: (..., C, 3) -> (...)."""
    return lambda counts: score(counts[..., place, :])


def image_scores(table: ImageTable) -> NDArray[np.float64]:
    """Compute each image's mean IoU over the classes in its labels or prediction: (N,); NaN if there is none."""
    return scores.image_means(table.counts)


def with_number(values: NDArray[np.float64]) -> Values:
    """Return each image's value (0 for NaN) and whether it has one, which sum to a mean: (N,) -> (N, 2)."""
    return np.stack([np.nan_to_num(values), ~np.isnan(values)], axis=-1)


def mean_of_images(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the mean from sums of `with_number`: (..., 2) -> (...)."""
    return ratio(sums[..., 0], sums[..., 1])
