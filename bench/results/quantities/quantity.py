"""What a measured number is: its name, heading, unit, meaning, which direction is better, and where it is shown."""

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

# Where a quantity is shown.
LEADERBOARD = "leaderboard"
SPEED_TABLE = "speed table"
TRADE_OFF = "trade-off plots"  # as a cost, against the score
COMPARISON = "ratios of bench compare"
CURVES = "learning curves"  # `val_<name>` of the history
VERIFICATION = "bench verify"

Number = TypeVar("Number", float, NDArray[np.float64])


def significant(value: float) -> str:
    """Three significant digits, whole above 100, with thousands separators."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def millions(value: float) -> str:
    """Three significant digits of millions."""
    return significant(value / 1e6)


def whole_number(value: float) -> str:
    """A whole number with thousands separators."""
    return f"{value:,.0f}"


def decimals(count: int) -> Callable[[float], str]:
    """A writer of a fixed number of decimals."""
    return lambda value: f"{value:.{count}f}"


@dataclass(frozen=True)
class Bound:
    """How a quantity may be limited: by `bench recommend` and by the sliders of a report's page."""

    key: str  # max_latency_ms: the option, and the name in the page's address
    unit: str
    scale: float = 1.0  # the quantity's own units in one of `unit`


@dataclass(frozen=True)
class Tolerance:
    """How much worse `bench check` lets a quantity become unless a file says otherwise."""

    amount: float
    relative: bool = False  # a share of the baseline's value
    exact: bool = False  # a change in either direction counts
    optional: bool = False  # passed over where nobody recorded it


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One number of a trial: a column of `load_results`."""

    name: str  # the column
    part: str  # of the record, that holds it
    heading: str
    unit: str = ""  # as it is written in tables
    meaning: str
    more: str = ""  # what else results/README.md says of it
    better: Better | None = HIGHER  # None: neither direction is
    write: Callable[[float], str] = significant
    where: tuple[str, ...] = ()
    with_sd: bool = False  # the cell shows the standard deviation; elsewhere it is in the cell's title
    optional: bool = False  # left out of a table where no configuration has it
    brief: bool = False  # shown in a terminal
    missing: str = MISSING  # the text where there is no number
    speed_meaning: str = ""  # in the speed table, where it is measured otherwise
    axis: str = ""  # on the axis of a plot; the heading with its unit where it is empty
    axis_scale: float = 1.0  # the quantity's own units in one of the axis
    ratio: str = ""  # heading of its ratio in the table of `bench compare`; empty: no column
    bound: Bound | None = None
    tolerance: Tolerance | None = None

    @property
    def heading_with_unit(self) -> str:
        """`latency p50 (ms)`."""
        return f"{self.heading} ({self.unit})" if self.unit else self.heading

    @property
    def axis_title(self) -> str:
        """`training speed (images/s)`."""
        return self.axis or self.heading_with_unit

    def goodness(self, value: Number) -> Number:
        """Turn a value, or an array of values, so that more of it is better: negative where less is better."""
        return -value if self.better == LOWER else value


@dataclass(frozen=True, kw_only=True)
class Metric(Quantity):
    """A quantity that configurations are ranked by: a score that sums over the test images make."""

    better: Better = HIGHER
    score: Score


@dataclass(frozen=True)
class Definition:
    """One way to compute a score, for `bench audit`."""

    name: str
    score: Score
    better: Better = HIGHER
