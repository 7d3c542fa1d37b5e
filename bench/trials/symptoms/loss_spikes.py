"""Find blocks of training steps whose loss stands out from those before them."""

from collections.abc import Sequence

import numpy as np

BEFORE = 8  # blocks that tell the usual loss; fewer tell too little of its scatter
TIMES = 2.0  # a spike is at least that many times the usual loss
SCATTERS = 6.0  # and that many standard deviations above it
_DEVIATION = 1.4826  # a normal distribution's standard deviation, divided by its median absolute deviation


def loss_spikes(losses: Sequence[float]) -> dict[str, float]:
    """Compute `loss_spikes`, their number, and `worst_loss_spike`, the ratio of the worst one to the usual loss.

    The usual loss of a block is the median of the 8 blocks before it. Blocks in a row that stand out are one spike.

    Args:
        losses: the mean training loss of each block, in order. Below nine there is nothing to compare: {}.
    """
    if len(losses) <= BEFORE:
        return {}
    ratios = [_ratio(losses[place - BEFORE : place], losses[place]) for place in range(BEFORE, len(losses))]
    starts = sum(1 for before, ratio in zip([0.0, *ratios], ratios, strict=False) if ratio and not before)
    return {"loss_spikes": starts, **({"worst_loss_spike": round(max(ratios), 3)} if starts else {})}


def _ratio(before: Sequence[float], loss: float) -> float:
    """Return how many times the usual loss a block's loss is; 0 unless it is a spike."""
    usual = float(np.median(before))
    scatter = _DEVIATION * float(np.median(np.abs(np.asarray(before) - usual)))
    stands_out = usual > 0 and loss >= TIMES * usual and loss > usual + SCATTERS * scatter
    return loss / usual if stands_out else 0.0
