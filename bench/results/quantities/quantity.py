"""The description of a measured number: name, heading, unit, meaning, better direction, and where it is shown."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.results.analysis.resampling import Score

Better = Literal["higher", "lower"]
HIGHER: Better = "higher"
LOWER: Better = "lower"
MISSING = "\N{EN DASH}"
NOT_RECORDED, NOT_MEASURED = "not recorded", "not measured"

# The places where quantities are shown.
LEADERBOARD = "leaderboard"
SPEED_TABLE = "speed table"
TRADE_OFF = "trade-off plots"  # as a cost, plotted against the score
COMPARISON = "ratios of bench compare"
CURVES = "learning curves"  # `val_<name>` of the history
VERIFICATION = "bench verify"

Number = TypeVar("Number", float, NDArray[np.float64])


def significant(value: float) -> str:
    """Write three significant digits, whole numbers above 100, with thousands separators; at most six decimals."""
    if not math.isfinite(value) or value == 0:
        return f"{value:.2f}"
    return f"{value:,.{min(max(0, 2 - math.floor(math.log10(abs(value)))), 6)}f}"


def millions(value: float) -> str:
    """Write millions with three significant digits."""
    return significant(value / 1e6)


def whole_number(value: float) -> str:
    """Write a whole number with thousands separators."""
    return f"{value:,.0f}"


def decimals(count: int) -> Callable[[float], str]:
    """Make a function that writes a fixed number of decimals."""
    return lambda value: f"{value:.{count}f}"


@dataclass(frozen=True)
class Bound:
    """A limit that `bench recommend` and the sliders of a report's page accept for a quantity."""

    key: str  # max_latency_ms: the option, and the name in the page's address
    unit: str
    scale: float = 1.0  # how many of the quantity's own units make one `unit`


@dataclass(frozen=True)
class Tolerance:
    """The change for the worse that `bench check` allows unless a file says otherwise."""

    amount: float
    relative: bool = False  # a share of the baseline's value
    exact: bool = False  # a change in either direction counts
    optional: bool = False  # skipped if no record has it


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One number of a trial: a column of `load_results`."""

    name: str  # the column
    part: str  # the part of the record that holds it
    heading: str
    unit: str = ""  # as tables write it
    meaning: str
    more: str = ""  # what else results/README.md says about it
    better: Better | None = HIGHER  # None: neither direction is better
    write: Callable[[float], str] = significant
    where: tuple[str, ...] = ()
    with_sd: bool = False  # the cell shows the standard deviation; otherwise its tooltip does
    signed: bool = False  # it may be below 0: a coefficient of a fit
    every_seed: bool = False  # a configuration has no mean unless each of its seeds has a value
    optional: bool = False  # left out of a table if no configuration has it
    of_option: str = ""  # it concerns trials in which this option isn't at its default; their tables have it
    brief: bool = False  # shown in a terminal
    detail: bool = False  # hidden in the page's leaderboard until its box under "Columns" is ticked
    missing: str = MISSING  # the text if there is no number
    speed_meaning: str = ""  # the meaning in the speed table, if it is measured in another way there
    axis: str = ""  # title of a plot's axis; empty: the heading with its unit
    axis_scale: float = 1.0  # how many of the quantity's own units make one of the axis
    ratio: str = ""  # heading of its ratio in the table of `bench compare`; empty: no column
    bound: Bound | None = None
    tolerance: Tolerance | None = None

    @property
    def heading_with_unit(self) -> str:
        """The heading with the unit, such as `latency p50 (ms)`."""
        return f"{self.heading} ({self.unit})" if self.unit else self.heading

    @property
    def axis_title(self) -> str:
        """The title of a plot's axis, such as `training speed (images/s)`."""
        return self.axis or self.heading_with_unit

    def goodness(self, value: Number) -> Number:
        """Orient a value, or an array of values, so that higher is better: negated if lower is better."""
        return -value if self.better == LOWER else value


@dataclass(frozen=True, kw_only=True)
class Metric(Quantity):
    """A quantity that configurations can be ranked by: mostly a score computed from sums over the test images."""

    better: Better = HIGHER
    score: Score

    @property
    def interval_over(self) -> str:
        """The sources of variance of its intervals, in words."""
        return "images and seeds" if self.score.by_image else "seeds"


@dataclass(frozen=True)
class Definition:
    """One way to compute a score, for `bench audit`."""

    name: str
    score: Score
    better: Better = HIGHER
