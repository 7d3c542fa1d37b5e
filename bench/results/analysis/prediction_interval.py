"""The prediction interval for the result of one more seed, from the seeds of the same configuration."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
from scipy.special import stdtrit

from bench.core.errors import BenchError
from bench.results.analysis.configurations import Configuration
from bench.results.analysis.intervals.scales import Scale
from bench.results.quantities import shown_in
from bench.results.quantities.quantity import VERIFICATION, Metric

LEVEL = 0.95
FEWEST = 2  # seeds; a single one has no spread
ENOUGH = 5  # with fewer the interval is so wide that a real change may hide in it


@dataclass(frozen=True)
class Prediction:
    """The interval that contains a new seed's value with 95 % probability if only chance has changed."""

    mean: float
    low: float
    high: float
    seeds: int

    def holds(self, value: float) -> bool:
        """Return whether a value lies inside, up to rounding errors; NaN doesn't."""
        rounding = 1e-9 * max(1.0, abs(self.mean))
        return self.low - rounding <= value <= self.high + rounding


@dataclass(frozen=True)
class Verdict:
    """A new value and its prediction interval."""

    column: str
    value: float
    expected: Prediction

    @property
    def is_inside(self) -> bool:
        """True if the value lies in the interval."""
        return self.expected.holds(self.value)


def predict(values: Sequence[float], scale: Scale = Scale.PLAIN) -> Prediction:
    """Compute Student's t prediction interval for one more value: mean +- t s sqrt(1 + 1 / n), df = n - 1.

    Args:
        scale: of the values; the interval of a share stays within 0 and 1.

    Raises:
        BenchError: there are fewer than two values.
    """
    n = len(values)
    if n < FEWEST:
        raise BenchError(f"A prediction interval needs {FEWEST} seeds or more, {n} are ok. {ENOUGH} are enough.")
    mean = math.fsum(values) / n
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * math.sqrt(variance * (1 + 1 / n))
    found = scale.around(mean, half)
    return Prediction(mean, found.low, found.high, n)


def predict_positive(values: Sequence[float]) -> Prediction:
    """Compute the interval of `predict` on logarithms, for speeds, which vary by factors and are never below 0."""
    found = predict([math.log(value) for value in values])
    return Prediction(math.exp(found.mean), math.exp(found.low), math.exp(found.high), found.seeds)


def by_seed(member: Configuration, column: str) -> pd.Series:
    """Return the column's value of each ok seed, averaged over repeats; empty if there is none."""
    if column not in member.ok:
        return pd.Series(dtype=float)
    return member.ok.groupby("seed")[column].mean().dropna()


def verdicts(known: Configuration, new: Configuration) -> Iterator[Verdict]:
    """Yield each column of the new trials with its prediction interval; speed and memory only on the same device.

    The interval is for another seed; for a seed that is already among the known ones it is a weak test.
    """
    same_device = known.values["device"] == new.values["device"]
    for quantity in shown_in(VERIFICATION):
        is_speed = not isinstance(quantity, Metric)
        values, found = by_seed(known, quantity.name), new.spread(quantity.name)
        if is_speed:
            values = values[values > 0]
        if len(values) >= FEWEST and found.n and (same_device or not is_speed):
            numbers = [float(value) for value in values]
            if isinstance(quantity, Metric):
                yield Verdict(quantity.name, found.mean, predict(numbers, quantity.score.scale))
            else:
                yield Verdict(quantity.name, found.mean, predict_positive(numbers))
