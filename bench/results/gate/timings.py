"""The ratio of two revisions' seconds, from pairs of timings, with its interval.

A process is slow or fast as a whole (where its memory lies, which core it got), and so are moments of the machine.
The interval comes from drawing process pairs, and pairs of timings within each.
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
    """Seconds of the same work by two revisions, each pair of timings one right after the other."""

    base: NDArray[np.float64]  # (process pairs, pairs)
    head: NDArray[np.float64]


def ratio_interval(timings: Timings, *, level: float = LEVEL, seed: int = 0) -> tuple[float, float, float]:
    """Head's seconds over base's: the median of all pairs, and the ends of its interval."""
    ratios = timings.head / timings.base
    rng = np.random.default_rng(seed)
    processes, pairs = ratios.shape
    drawn = rng.integers(processes, size=(REPEATS, processes, 1))
    medians = np.median(ratios[drawn, rng.integers(pairs, size=(REPEATS, processes, pairs))], axis=(1, 2))
    low, high = np.quantile(medians, [(1 - level) / 2, (1 + level) / 2])
    return float(np.median(ratios)), float(low), float(high)


def judge_speed(subject: str, limit: Limit, timings: Timings, *, level: float = LEVEL) -> Line:
    """A line in milliseconds: a regression is significantly slower, and by more than the limit.

    Args:
        level: of the interval; `gate.level_of` says what it must be where there are several lines.
    """
    ratio, low, high = ratio_interval(timings, level=level)
    verdict = OK
    if low > 1 and not limit.allows(1.0, ratio - 1):
        verdict = REGRESSION
    elif high < 1 and not limit.allows(1.0, 1 - ratio):
        verdict = BETTER
    base, head = (1000 * float(np.median(seconds)) for seconds in (timings.base, timings.head))
    return Line(subject, limit.metric, verdict, base, head, ratio - 1, low - 1, high - 1, str(limit))
