"""How a score of a split is made of sums over its images: of the pixels' counts, or of the images' own scores."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench.evaluation.table import ImageTable
from bench.records.bootstrap import Values
from bench.records.uncertainty import Score, mean_of_images, mean_of_known, with_number

Counts = Callable[[ImageTable], NDArray[np.int64]]  # (N, C, 3); KeyError: the table has none
Formula = Callable[[NDArray], NDArray[np.float64]]


def table_counts(table: ImageTable) -> NDArray[np.int64]:
    """The pixels by class."""
    return table.counts


def of_split(name: str, formula: Formula, counts: Counts = table_counts) -> Score:
    """A formula of the split's sums: (..., C, 3) -> (...)."""

    def values(table: ImageTable) -> Values:
        found = counts(table)
        return found.reshape(len(found), -1)

    return Score(name, values, lambda sums: formula(sums.reshape(*sums.shape[:-1], -1, 3)))


def of_images(name: str, formula: Callable[[ImageTable], NDArray[np.float64]]) -> Score:
    """The mean over the images of a score of their own (N,); NaN is left out."""
    return Score(name, lambda table: with_number(formula(table)), mean_of_images)


def macro(score: Formula) -> Formula:
    """The mean over the classes of a score: (..., C, 3) -> (...); absent classes are left out."""
    return partial(_macro, score)


def _macro(score: Formula, counts: NDArray) -> NDArray[np.float64]:
    return mean_of_known(score(counts))


def of_class(score: Formula, place: int = 1) -> Formula:
    """A score of one class: (..., C, 3) -> (...)."""
    return lambda counts: score(counts[..., place, :])
