"""Intervals of weighted sums of several rows' scores, and of one row's with another number of seeds."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.results.analysis.bootstrap import Uncertainty, interval_of
from bench.results.analysis.intervals.scales import Interval, Scale


def weighted(rows: Sequence[Uncertainty], weights: Sequence[float], scale: Scale) -> Interval | None:
    """Return a weighted sum of scores on the same images; None if a row has no interval over seeds or other images.

    The rows were trained each on its own, so the variances of their seeds add up; their draws of images are the same.
    """
    if any(not row.is_separable for row in rows) or len({(row.groups, row.draws.shape) for row in rows}) > 1:
        return None
    draws = sum(weight * row.draws for row, weight in zip(rows, weights, strict=True))
    mean = sum(weight * row.mean for row, weight in zip(rows, weights, strict=True))
    folds = [row.folds for row in rows if row.folds is not None]
    if folds and (len(folds) < len(rows) or len({len(some) for some in folds}) > 1):
        return None
    joined = np.asarray(sum(w * some for w, some in zip(weights, folds, strict=True))) if folds else None
    whole = Uncertainty(np.array([mean]), np.asarray(draws), rows[0].groups, folds=joined, scale=scale)
    parts = [replace(row, scores=weight * row.scores) for row, weight in zip(rows, weights, strict=True)]
    return interval_of(whole, parts, max(row.level for row in rows))


def with_seeds(row: Uncertainty, seeds: int) -> Uncertainty:
    """Return a row as another number of seeds, two or more, would give it if mean and spread stayed."""
    pattern = np.arange(seeds) - (seeds - 1) / 2
    spread = float(row.scores.std(ddof=1))
    return replace(row, scores=row.mean + spread * pattern / pattern.std(ddof=1))


def width(row: Uncertainty) -> float:
    """Return the width of a row's interval."""
    return row.interval.high - row.interval.low
