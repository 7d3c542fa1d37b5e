"""The learning rate as a function of the used fraction of the budget, whatever the budget's unit."""

from bench.core.errors import BenchError
from bench.core.recipe.schedule_text import parse_schedule


def rate(schedule: str, lr: float, fraction: float, warmup: float = 0.0) -> float:
    """Return the learning rate when `fraction` of the budget is used.

    Args:
        schedule: its text, see bench/core/recipe/schedule_text.py; linear and cosine end at 0.
        lr: the highest learning rate.
        fraction: the used fraction of the budget; values above 1 count as 1.
        warmup: the fraction of the budget, below 1, in which the rate rises linearly from 0 to `lr`; the schedule
            fills the rest.

    Raises:
        BenchError: the text is no schedule, or the warm-up is outside [0, 1).
    """
    if not 0 <= warmup < 1:
        raise BenchError(f"The warm-up is {warmup:g} of the budget. Accepted: from 0 to below 1, such as 0.05.")
    shape = parse_schedule(schedule)
    fraction = min(max(fraction, 0.0), 1.0)
    if fraction < warmup:
        return lr * fraction / warmup
    return lr * shape((fraction - warmup) / (1 - warmup))
