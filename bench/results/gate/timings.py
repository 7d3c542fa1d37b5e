"""The ratio of two revisions' seconds with its interval, from pairs of timings, each a block of steps or calls.

Whole processes are slow or fast (by their place in memory, by their core), and so is the machine from moment to moment.
So the bootstrap draws pairs of processes, and pairs of timings within each. A verdict also needs Wilcoxon's signed-rank
test over all pairs of timings.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.results.analysis.bootstrap import LEVEL
from bench.results.analysis.speed_samples import drawn_medians, least_p, shift, signed_rank
from bench.results.gate.limits import Limit
from bench.results.gate.verdict import BETTER, OK, REGRESSION, UNJUDGED, Line


@dataclass(frozen=True, eq=False)
class Timings:
    """Seconds of the same work by two revisions; the two timings of a pair follow each other directly."""

    base: NDArray[np.float64]  # (process pairs, pairs)
    head: NDArray[np.float64]

    @property
    def logs(self) -> list[NDArray[np.float64]]:
        """The logarithms of head / base by pair of processes."""
        return list(np.log(self.head / self.base))


def ratio_interval(timings: Timings, *, level: float = LEVEL, seed: int = 0) -> tuple[float, float, float]:
    """Return head's seconds divided by base's: the median of all pairs, and the ends of its interval."""
    low, high = np.exp(np.quantile(drawn_medians(timings.logs, seed), [(1 - level) / 2, (1 + level) / 2]))
    return float(np.exp(np.median(timings.logs))), float(low), float(high)


def judge_speed(
    subject: str, limit: Limit, timings: Timings, *, level: float = LEVEL, interleaved: bool = True
) -> Line:
    """Judge timings; the line is in milliseconds. A regression is significantly slower, by more than the limit.

    It is significant if the interval excludes 1 and the signed-rank test says so. Too few pairs can't be judged.

    Args:
        level: the interval's level; `verdict.level_of` gives it if there are several lines.
        interleaved: whether both revisions ran in turn, timing by timing. If whole processes did, the machine drifts
            between them, and the interval has the small-sample correction for their number; a single pair has none.
    """
    base, head = (1000 * float(np.median(seconds)) for seconds in (timings.base, timings.head))
    if least_p(timings.base.size) >= 1 - level:
        reason = f"{timings.base.size} pairs of timings can't be significant. Give more --pairs or --processes."
        return Line(subject, limit.metric, UNJUDGED, base, head, limit=str(limit), reason=reason)
    ratio, low, high = ratio_interval(timings, level=level)
    if not interleaved and len(timings.base) > 1:
        found = shift(timings.logs, level).ratio
        ratio, low, high = found.mean, found.low, found.high
    verdict = OK
    if signed_rank(timings.logs) < 1 - level:
        if low > 1 and not limit.allows(1.0, ratio - 1):
            verdict = REGRESSION
        elif high < 1 and not limit.allows(1.0, 1 - ratio):
            verdict = BETTER
    return Line(subject, limit.metric, verdict, base, head, ratio - 1, low - 1, high - 1, str(limit))
