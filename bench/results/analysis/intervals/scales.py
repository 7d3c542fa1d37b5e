"""The scale on which an interval is made: that of logits for a share, so that no interval leaves [0, 1].

A share (IoU, dice, accuracy) close to 1 can fall further than it can rise, which a symmetric interval ignores: it ends
above 1, and it misses the true score more often than it says, mostly because it doesn't reach low enough. The interval
of the logit log(p / (1 - p)), whose standard error is that of p over p (1 - p), is asymmetric as it has to be. Of
plain, arcsine and logit scales it holds the truth most often in every case of docs/measuring.md near 1.

A difference of two shares keeps its symmetric interval, cut off at -1 and 1. Both rows are measured on the same images
and lose together on the hard ones, so their difference is much more symmetric than either; the cut takes away only what
can't be true, so that coverage and the verdict "excludes 0" stay what they were.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from scipy.special import expit, logit


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval, of 95 % unless another level was asked for."""

    mean: float
    low: float
    high: float


class Scale(StrEnum):
    """The values that a number can have."""

    PLAIN = "any number"
    SHARE = "from 0 to 1"
    DIFFERENCE = "from -1 to 1"

    @property
    def of_difference(self) -> "Scale":
        """The scale of the difference of two such numbers."""
        return Scale.PLAIN if self is Scale.PLAIN else Scale.DIFFERENCE

    def around(self, mean: float, half: float) -> Interval:
        """Return the interval around a mean whose half width on the plain scale is given; infinite: no interval.

        A mean of exactly 0 or 1 has no logit; rounding errors alone give it a width, which is cut off.
        """
        low, high = mean - half, mean + half
        if self is Scale.PLAIN or not math.isfinite(half):
            return Interval(mean, low, high)
        if self is Scale.DIFFERENCE:
            return Interval(mean, max(low, -1.0), min(high, 1.0))
        if not 0 < mean < 1:
            return Interval(mean, min(mean, max(low, 0.0)), max(mean, min(high, 1.0)))
        centre, half = float(logit(mean)), half / (mean * (1 - mean))
        return Interval(mean, float(expit(centre - half)), float(expit(centre + half)))
