"""Speeds that were measured while other processes kept the CPU busy: left out beside quiet ones, else widened.

A trial is busy if others took more than a tenth of what its cores could have worked, in any phase that was measured.
If others take the share b of cores that a trial could use, it gets 1 - b of them, so on a quiet machine it would be up
to 1 / (1 - b) times as fast. The interval of such a speed reaches that far, and its other end is what was measured.
"""

import math

import pandas as pd

from bench.results.quantities import QUANTITIES
from bench.results.quantities.quantity import HIGHER, Quantity

BUSY = 0.1
SHARE = "cpu_others_share"
_DEPENDENT = {"speed", "energy"}  # parts of a record; the energy counters of a CPU cover other processes, too


def depends_on_others(column: Quantity) -> bool:
    """Return whether other processes change a number; ratios of two timings in turn are hardly changed."""
    return column.part in _DEPENDENT and bool(column.unit)


def without_busy(frame: pd.DataFrame, number: pd.Series) -> pd.DataFrame:
    """Empty the speeds of busy trials whose configuration has a quiet trial, and the share that made them busy.

    Args:
        number: the configuration's number of each row.
    """
    if SHARE not in frame:
        return frame
    ok = frame["status"] == "ok"
    busy, quiet = ok & (frame[SHARE] > BUSY), ok & (frame[SHARE] <= BUSY)
    left_out = busy & quiet.groupby(number).transform("any")
    columns = [name for name in frame if name in QUANTITIES and QUANTITIES[name].part in _DEPENDENT]
    frame = frame.copy()
    frame.loc[left_out, [*columns, SHARE]] = math.nan
    return frame


def quiet_interval(column: Quantity, mean: float, sd: float | None, share: float) -> tuple[float, float] | None:
    """Return between which values a number would lie on a quiet machine; None if it was measured on one.

    Args:
        sd: the standard deviation over the seeds, by which the interval is widened at both ends.
        share: the others' share of the CPU while it was measured; NaN if not recorded.
    """
    if not depends_on_others(column) or not share > BUSY or not math.isfinite(mean):
        return None
    spread, free = sd or 0.0, 1 - min(share, 0.99)
    if column.better == HIGHER:
        return max(0.0, mean - spread), (mean + spread) / free
    return max(0.0, (mean - spread) * free), mean + spread
