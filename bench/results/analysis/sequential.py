"""Seeds until the order is decided: which configurations need another seed, and intervals that allow for it.

Whoever looks after each seed has one more chance of a difference that is none. All looks therefore share one higher
level, as in Pocock's design (1977, "Group sequential methods in the design and analysis of clinical trials"), and the
intervals hold at whichever look one stops (Jennison and Turnbull, 1989). The level is found by simulating Welch's test
on normal values, whose result doesn't depend on their mean and spread. tests/test_sequential.py measures how often the
right one is named, how often a wrong one, and the coverage.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from bench.results.analysis.bootstrap import LEVEL, Uncertainty

FEWEST = 3  # seeds of each configuration before the first look
MOST = 50  # seeds; the simulation of the level takes a second
_SIMULATIONS, _SEED = 50_000, 0


@cache
def level(most: int) -> float:
    """Return the level of an interval that holds with 95 % at every look from FEWEST to `most` seeds."""
    smallest = _p_values(most).min(axis=0)
    return max(LEVEL, 1 - float(np.quantile(smallest, 1 - LEVEL)))  # Welch's test is conservative for three seeds


def _p_values(most: int) -> NDArray[np.float64]:
    """Simulate Welch's test of two equal configurations after each seed: (looks, simulations)."""
    values = np.random.default_rng(_SEED).standard_normal((most, 2, _SIMULATIONS))
    counts = np.arange(1, most + 1)[:, None, None]
    sums, squares = values.cumsum(axis=0), (values**2).cumsum(axis=0)
    n = counts[FEWEST - 1 :]
    sums, squares = sums[FEWEST - 1 :], squares[FEWEST - 1 :]
    variance = (squares - sums**2 / n) / (n - 1) / n  # of each mean
    total = variance.sum(axis=1)
    freedom = total**2 / (variance**2).sum(axis=1) * (n[:, 0] - 1)
    t = np.diff(sums / n, axis=1)[:, 0] / np.sqrt(total)
    return np.asarray(2 * stdtr(freedom, -np.abs(t)))


def undecided(rows: Sequence[Uncertainty], top: int) -> set[int]:
    """Return the rows that another seed of theirs could put in order.

    Args:
        rows: sorted, best first.
        top: the number of places whose order is asked for. A place is decided if its row differs from all after it.

    A pair that the test images alone leave open is no reason for a seed: more seeds don't change the images.
    """
    found: set[int] = set()
    for place, row in enumerate(rows[:top]):
        for other in range(place + 1, len(rows)):
            if not row.differs_from(rows[other]) and not row.is_blurred_by_images(rows[other]):
                found |= {place, other}
    return found


def has_winner(rows: Sequence[Uncertainty]) -> bool:
    """Tell whether the first row, of rows sorted best first, differs from all others."""
    return len(rows) > 1 and all(rows[0].differs_from(other) for other in rows[1:])
