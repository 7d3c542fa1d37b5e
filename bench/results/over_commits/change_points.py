"""Find where a series of numbers changed its level, with a stated rate of false alarms.

The statistic is the likelihood ratio's for a shift of the mean (Hawkins, "Testing a sequence of observations for a
shift in location", JASA 1977): the largest difference between the means before and after a place, in its standard
deviations. Its p-value comes from random orders of the same numbers, so their distribution doesn't matter. The numbers
of one series are taken to be independent where nothing has changed: a machine that is busy for a week looks like a
change, too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

LEAST = 10  # numbers, below which no change could be significant after a correction for a few series
LEVEL = 0.05  # of all series of a command together, by Holm's correction
ORDERS = 19_999  # random orders of a series: a p-value of 0.00005 at least


@dataclass(frozen=True)
class Change:
    """A place at which a series has another level than before."""

    place: int  # of the first number of the new level
    before: float  # medians of the numbers since the change before, and up to the next one
    after: float
    p: float  # not corrected


def likeliest(values: Sequence[float], seed: int = 0) -> tuple[int, float]:
    """Return the likeliest place of a change, of the first number behind it, and the p-value that there is one."""
    numbers = np.asarray(values, np.float64) - np.mean(values)
    if np.ptp(numbers) == 0:
        return 1, 1.0
    orders = np.random.default_rng(seed).permuted(np.tile(numbers, (ORDERS, 1)), axis=1)
    found = _statistics(numbers[None])[0]
    extreme = np.count_nonzero(_statistics(orders).max(axis=1) >= found.max() * (1 - 1e-9))
    return int(found.argmax()) + 1, (extreme + 1) / (ORDERS + 1)


def _statistics(numbers: np.ndarray) -> np.ndarray:
    """Compute the statistic of every place, but for a common factor, of numbers with mean 0: (P, n) -> (P, n - 1)."""
    count = numbers.shape[1]
    before = np.arange(1, count)
    return np.asarray(np.abs(np.cumsum(numbers, axis=1)[:, :-1]) / np.sqrt(before * (count - before)))


def changes(values: Sequence[float], level: float) -> list[Change]:
    """Find all changes of a series: the likeliest one, then those of the parts before and behind it.

    Args:
        values: in order of the commits; fewer than LEAST are not judged.
        level: the p-value at which a change counts.
    """
    found = sorted(_places(values, 0, level))
    bounds = [0, *(place for place, _ in found), len(values)]
    medians = [float(np.median(values[start:end])) for start, end in pairwise(bounds)]
    return [Change(place, medians[n], medians[n + 1], p) for n, (place, p) in enumerate(found)]


def _places(values: Sequence[float], start: int, level: float) -> Iterator[tuple[int, float]]:
    if len(values) < LEAST:
        return
    place, p = likeliest(values)
    if p <= level:
        yield start + place, p
        yield from _places(values[:place], start, level)
        yield from _places(values[place:], start + place, level)


def levels(first: Sequence[float], joint: float = LEVEL) -> list[float]:
    """Return the level of each series by Holm's correction, from the p-values of their likeliest changes.

    A series that isn't significant has level 0. One that is searches its parts at its own level.
    """
    order = np.argsort(first)
    given = [0.0] * len(first)
    for step, place in enumerate(order):
        level = joint / (len(first) - step)
        if first[place] > level:
            break
        given[place] = level
    return given
