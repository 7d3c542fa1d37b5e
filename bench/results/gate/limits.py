"""The limits of `bench check`: how much worse a value may get. They are built in or come from a TOML file.

A file has a table for each metric that it changes or adds, and `false` for a metric that is not judged:

    peak_memory_mib = false

    [mean_iou]
    worse = "lower"    # "lower", "higher", or "any": every change counts; needed for numbers that no table shows
    limit = 0.01       # in the metric's own unit; "10%" is a share of the baseline's value
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.registry import unknown_name_message
from bench.core.untrusted import safe_toml
from bench.core.untrusted.plain_files import read_file
from bench.results.quantities import QUANTITIES
from bench.results.quantities.performance import BENCHMARK_TIME, LATENCY, STEP_TIME
from bench.results.quantities.quantity import HIGHER, LOWER, Quantity, Tolerance

DIRECTIONS = ("lower", "higher", "any")
SPEEDS = (STEP_TIME, LATENCY)  # judged by --against only, as head's seconds divided by base's
RATIOS = (*SPEEDS, BENCHMARK_TIME)  # in no record; the last is judged by --benchmarks only
_MEMORY = re.compile(r"memory|peak")
_STORED_SECONDS = re.compile(r"_per_second|latency|seconds|harness_efficiency")


@dataclass(frozen=True)
class Limit:
    """The direction in which a metric is worse, and how much change is allowed."""

    metric: str
    worse: str  # one of DIRECTIONS
    amount: float
    relative: bool = False  # a share of the baseline's value
    built_in: bool = False  # if so, a metric that no record has is skipped

    @property
    def is_memory(self) -> bool:
        """True of an amount of memory, which depends on the hardware class."""
        return bool(_MEMORY.search(self.metric))

    def allows(self, base: float, change: float) -> bool:
        """Return whether a value that was `base` may change by `change`."""
        return self.excess(change) <= self.amount * (abs(base) if self.relative else 1.0)

    def excess(self, change: float) -> float:
        """Return the size of a change in the direction that is worse; negative: better."""
        return {"lower": -change, "higher": change, "any": abs(change)}[self.worse]

    def __str__(self) -> str:
        if not self.amount:
            return "exact" if self.worse == "any" else f"not {self.worse}"
        amount = f"{100 * self.amount:g}%" if self.relative else f"{self.amount:g}"
        return f"{amount} {self.worse}" if self.worse != "any" else f"{amount} either way"


def _worse(metric: str) -> str:
    """Return the direction in which a quantity of the registry is worse; empty for any other number."""
    better = QUANTITIES[metric].better if metric in QUANTITIES else None
    return "" if better is None else LOWER if better == HIGHER else HIGHER


def _default(quantity: Quantity, tolerance: Tolerance) -> Limit:
    worse = "any" if tolerance.exact else _worse(quantity.name)
    return Limit(quantity.name, worse, tolerance.amount, tolerance.relative, built_in=tolerance.optional)


DEFAULTS = tuple(_default(row, row.tolerance) for row in QUANTITIES.values() if row.tolerance)


def read_limits(file: Path | None = None) -> list[Limit]:
    """Return the built-in limits, changed by a TOML file; raise BenchError if the file is wrong."""
    limits = {limit.metric: limit for limit in DEFAULTS}
    for metric, given in _read(file).items() if file else ():
        if given is False:
            limits.pop(metric, None)
        elif isinstance(given, dict):
            limits[metric] = _limit(metric, given, limits.get(metric), file)
        else:
            raise BenchError(f"'{metric}' in '{file}' is {given!r}. Accepted: a table, or false if it is not judged.")
    return list(limits.values())


def _read(file: Path) -> dict[str, Any]:
    try:
        return safe_toml.loads(read_file(file, safe_toml.LONGEST, links=True).decode("utf-8-sig"))
    except OSError as error:
        raise BenchError(f"The limits '{file}' can't be read ({error.strerror}).") from error
    except ValueError as error:
        raise BenchError(f"'{file}' is no valid TOML: {error}.") from error


def _limit(metric: str, given: Mapping[str, Any], old: Limit | None, file: Path | None) -> Limit:
    if metric not in RATIOS and _STORED_SECONDS.search(metric):
        raise BenchError(
            f"'{metric}' in '{file}': speed is never judged against stored seconds. `bench check --against REV` "
            f"times both revisions in turn; its limits are {', '.join(RATIOS)}."
        )
    for name in given:
        if name not in ("worse", "limit"):
            raise BenchError(
                unknown_name_message(f"name under [{metric}] in '{file}'", name, ["worse", "limit"], ["limit", "worse"])
            )
    limit = old or Limit(metric, _worse(metric), 0.0)
    worse = given.get("worse", limit.worse)
    if worse not in DIRECTIONS:
        raise BenchError(f"'worse' of [{metric}] in '{file}' is {worse!r}. Accepted: {', '.join(DIRECTIONS)}.")
    limit = replace(limit, worse=worse, built_in=False)
    if "limit" not in given:
        return limit
    amount, relative = _amount(given["limit"], f"'limit' of [{metric}] in '{file}'")
    if metric in RATIOS and not relative:
        raise BenchError(f"'limit' of [{metric}] in '{file}' is {amount:g}. Accepted: a share, such as \"10%\".")
    return replace(limit, amount=amount, relative=relative)


def _amount(given: Any, where: str) -> tuple[float, bool]:
    """Return the number, and whether it is a share."""
    relative = isinstance(given, str) and given.endswith("%")
    text = given.removesuffix("%") if isinstance(given, str) else given
    try:
        amount = math.nan if isinstance(text, bool) or (isinstance(given, str) and not relative) else float(text)
    except (TypeError, ValueError, OverflowError):
        amount = math.nan
    if not 0 <= amount < math.inf:
        raise BenchError(f'{where} is {given!r}. Accepted: a number from 0, such as 0.01, or a share, such as "10%".')
    return (amount / 100, True) if relative else (amount, False)
