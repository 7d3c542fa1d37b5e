"""End tuning trials early by the median rule (Golovin and others 2017, "Google Vizier", section 3.2).

What a trial has to reach is in its configuration, computed from the records of earlier ones, so a search that was
interrupted asks for the same trials again.
"""

from collections.abc import Sequence
from statistics import median

AFTER = 5  # whole trials that a median needs
FIRST = 2  # the validation that may be the last


def thresholds(curves: Sequence[Sequence[float]]) -> str:
    """Write the medians of the best scores so far at each validation; empty for too few curves.

    Args:
        curves: the validation scores of the earlier trials that weren't ended early.
    """
    if len(curves) < AFTER:
        return ""
    best = [_best_so_far(curve) for curve in curves]
    return ",".join(f"{median(one[number] for one in best):.4f}" for number in range(min(map(len, best))))


def is_hopeless(curve: Sequence[float], thresholds: str) -> bool:
    """Tell whether a trial with these validation scores so far is to be ended."""
    needed = [float(text) for text in thresholds.split(",")] if thresholds else []
    number = len(curve)
    return FIRST <= number < len(needed) and max(curve) < needed[number - 1]


def _best_so_far(curve: Sequence[float]) -> list[float]:
    return [max(curve[: number + 1]) for number in range(len(curve))]
