"""How sure a score is: a paired bootstrap over images, crossed with the spread over seeds.

One draw of images serves all seeds of all configurations, so that a picture that is hard for everyone does not blur a
difference. The variance of a configuration's mean is that over the draws of images plus that over its seeds; both
have their small-sample correction (n / (n - 1)), and the interval takes Student's t with Satterthwaite's degrees of
freedom, since three seeds say little about their own spread. tests/test_bootstrap.py measures the coverage.

What is drawn are groups of images: the images themselves, or the cars of Carvana.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from bench.errors import BenchError

REPEATS = 1000  # draws of images
LEVEL = 0.95  # of the intervals

Values = NDArray[np.int64] | NDArray[np.float64]  # (images, K): what is summed over the images of a draw
Score = Callable[[NDArray[np.float64]], NDArray[np.float64]]  # sums (..., K) -> scores (...)


@dataclass(frozen=True)
class Interval:
    """A mean and where it lies with 95 % confidence."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """A configuration's score with what is known of its two sources of chance."""

    scores: NDArray[np.float64]  # (seeds,) on the whole split
    draws: NDArray[np.float64]  # (REPEATS,) mean over the seeds on each draw of images
    groups: int  # that images were drawn by

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(self.scores.mean())

    @property
    def interval(self) -> Interval:
        """Of the mean; of the images alone where there is one seed."""
        return _interval(self.mean, self.draws, self.groups, [self])

    def minus(self, other: "Uncertainty") -> Interval | None:
        """The difference to another configuration on the same images; None with one seed: not separable by seed."""
        if min(len(self.scores), len(other.scores)) < 2:
            return None
        return _interval(self.mean - other.mean, self.draws - other.draws, self.groups, [self, other])

    def is_separable(self, other: "Uncertainty") -> bool:
        """Whether the difference's interval leaves out 0."""
        difference = self.minus(other)
        return difference is not None and not difference.low <= 0 <= difference.high


def _interval(mean: float, draws: NDArray[np.float64], groups: int, parts: Sequence[Uncertainty]) -> Interval:
    variances, freedoms = [_image_variance(draws, groups)], [groups - 1]
    for part in parts:
        if (seeds := len(part.scores)) > 1:
            variances.append(float(part.scores.var(ddof=1)) / seeds)
            freedoms.append(seeds - 1)
    total = sum(variances)
    if not total:
        return Interval(mean, mean, mean)
    freedom = total**2 / sum(v**2 / f for v, f in zip(variances, freedoms, strict=True) if v)
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * math.sqrt(total)
    return Interval(mean, mean - half, mean + half)


def _image_variance(draws: NDArray[np.float64], groups: int) -> float:
    """Over the draws; those without a score (no class that counts) are left out. One group says nothing: infinite."""
    known = draws[np.isfinite(draws)]
    return float(known.var()) * groups / (groups - 1) if groups > 1 and known.size else math.inf


def bootstrap(
    configurations: Sequence[Sequence[Values]], groups: Sequence[str], score: Score, *, seed: int = 0
) -> list[Uncertainty]:
    """The uncertainty of each configuration's score.

    Args:
        configurations: for each the arrays (images, K) of its seeds, the same images in the same order throughout.
        groups: for each image the name of what is drawn together.
        score: of the sums over a draw's images.

    Raises:
        BenchError: arrays of different images.
    """
    arrays = [array for seeds in configurations for array in seeds]
    if any(array.shape != (len(groups), arrays[0].shape[1]) for array in arrays):
        raise BenchError("The per-image tables are not of the same images and classes: they can't be compared.")
    names, number = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.stack([_sums(array, number, len(names)) for array in arrays], axis=1)  # (G, trials, K)
    scores = score(sums.sum(axis=0))
    weights = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=REPEATS)
    drawn = score((weights.astype(np.float64) @ sums.reshape(len(names), -1)).reshape(REPEATS, *sums.shape[1:]))
    ends = np.cumsum([0, *map(len, configurations)])
    return [
        Uncertainty(scores[begin:end], drawn[:, begin:end].mean(axis=1), len(names))
        for begin, end in zip(ends, ends[1:], strict=False)
    ]


def _sums(array: Values, number: NDArray[np.intp], count: int) -> NDArray[np.float64]:
    """Sums over each group's images: (images, K) -> (groups, K)."""
    sums = np.zeros((count, array.shape[1]))
    np.add.at(sums, number, array)
    return sums


def ranks(sorted_rows: Sequence[Uncertainty]) -> list[tuple[int, int]]:
    """Best and worst rank of each row that the differences leave open, of rows sorted best first.

    A row's rank is at least one more than the number of rows that are surely better, and so on from below.
    """
    count = len(sorted_rows)
    better = np.zeros((count, count), bool)  # [i, j]: row i is surely better than row j
    for i in range(count):
        for j in range(i + 1, count):
            better[i, j] = sorted_rows[i].is_separable(sorted_rows[j])
    return [(1 + int(better[:, i].sum()), count - int(better[i].sum())) for i in range(count)]


def tie_groups(sorted_rows: Sequence[Uncertainty]) -> list[int]:
    """The place of each row's tie group: that of its first row, from which no other of the group can be told apart."""
    places: list[int] = []
    first = 0
    for place, row in enumerate(sorted_rows):
        if place and sorted_rows[first].is_separable(row):
            first = place
        places.append(first + 1)
    return places
