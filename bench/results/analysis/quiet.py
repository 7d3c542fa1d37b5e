"""Speeds that were measured while other processes kept the CPU busy: left out beside quiet ones, else widened.

A trial is busy if others took more than a tenth of what its cores could have worked, in any phase that was measured.
If others take the share b of cores that a trial could use, it gets 1 - b of them, so on a quiet machine it would be up
to 1 / (1 - b) times as fast. The interval of such a speed reaches that far, and its other end is what was measured.
"""

import math

import pandas as pd

from bench.results.analysis.intervals.scales import Interval
from bench.results.quantities import QUANTITIES
from bench.results.quantities.quantity import HIGHER, Quantity

BUSY = 0.1
SHARE = "cpu_others_share"
_DEPENDENT = {"speed", "energy"}  # parts of a record; the energy counters of a CPU cover other processes, too


def depends_on_others(column: Quantity) -> bool:
    """Return whether other processes change a number; ratios of two timings in turn are hardly changed."""
    return column.part in _DEPENDENT and bool(column.unit)


def left_out(frame: pd.DataFrame, number: pd.Series) -> pd.Series:
    """Tell the rows of busy trials whose configuration has a quiet trial: their speeds don't count.

    Args:
        number: the configuration's number of each row.
    """
    if SHARE not in frame:
        return pd.Series(False, frame.index)
    ok = frame["status"] == "ok"
    busy, quiet = ok & (frame[SHARE] > BUSY), ok & (frame[SHARE] <= BUSY)
    return busy & quiet.groupby(number).transform("any")


def without_busy(frame: pd.DataFrame, number: pd.Series) -> pd.DataFrame:
    """Empty the speeds of trials that are left out, and the share that made them busy; see `left_out`."""
    rows = left_out(frame, number)
    if not rows.any():
        return frame
    columns = [name for name in frame if name in QUANTITIES and QUANTITIES[name].part in _DEPENDENT]
    frame = frame.copy()
    frame.loc[rows, [*columns, SHARE]] = math.nan
    return frame


def free(share: float) -> float:
    """Return the share of the CPU that a trial could have; 1 if the machine was quiet, or that was not recorded."""
    return 1 - min(share, 0.99) if share > BUSY else 1.0


def quiet_interval(column: Quantity, mean: float, sd: float | None, share: float) -> tuple[float, float] | None:
    """Return between which values a number would lie on a quiet machine; None if it was measured on one.

    Args:
        sd: the standard deviation over the seeds, by which the interval is widened at both ends.
        share: the others' share of the CPU while it was measured; NaN if not recorded.
    """
    if not depends_on_others(column) or not share > BUSY or not math.isfinite(mean):
        return None
    spread, own = sd or 0.0, free(share)
    if column.better == HIGHER:
        return max(0.0, mean - spread), (mean + spread) / own
    return max(0.0, (mean - spread) * own), mean + spread


def quiet_ratio(column: Quantity, ratio: Interval, shares: tuple[float, float]) -> Interval:
    """Widen the interval of a ratio, second / first, by what others may have taken from either side.

    Args:
        shares: those of the others while each side was measured; NaN if not recorded.
    """
    own = [free(share) for share in shares]
    if not depends_on_others(column) or own == [1.0, 1.0]:
        return ratio
    below, above = own if column.better == HIGHER else reversed(own)
    low, high = (ratio.mean if math.isnan(end) else end for end in (ratio.low, ratio.high))
    return Interval(ratio.mean, low * below, high / above)


def busy_note(shares: tuple[float, float]) -> str:
    """Say why the ratios of two sides have wider intervals; "" if they don't."""
    sides = zip(("first", "second"), shares, strict=True)
    took = " and ".join(f"{share:.0%} of the CPU ({side})" for side, share in sides if share > BUSY)
    return f"Busy machine: other processes took {took}, so the intervals of speeds are wider." if took else ""
