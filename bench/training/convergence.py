"""Whether more of the same would have helped: how much the validation score still rose at the end of the budget."""

from collections.abc import Sequence
from statistics import fmean

LAST = 2  # validations at the end, of ten: a fifth of the budget


def convergence(scores: Sequence[float]) -> dict[str, float]:
    """`val_mean_iou_rise`: mean of the last two scores less that of the two before; {} for fewer than four."""
    if len(scores) < 2 * LAST:
        return {}
    return {"val_mean_iou_rise": round(fmean(scores[-LAST:]) - fmean(scores[-2 * LAST : -LAST]), 6)}
