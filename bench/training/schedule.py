"""The learning rate as a function of the used fraction of the budget, whatever the budget's unit.

Sources: linear, Li, Yumer and Ramanan 2020 (arXiv:1905.04753), the best simple schedule under a fixed budget; cosine,
Loshchilov and Hutter 2017 (arXiv:1608.03983), without restarts; steps, He et al. 2016 (arXiv:1512.03385), section 4.2.
"""

import math
from collections.abc import Callable

from bench.core.errors import BenchError
from bench.core.registry import unknown_name_message


def _steps(fraction: float) -> float:
    """Return the factor: times 0.1 at half and again at three quarters, as for CIFAR-10 (32k and 48k of 64k steps)."""
    return 0.01 if fraction >= 0.75 else 0.1 if fraction >= 0.5 else 1.0


SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda fraction: 1 - fraction,
    "cosine": lambda fraction: (1 + math.cos(math.pi * fraction)) / 2,
    "constant": lambda fraction: 1.0,
    "steps": _steps,
}


def rate(name: str, lr: float, fraction: float, warmup: float = 0.0) -> float:
    """Return the learning rate when `fraction` of the budget is used.

    Args:
        name: linear or cosine (both end at 0), constant, or steps (times 0.1 at 0.5 and at 0.75).
        lr: the highest learning rate.
        fraction: the used fraction of the budget; values above 1 count as 1.
        warmup: the fraction of the budget, below 1, in which the rate rises linearly from 0 to `lr`; the schedule
            fills the rest.

    Raises:
        BenchError: the name is unknown, or the warm-up is outside [0, 1).
    """
    if name not in SHAPES:
        raise BenchError(unknown_name_message("schedule", name, list(SHAPES), list(SHAPES)))
    if not 0 <= warmup < 1:
        raise BenchError(f"The warm-up is {warmup:g} of the budget. Accepted: from 0 to below 1, such as 0.05.")
    fraction = min(max(fraction, 0.0), 1.0)
    if fraction < warmup:
        return lr * fraction / warmup
    return lr * SHAPES[name]((fraction - warmup) / (1 - warmup))
