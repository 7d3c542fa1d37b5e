"""The verdict of `bench check`: its lines, its exit code, and the error rate that all lines share.

A command judges up to three parts: quality, speed and benchmarks. Each part gets an equal share of the probability of a
false alarm, and within a part each interval gets an equal share of that. So all intervals of a command together raise
a false alarm in at most one comparison of a hundred, and many benchmarks don't make the judgement of quality blunt.
"""

from collections.abc import Sequence
from dataclasses import dataclass

ALARMS = 0.01  # probability of a false alarm in a command, over all its parts and intervals
QUALITY, SPEED, BENCHMARKS = "quality", "speed", "benchmarks"  # the parts
OK, REGRESSION, BETTER, UNJUDGED, NOTED = "ok", "regression", "better", "not judged", "new"
EXIT_CODES = {REGRESSION: 1, UNJUDGED: 3}  # the first one that occurs, in this order; otherwise 0


@dataclass(frozen=True)
class Line:
    """A judged value, or one that could not be judged."""

    subject: str  # the configuration's label
    metric: str
    verdict: str  # OK, REGRESSION, BETTER, UNJUDGED, NOTED
    base: float | None = None
    new: float | None = None
    change: float | None = None  # new - base; for speeds head / base - 1
    low: float | None = None  # lower end of the change's interval, if there is one
    high: float | None = None
    limit: str = ""
    reason: str = ""


def exit_code(lines: Sequence[Line]) -> int:
    """Return 1 if there is a regression, 3 if something can't be judged, otherwise 0."""
    verdicts = {line.verdict for line in lines}
    return next((code for verdict, code in EXIT_CODES.items() if verdict in verdicts), 0)


def alarms_of_each(parts: int) -> float:
    """Return the probability of a false alarm that each of a command's parts may have."""
    return ALARMS / max(1, parts)


def level_of(lines: int, alarms: float = ALARMS) -> float:
    """Return the level of each of `lines` two-sided intervals of which only one side raises an alarm.

    Args:
        alarms: the probability of a false alarm over all of them.
    """
    return 1 - 2 * alarms / max(1, lines)
