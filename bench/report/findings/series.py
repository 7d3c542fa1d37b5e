"""The same configurations at several budgets, or on several shares of the training images.

Each value is a separate trial, trained to the end of its own schedule. A learning curve can't replace it, because its
learning rate falls only at the end. Between two values the score is interpolated linearly over the logarithm.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from bench.core.errors import BenchError
from bench.core.specs import Budget
from bench.report.labels import budget_text, declared, labels_without
from bench.report.table_model import Group, Row
from bench.results.analysis.configurations import COMPARABLE, SAME, Configuration, comparable
from bench.results.analysis.intervals.scales import Interval
from bench.results.clean_text import shorten
from bench.results.quantities.quantity import LOWER, Metric

_TARGET = 0.9  # the default target as a share of the best score
_MOST_CROSSED = 30  # lines whose crossings are computed, best first, besides those that lead at some value


@dataclass(frozen=True)
class Axis:
    """A field of the configuration with several values."""

    field: str  # the column of the frame
    title: str
    heading: str
    place: Callable[[Configuration], tuple[float, str] | None]  # a configuration's value on the axis, and the unit
    also: tuple[str, ...] = ()  # further columns that say the same in another way

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns that may differ along the axis."""
        return (self.field, *self.also)


@dataclass(frozen=True, eq=False)
class Point:
    """One configuration at one value."""

    value: float
    row: Row
    group: Group  # the group in which the row is ranked
    place: int  # its place among the group's ranked rows

    @property
    def score(self) -> float:
        """The mean over the seeds of the score that the group is ranked by."""
        return self.row.configuration.spread(self.group.metric.name).mean

    @property
    def goodness(self) -> float:
        """The score, negated if lower is better."""
        return self.group.metric.goodness(self.score)

    def differs_from(self, other: "Point") -> bool:
        """Return whether two points of the same group are significantly different."""
        return bool(self.group.different[self.place, other.place])

    def minus(self, other: "Point") -> Interval | None:
        """Return the difference with its 95 % interval; None if there is no interval."""
        one, two = self.row.uncertainty, other.row.uncertainty
        return one.minus(two) if one and two else None


@dataclass(frozen=True, eq=False)
class Line:
    """One configuration at its values, in order."""

    label: str
    points: tuple[Point, ...]

    def at(self, value: float) -> Point | None:
        """Return the line's point at a value; None if it has none."""
        return next((point for point in self.points if point.value == value), None)

    def needs(self, target: float) -> float | None:
        """Return the interpolated value at which the score is first reached; None if it never is.

        Nothing is extrapolated: the first value stands for itself and everything below it.
        """
        wanted = self.points[0].group.metric.goodness(target)
        if self.points[0].goodness >= wanted:
            return self.points[0].value
        for one, two in pairwise(self.points):
            if one.goodness < wanted <= two.goodness:
                return _between(one.value, two.value, wanted - one.goodness, wanted - two.goodness)
        return None


@dataclass(frozen=True)
class Winner:
    """The best line at one value, and those that are tied with it."""

    value: float
    best: Line
    tied: tuple[Line, ...]  # the others that are not significantly different from it


@dataclass(frozen=True)
class Crossing:
    """A point between two values that were run at which one configuration overtakes another."""

    before: Line  # better at the smaller value
    after: Line
    value: float
    low: float  # the smallest and the largest possible value, by the intervals of the differences
    high: float
    significant: bool  # whether the two are significantly different at both values
    leads: bool  # whether the leader changes there


@dataclass(frozen=True, eq=False)
class Series:
    """Lines that may be compared at each value."""

    axis: Axis
    unit: str
    fields: dict[str, str]  # the values that the trials share, as in Group
    lines: tuple[Line, ...]  # the best at the largest value first
    winners: tuple[Winner, ...]  # one per value, in order
    crossings: tuple[Crossing, ...]  # those at which the leader changes first

    @property
    def target(self) -> float:
        """A score worth reaching, to two digits; rounded towards the worse, so that at least one line reaches it."""
        points = [point for line in self.lines for point in line.points]
        best = max(points, key=lambda point: point.goodness).score
        if self.metric.better == LOWER:
            return math.ceil(100 * best / _TARGET) / 100
        return math.floor(100 * _TARGET * best) / 100

    @property
    def metric(self) -> Metric:
        """The metric that the configurations are ranked by."""
        return self.lines[0].points[0].group.metric

    @property
    def heading(self) -> str:
        """The axis with its unit."""
        return f"{self.axis.heading} ({self.unit})" if self.unit not in self.axis.heading else self.axis.heading

    @property
    def title(self) -> str:
        """The title, such as `Winner by budget: pets at 128x128`."""
        return f"{self.axis.title}: {self.fields['data set']} at {self.fields['evaluation size']}"


def _budget(member: Configuration) -> tuple[float, str] | None:
    try:
        budget = Budget.parse(str(member.values["budget"]))
    except BenchError:  # a record that somebody edited
        return None
    return budget.amount, budget.unit


def _images(member: Configuration) -> tuple[float, str] | None:
    images = member.spread("train_images").mean
    return (images, "images") if images > 0 else None


AXES = (
    Axis("budget", "Winner by budget", "budget", _budget),
    Axis("train_fraction", "Label efficiency", "training images", _images, ("train_limit",)),
)


def all_series(groups: Sequence[Group]) -> list[Series]:
    """Make a series for every axis along which a group of configurations has two values or more."""
    return [series for axis in AXES for series in _series(groups, axis)]


