"""The uncertainty of scores: a paired bootstrap over images, crossed with the spread over seeds.

One draw of images serves all seeds of all configurations, so that an image that is hard for everyone doesn't blur a
difference. The variance of a configuration's mean is the sum of that over the draws of images and that over its seeds.
Both have the small-sample correction n / (n - 1), and the interval uses Student's t with Satterthwaite's degrees of
freedom, since three seeds say little about their own spread. The interval of a share is made on the scale of logits
(intervals/scales.py). tests/test_bootstrap.py measures the coverage.

The bootstrap draws groups of images: single images, or the cars of Carvana.

With folds, the score is the mean of the folds' scores, and images are drawn within each fold. What was trained on is a
third source of variance: that over the folds, times the tested share over the trained one (Nadeau and Bengio 2003,
"Inference for the Generalization Error"), for K folds 1 / (K - 1).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from bench.core.errors import BenchError
from bench.results.analysis.intervals.scales import Interval, Scale

REPEATS = 1000  # draws of images
LEVEL = 0.95  # level of the intervals
_BLOCK = 256  # rows compared at once
_NEVER = 1e-18  # a variance that only rounding errors cause

Values = NDArray[np.int64] | NDArray[np.float64]  # (images, K): the values that are summed over the images of a draw
Score = Callable[[NDArray[np.float64]], NDArray[np.float64]]  # sums (..., K) -> scores (...)


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """A configuration's score, with its two sources of variance: images and seeds."""

    scores: NDArray[np.float64]  # (seeds,): on the whole split
    draws: NDArray[np.float64]  # (REPEATS,): means over the seeds on each draw of images
    groups: int  # number of groups that were drawn from
    level: float = LEVEL  # of its intervals; higher if seeds were added until the order was decided (sequential.py)
    folds: NDArray[np.float64] | None = None  # (folds,): the score of each, a mean over the seeds; None: one split
    scale: Scale = Scale.PLAIN  # of its interval

    @property
    def is_separable(self) -> bool:
        """Tell whether several models were trained, so that it can differ significantly from others."""
        return len(self.scores) > 1 or self.folds is not None

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return float(self.scores.mean())

    @cached_property
    def interval(self) -> Interval:
        """The interval of the mean; for one seed, over the images only."""
        return interval_of(self, [self], self.level)

    def minus(self, other: "Uncertainty", *, level: float | None = None) -> Interval | None:
        """Return the difference to another configuration on the same images; None if either has only one model.

        Args:
            level: of the interval; None: the higher of both sides' own.
        """
        if not (self.is_separable and other.is_separable):
            return None
        level = max(self.level, other.level) if level is None else level
        return interval_of(self._less(other), [self, other], level)

    def differs_from(self, other: "Uncertainty") -> bool:
        """Return whether the interval of the difference excludes 0."""
        difference = self.minus(other)
        return difference is not None and not difference.low <= 0 <= difference.high

    def is_blurred_by_images(self, other: "Uncertainty") -> bool:
        """Return whether the draws of images alone explain the difference, however many seeds there were."""
        found = self.drift_from(other)
        return found.low < 0 < found.high

    def drift_from(self, other: "Uncertainty") -> Interval:
        """Return the difference to another configuration over the images alone, as between two forms of one model."""
        return interval_of(replace(self._less(other), folds=None), [], max(self.level, other.level))

    def change_from(self, other: "Uncertainty") -> "Uncertainty":
        """Return the uncertainty of the difference to another configuration, seed by seed and draw by draw."""
        return replace(self._less(other), scores=self.scores - other.scores)

    def _less(self, other: "Uncertainty") -> "Uncertainty":
        """Return the difference of the means and of each draw of images and each fold, without its seeds."""
        folds = None if self.folds is None or other.folds is None else self.folds - other.folds
        scores, draws = np.array([self.mean - other.mean]), self.draws - other.draws
        return replace(self, scores=scores, draws=draws, folds=folds, scale=self.scale.of_difference)


def interval_of(of: Uncertainty, parts: Sequence[Uncertainty], level: float) -> Interval:
    """Make the interval of a mean from its images and folds, and from the seeds of its independent parts."""
    mean, folds = of.mean, of.folds
    variances, freedoms = [_image_variance(of.draws, of.groups)], [of.groups - 1]
    if folds is not None:
        variances.append(float(folds.var(ddof=1)) / (len(folds) - 1))
        freedoms.append(len(folds) - 1)
    for part in parts:
        if (seeds := len(part.scores)) > 1:
            variances.append(float(part.scores.var(ddof=1)) / seeds)
            freedoms.append(seeds - 1)
    total = sum(variances)
    if not total:
        return Interval(mean, mean, mean)
    if not math.isfinite(total):
        return Interval(mean, -math.inf, math.inf)
    freedom = total**2 / sum(v**2 / f for v, f in zip(variances, freedoms, strict=True) if v)
    return of.scale.around(mean, float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(total))


def _image_variance(draws: NDArray[np.float64], groups: int) -> float:
    """Compute the variance over the draws that have a score (a class that counts); infinite for a single group."""
    known = draws[np.isfinite(draws)]
    return float(known.var()) * groups / (groups - 1) if groups > 1 and known.size else math.inf


