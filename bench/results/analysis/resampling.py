"""How a score of a split is made of sums over its images: of the pixels' counts, or of the images' own scores."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.evaluation import scores
from bench.evaluation.image_table import ImageTable
from bench.evaluation.scores import Formula, ratio
from bench.results.analysis.bootstrap import Values

Counts = Callable[[ImageTable], NDArray[np.int64]]  # (N, C, 3); KeyError: the table has none


@dataclass(frozen=True)
class Score:
    """How a score of a split is made of sums over its images, so that images can be drawn again."""

    values: Callable[[ImageTable], Values]  # (images, K)
    of_sums: Callable[[NDArray[np.float64]], NDArray[np.float64]]  # sums (..., K) -> (...)
    own: bool = False  # made of a column of its own, not of the counts


def table_counts(table: ImageTable) -> NDArray[np.int64]:
    """The pixels by class."""
    return table.counts


def of_split(formula: Formula, counts: Counts = table_counts) -> Score:
    """A score by a formula of the split's sums: (..., C, 3) -> (...)."""

    def values(table: ImageTable) -> Values:
        found = counts(table)
        return found.reshape(len(found), -1)

    return Score(values, lambda sums: formula(sums.reshape(*sums.shape[:-1], -1, 3)))


def of_images(formula: Callable[[ImageTable], NDArray[np.float64]], *, own: bool = False) -> Score:
    """The mean over the images of a score that each has of its own, (N,); NaN is left out."""
    return Score(lambda table: with_number(formula(table)), mean_of_images, own)


def mean_of_column(name: str) -> Score:
    """The mean over the images of a column of the per-image table; NaN is left out."""
    return of_images(lambda table: table.extra[name], own=True)


def of_class(score: Formula, place: int = 1) -> Formula:
    """A score of one class: (..., C, 3) -> (...)."""
    return lambda counts: score(counts[..., place, :])


def image_scores(table: ImageTable) -> NDArray[np.float64]:
    """Each image's own mean IoU over the classes in its labels or predictions: (N,), NaN where there is none."""
    return scores.image_means(table.counts)


def with_number(values: NDArray[np.float64]) -> Values:
    """What a mean over the images with a value is made of: (N,) -> (N, 2)."""
    return np.stack([np.nan_to_num(values), ~np.isnan(values)], axis=-1)


def mean_of_images(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean that sums of `with_number` make: (..., 2) -> (...)."""
    return ratio(sums[..., 0], sums[..., 1])
