"""The text of a schedule: a name, or `steps@0.5,0.8`: times 0.1 at each of these shares of the budget.

Sources: linear, Li, Yumer and Ramanan 2020 (arXiv:1905.04753), the best simple schedule under a fixed budget; cosine,
Loshchilov and Hutter 2017 (arXiv:1608.03983), without restarts; steps, He et al. 2016 (arXiv:1512.03385), section 4.2:
at 32k and 48k of 64k steps on CIFAR-10.
"""

import math
from collections.abc import Callable
from functools import cache

from bench.core.errors import BenchError
from bench.core.registry import unknown_name_message

_AT = "steps@"
_MILESTONES = (0.5, 0.75)  # of plain `steps`
_FORMS = "Accepted: shares of the budget between 0 and 1 that rise, such as steps@0.5,0.8."
_SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda share: 1 - share,
    "cosine": lambda share: (1 + math.cos(math.pi * share)) / 2,
    "constant": lambda share: 1.0,
}
SCHEDULES = (*_SHAPES, "steps")


@cache
def parse_schedule(text: str) -> Callable[[float], float]:
    """Read a schedule; return the factor of the learning rate as a function of the share of the budget, 0 to 1.

    Raises:
        BenchError: the name is unknown, or the milestones are no rising shares.
    """
    if text in _SHAPES:
        return _SHAPES[text]
    milestones = _milestones(text)
    # A quotient: 0.1 ** 2 isn't the number 0.01.
    return lambda share: 1 / 10 ** sum(share >= milestone for milestone in milestones)


def canonical_schedule(text: str) -> str:
    """Write a schedule in the canonical way: no spaces, no zeros at the end of numbers; plain `steps` if it is that."""
    if text in _SHAPES:
        return text
    milestones = _milestones(text)
    return "steps" if milestones == _MILESTONES else _AT + ",".join(map(repr, milestones))


def join_milestones(texts: list[str]) -> list[str]:
    """Put together what a list of schedules with commas cut apart: a number belongs to the `steps@` before it."""
    joined: list[str] = []
    for text in texts:
        if joined and joined[-1].startswith(_AT) and text[:1] in "0123456789.-+":
            joined[-1] += f",{text}"
        else:
            joined.append(text)
    return joined


def _milestones(text: str) -> tuple[float, ...]:
    if text == "steps":
        return _MILESTONES
    if not text.startswith(_AT):
        accepted = [*SCHEDULES, f"{_AT}0.5,0.8"]
        raise BenchError(unknown_name_message("schedule", text, list(SCHEDULES), accepted))
    try:
        shares = tuple(float(share) for share in text.removeprefix(_AT).split(","))
    except ValueError:
        raise BenchError(f"--schedule is {text}. {_FORMS}") from None
    if not all(a < b for a, b in zip((0.0, *shares), (*shares, 1.0), strict=True)):  # no NaN passes, either
        raise BenchError(f"--schedule is {text}. {_FORMS}")
    return shares