def _series(groups: Sequence[Group], axis: Axis) -> Iterator[Series]:
    same: dict[tuple[str, ...], dict[tuple[str, ...], list[Point]]] = defaultdict(lambda: defaultdict(list))
    units = {}
    for group in groups:
        for place, row in enumerate(group.ranked):
            if (found := axis.place(row.configuration)) is None:
                continue
            values = row.configuration.values
            shared = (str(comparable(values, name)) for name in COMPARABLE if name not in axis.fields)
            together = (*shared, row.configuration.versions, group.metric.name, found[1])
            alike = declared(values, (name for name in (*SAME, "software") if name not in axis.fields))
            same[together][alike].append(Point(found[0], row, group, place))
            units[together] = found[1]
    for together, by_line in same.items():
        once = [_once(axis, points) for points in by_line.values()]
        lines = [sorted(points, key=lambda point: point.value) for points in once if _is_line(points)]
        if lines:
            yield _made(axis, units[together], lines)


def _once(axis: Axis, points: Sequence[Point]) -> list[Point]:
    """Keep of the points whose value was given in several ways, as a share and as a number, the one with most seeds."""
    ways: dict[tuple[str, ...], list[Point]] = defaultdict(list)
    for point in points:
        values = point.row.configuration.values
        ways[tuple(str(values[name]) for name in axis.fields)].append(point)
    kept: dict[float, list[Point]] = {}
    for some in sorted(ways.values(), key=lambda some: -max(point.row.configuration.seeds for point in some)):
        kept.setdefault(some[0].value, some)
    return [point for some in kept.values() for point in some]


def _is_line(points: Sequence[Point]) -> bool:
    """Return whether the points form a line: at least two values, and one point at each.

    Two rows with the same value differ in something that no field records, such as a plug-in's code.
    """
    return len({point.value for point in points}) == len(points) > 1


def _made(axis: Axis, unit: str, found: Sequence[Sequence[Point]]) -> Series:
    labels = labels_without([points[-1].row.configuration for points in found], axis.fields)
    lines = [Line(label, tuple(points)) for label, points in zip(labels, found, strict=True)]
    lines.sort(key=lambda line: (-line.points[-1].value, -line.points[-1].goodness))
    values = sorted({point.value for line in lines for point in line.points})
    fields = {name: text for name, text in lines[0].points[0].group.fields.items() if name != axis.heading}
    winners = tuple(_winner(value, lines) for value in values)
    return Series(axis, unit, fields, tuple(lines), winners, tuple(_crossings(lines, winners)))


def _winner(value: float, lines: Sequence[Line]) -> Winner:
    here = [(line, point) for line in lines if (point := line.at(value))]
    best, top = max(here, key=lambda pair: pair[1].goodness)
    return Winner(
        value,
        best,
        tuple(line for line, point in here if line is not best and not top.differs_from(point)),
    )


def _crossings(lines: Sequence[Line], winners: Sequence[Winner]) -> list[Crossing]:
    leaders = {winner.value: winner.best for winner in winners}
    looked_at = dict.fromkeys([*(winner.best for winner in winners), *lines[:_MOST_CROSSED]])
    found = []
    for one, two in combinations(looked_at, 2):
        # Where two scores are equal, neither is ahead.
        common = [a.value for a in one.points if (b := two.at(a.value)) and a.score != b.score]
        for low, high in pairwise(common):
            ends = [(one.at(value), two.at(value)) for value in (low, high)]
            gaps = [a.goodness - b.goodness for a, b in ends if a and b]
            if gaps[0] * gaps[1] < 0:
                before, after = (one, two) if gaps[0] > 0 else (two, one)
                leads = leaders[low] is before and leaders[high] is after
                found.append(_crossing(before, after, low, high, leads))
    return sorted(found, key=lambda crossing: (not crossing.leads, not crossing.significant, crossing.value))


def _crossing(before: Line, after: Line, low: float, high: float, leads: bool) -> Crossing:
    ends = [(one, two) for value in (low, high) if (one := before.at(value)) and (two := after.at(value))]
    gaps = [one.score - two.score for one, two in ends]
    value = _between(low, high, *gaps)
    significant = all(one.differs_from(two) for one, two in ends)
    first, last = (one.minus(two) for one, two in ends)
    if not (significant and first and last):
        return Crossing(before, after, value, low, high, False, leads)
    span = _between(low, high, first.low, last.low), _between(low, high, first.high, last.high)
    return Crossing(before, after, value, min(span), max(span), True, leads)


def _between(low: float, high: float, first: float, last: float) -> float:
    """Find the value at which a line over log(value), from `first` at `low` to `last` at `high`, is 0."""
    share = first / (first - last)
    return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))


def value_name(series: Series, value: float) -> str:
    """Write a value of the axis, such as `100 steps`, `10m` or `27 images`."""
    if series.axis.field == "budget":
        return budget_text(str(Budget(value, series.unit)))
    return f"{value:,.0f} {series.unit}"


def near(series: Series, value: float) -> str:
    """Write an interpolated value to two digits, such as `140 steps` or `3.5m`."""
    return value_name(series, float(f"{value:.2g}"))


def needs_text(series: Series, line: Line) -> str:
    """Say what the line needs for the series' target: `about 140 steps`, `at most 50 steps`, `not reached`."""
    needed = line.needs(series.target)
    if needed is None:
        return "not reached"
    return f"{'at most' if needed == line.points[0].value else 'about'} {near(series, needed)}"


def crossing_text(series: Series, crossing: Crossing) -> str:
    """Write one line on a crossing: which configuration overtakes which, where, and with which interval."""
    low, high = near(series, crossing.low), near(series, crossing.high)
    sure = (
        f"95 % interval {low} to {high}" if crossing.significant else f"between {low} and {high}, and it may be chance"
    )
    lead = ", and leads" if crossing.leads else ""
    names = f"{shorten(crossing.after.label, 60)} overtakes {shorten(crossing.before.label, 60)}"
    return f"{names} at about {near(series, crossing.value)} ({sure}){lead}."
