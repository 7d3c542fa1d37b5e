"""Tabulate lines over budgets or training images: the area under each, and what a doubled budget adds."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from bench.report.findings.boards.board import Board, Topic, cut_note
from bench.report.findings.series import Line, Point, Series, value_name
from bench.report.table_model import Cell
from bench.results.analysis.intervals.combined import weighted
from bench.results.analysis.intervals.scales import Interval, Scale
from bench.results.quantities.quantity import Metric

_MOST = 20  # lines, best first


@dataclass(frozen=True)
class Worth:
    """A number of a line, between two values of its axis."""

    label: str
    low: str
    high: str
    value: float
    interval: Interval | None


@dataclass(frozen=True, eq=False)
class _LineBoard(Board):
    metric: Metric
    found: tuple[Worth, ...]
    lines: int  # of the series

    @property
    def rows(self) -> list[tuple[str, tuple[Cell, ...]]]:
        """See `Board`."""
        return [(one.label, (Cell(f"{one.low} to {one.high}", None), self._cell(one))) for one in self.found]

    @property
    def notes(self) -> tuple[str, ...]:
        """See `Board`."""
        return cut_note(self.lines, _MOST, "lines")

    @property
    def records(self) -> list[dict[str, Any]]:
        """See `Board`."""
        return [{"table": self.title, "metric": self.metric.name, **asdict(one)} for one in self.found]

    def _cell(self, one: Worth) -> Cell:
        write = self._write
        if one.interval is None or not math.isfinite(one.interval.low):
            return Cell(write(one.value), one.value, "no interval: a value with one seed, or other test images")
        return Cell(f"{write(one.value)} [{write(one.interval.low)}, {write(one.interval.high)}]", one.value)

    def _write(self, value: float) -> str:
        return self.metric.write(value)


@dataclass(frozen=True, eq=False)
class AreaBoard(_LineBoard):
    """The areas under the lines of a series."""

    topic = Topic(
        name="areas",
        link="Areas",
        heading="Areas under the curves",
        meaning="The area under the score over the logarithm of the budget or of the number of training images, over "
        "its width: the mean score from the smallest to the largest value that all lines have, with its 95 % "
        "interval over images and seeds. One number for quick and slow learners alike.",
        columns=("between", "mean score"),
        texts=frozenset({"between"}),
    )


@dataclass(frozen=True, eq=False)
class DoublingBoard(_LineBoard):
    """The gains of a doubled budget."""

    topic = Topic(
        name="budget-worth",
        link="A minute's worth",
        heading="What a minute is worth",
        meaning="The change of the score between the two largest budgets that were run, for each doubling, with its "
        "95 % interval over images and seeds. Where the interval holds 0, more training may add nothing.",
        columns=("between", "a doubled budget adds"),
        texts=frozenset({"between"}),
    )

    def _write(self, value: float) -> str:
        return f"{'-' if value < 0 else '+'}{self.metric.write(abs(value))}"


def area_boards(found: Sequence[Series]) -> list[AreaBoard]:
    """Make a table for each series whose lines have two values or more in common."""
    boards = []
    for series in found:
        lines = series.lines[:_MOST]
        common = sorted(set.intersection(*({point.value for point in line.points} for line in lines)))
        if len(common) > 1:
            rows = [_area(series, line, common) for line in lines]
            rows.sort(key=lambda one: -series.metric.goodness(one.value))
            title = f"{series.title}: areas under the curves"
            boards.append(AreaBoard(title, series.metric, tuple(rows), len(series.lines)))
    return boards


def doubling_boards(found: Sequence[Series]) -> list[DoublingBoard]:
    """Make a table for each series over budgets."""
    return [
        DoublingBoard(
            f"{series.title}: what a doubled budget adds",
            series.metric,
            tuple(_doubling(series, line) for line in series.lines[:_MOST]),
            len(series.lines),
        )
        for series in found
        if series.axis.field == "budget"
    ]


def _area(series: Series, line: Line, values: Sequence[float]) -> Worth:
    """Integrate by trapezoids over the logarithm, between the line's points."""
    points = [point for point in line.points if values[0] <= point.value <= values[-1]]
    places = [math.log(point.value) for point in points]
    weights = [0.0] * len(points)
    for place, (low, high) in enumerate(pairwise(places)):
        for end in (place, place + 1):
            weights[end] += (high - low) / 2 / (places[-1] - places[0])
    return _sum(series, line, points, weights, series.metric.score.scale)


def _doubling(series: Series, line: Line) -> Worth:
    points = line.points[-2:]
    doublings = math.log2(points[1].value / points[0].value)
    return _sum(series, line, points, (-1 / doublings, 1 / doublings), series.metric.score.scale.of_difference)


def _sum(series: Series, line: Line, points: Sequence[Point], weights: Sequence[float], scale: Scale) -> Worth:
    value = sum(weight * point.score for point, weight in zip(points, weights, strict=True))
    rows = [point.row.uncertainty for point in points if point.row.uncertainty]
    interval = weighted(rows, weights, scale) if len(rows) == len(points) else None
    return Worth(line.label, value_name(series, points[0].value), value_name(series, points[-1].value), value, interval)