def bootstrap(
    configurations: Sequence[Sequence[Values]],
    groups: Sequence[str],
    score: Score,
    *,
    scale: Scale = Scale.PLAIN,
    seed: int = 0,
) -> list[Uncertainty]:
    """Estimate the uncertainty of each configuration's score.

    Args:
        configurations: for each, the arrays (images, K) of its seeds, all with the same images in the same order.
        groups: for each image, the name of the group that is drawn together.
        score: computes the score from the sums over a draw's images.
        scale: of the score.

    Raises:
        BenchError: the arrays are not of the same images.
    """
    arrays = [array for seeds in configurations for array in seeds]
    if any(array.shape != (len(groups), arrays[0].shape[1]) for array in arrays):
        raise BenchError("The per-image tables don't have the same images and classes, so they can't be compared.")
    order, starts = _order(groups)
    sums = np.stack([np.add.reduceat(array[order], starts, axis=0) for array in arrays], axis=1)  # (G, trials, K)
    scores = score(sums.sum(axis=0).astype(np.float64))
    drawn = _weights(len(starts), seed, REPEATS) @ sums.reshape(len(starts), -1).astype(np.float64)
    drawn = score(drawn.reshape(REPEATS, *sums.shape[1:]))
    ends = np.cumsum([0, *map(len, configurations)])
    return [
        Uncertainty(scores[begin:end], drawn[:, begin:end].mean(axis=1), len(starts), scale=scale)
        for begin, end in pairwise(ends)
    ]


def _order(groups: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the images sorted by group, and where each group begins: (images,), (groups,)."""
    names = np.asarray(groups)
    order = np.argsort(names, kind="stable")
    return order, np.unique(names[order], return_index=True)[1]


@lru_cache(maxsize=2)
def _weights(groups: int, seed: int, repeats: int) -> NDArray[np.float64]:
    """Draw how often each repeat has each group: (repeats, groups); the same for all trials on the same images."""
    drawn = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=repeats)
    return drawn.astype(np.float64)


def significant_pairs(rows: Sequence[Uncertainty]) -> NDArray[np.bool_]:
    """Compute `differs_from` for all pairs at once: symmetric (rows, rows), 2,000 rows in a second or two."""
    found = np.zeros((len(rows), len(rows)), bool)
    several = [i for i, row in enumerate(rows) if row.is_separable]
    whole = [i for i in several if np.isfinite(rows[i].draws).all() and rows[i].groups > 1 and rows[i].folds is None]
    for i in set(several) - set(whole):  # some draws have no score, or there are folds: pair by pair
        for j in several:
            found[i, j] = found[j, i] = rows[i].differs_from(rows[j])
    if whole:
        found[np.ix_(whole, whole)] = _significant_pairs([rows[i] for i in whole])
    return found


def _significant_pairs(rows: Sequence[Uncertainty]) -> NDArray[np.bool_]:
    """Compute `differs_from` for rows that have a score on each draw, from the covariances of the draws."""
    seeds = np.array([len(row.scores) for row in rows])
    by_seed = np.array([row.scores.var(ddof=1) for row in rows]) / seeds
    mean, levels = np.array([row.mean for row in rows]), np.array([row.level for row in rows])
    draws = np.array([row.draws for row in rows])
    draws -= draws.mean(axis=1, keepdims=True)
    own, groups = (draws**2).mean(axis=1), rows[0].groups
    part = by_seed**2 / (seeds - 1)
    found = np.zeros((len(rows), len(rows)), bool)
    for begin in range(0, len(rows), _BLOCK):  # several squares of thousands of rows would fill the memory
        some, rest = slice(begin, begin + _BLOCK), slice(begin, None)
        covariance = draws[some] @ draws[rest].T / draws.shape[1]
        by_image = np.maximum(own[some, None] + own[rest] - 2 * covariance, 0) * groups / (groups - 1)
        total = by_image + by_seed[some, None] + by_seed[rest]
        inverse = by_image**2 / (groups - 1) + part[some, None] + part[rest]
        difference = np.abs(mean[some, None] - mean[rest])
        open_ = (total > _NEVER) & (difference > 1.9 * np.sqrt(total))  # t is never below 1.96
        sure = (difference > 0) & (total <= _NEVER)
        freedom = total[open_] ** 2 / inverse[open_]
        highest = np.maximum(levels[some, None], levels[rest])[open_]
        sure[open_] = difference[open_] > stdtrit(freedom, (1 + highest) / 2) * np.sqrt(total[open_])
        found[some, rest] = sure
        found[rest, some] = sure.T
    return found


def ranks(sorted_rows: Sequence[Uncertainty], different: NDArray[np.bool_] | None = None) -> list[tuple[int, int]]:
    """Return the best and the worst possible rank of each row; rows are sorted best first.

    A row's best rank is one more than the number of rows that are significantly better; its worst rank is the number
    of rows less those that are significantly worse. `different` is the result of `significant_pairs`, if it is known.
    """
    # [i, j]: row i is significantly better than row j
    better = np.triu(significant_pairs(sorted_rows) if different is None else different)
    return [
        (1 + int(above), len(better) - int(below)) for above, below in zip(better.sum(0), better.sum(1), strict=True)
    ]


def tie_groups(sorted_rows: Sequence[Uncertainty]) -> list[int]:
    """Return the rank of each row's tied group: the place of its first row, from which no row of it differs."""
    places: list[int] = []
    first = 0
    for place, row in enumerate(sorted_rows):
        if place and sorted_rows[first].differs_from(row):
            first = place
        places.append(first + 1)
    return places
