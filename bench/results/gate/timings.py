"""The ratio of two revisions' seconds with its interval, from pairs of timings.

Whole processes are slow or fast (by their place in memory, by their core), and so is the machine from moment to moment.
So the bootstrap draws pairs of processes, and pairs of timings within each.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.results.analysis.bootstrap import LEVEL
from bench.results.gate.judge import BETTER, OK, REGRESSION, Line
from bench.results.gate.limits import Limit

REPEATS = 4000


@dataclass(frozen=True, eq=False)
class Timings:
    """Seconds of the same work by two revisions; the two timings of a pair follow each other directly."""

    base: NDArray[np.float64]  # (process pairs, pairs)
    head: NDArray[np.float64]


def ratio_interval(timings: Timings, *, level: float = LEVEL, seed: int = 0) -> tuple[float, float, float]:
    """Return head's seconds divided by base's: the median of all pairs, and the ends of its interval."""
    ratios = timings.head / timings.base
    rng = np.random.default_rng(seed)
    processes, pairs = ratios.shape
    drawn = rng.integers(processes, size=(REPEATS, processes, 1))
    medians = np.median(ratios[drawn, rng.integers(pairs, size=(REPEATS, processes, pairs))], axis=(1, 2))
    low, high = np.quantile(medians, [(1 - level) / 2, (1 + level) / 2])
    return float(np.median(ratios)), float(low), float(high)


def judge_speed(subject: str, limit: Limit, timings: Timings, *, level: float = LEVEL) -> Line:
    """Judge timings; the line is in milliseconds. A regression is significantly slower, by more than the limit.

    Args:
        level: the interval's level; `judge.level_of` gives it if there are several lines.
    """
    ratio, low, high = ratio_interval(timings, level=level)
    verdict = OK
    if low > 1 and not limit.allows(1.0, ratio - 1):
        verdict = REGRESSION
    elif high < 1 and not limit.allows(1.0, 1 - ratio):
        verdict = BETTER
    base, head = (1000 * float(np.median(seconds)) for seconds in (timings.base, timings.head))
    return Line(subject, limit.metric, verdict, base, head, ratio - 1, low - 1, high - 1, str(limit))
