"""Tabulate quality, speed, memory and fixed cost by commit, with the places at which they changed."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bench.report.findings.boards.board import Board, Topic
from bench.report.table_model import Cell
from bench.results.clean_text import shorten
from bench.results.over_commits.change_points import LEAST, Change
from bench.results.over_commits.points import FIXED, FOLLOWED, Point
from bench.results.over_commits.timeline import Timeline
from bench.results.quantities import QUANTITIES
from bench.results.quantities.quantity import LOWER, significant

_MOST = 30  # commits of a table, the newest ones
_BARS = "▁▂▃▄▅▆▇█"
_FIXED_HEADING = "fixed cost (s)"
_DASH = "\N{EN DASH}"


def heading_of(name: str) -> str:
    """Return the heading of a followed number with its unit."""
    return _FIXED_HEADING if name == FIXED else QUANTITIES[name].heading_with_unit


def written(name: str, value: float) -> str:
    """Write a followed number."""
    if math.isnan(value):
        return _DASH
    return significant(value) if name == FIXED else QUANTITIES[name].write(value)


def verdict(name: str, change: Change) -> str:
    """Say whether a change is for the better."""
    lower = name == FIXED or QUANTITIES[name].better == LOWER
    return "better" if (change.after < change.before) == lower else "worse"


@dataclass(frozen=True, eq=False)
class CommitBoard(Board):
    """The commits of one configuration, the newest first."""

    topic = Topic(
        name="commits",
        link="By commit",
        heading="By commit of segbench",
        meaning="What one configuration scored, took and needed at each commit, mean over the same seeds. * marks the "
        "first commit of a new level: the means before and after it differ more than in 95 % of random orders, for all "
        "numbers of all tables together (Holm's correction). A change of the machine looks like one of the code: "
        "bench check --against times both revisions in turn.",
        first="commit",
        columns=("date", "seeds", *(heading_of(name) for name in FOLLOWED)),
        texts=frozenset({"date"}),
    )
    line: Timeline

    @property
    def rows(self) -> list[tuple[str, tuple[Cell, ...]]]:
        """See `Board`."""
        found = [(self._name(point), self._cells(place, point)) for place, point in enumerate(self.line.points)]
        return found[::-1][:_MOST]

    def _name(self, point: Point) -> str:
        return f"{point.commit[:10]}{' with changes' if point.dirty else ''}"

    def _cells(self, place: int, point: Point) -> tuple[Cell, ...]:
        seeds = self.line.seeds or tuple(point.values.get("mean_iou", {}))
        numbers = (self._number(name, place) for name in FOLLOWED)
        return Cell(point.time[:10], None), Cell(str(len(seeds)), float(len(seeds))), *numbers

    def _number(self, name: str, place: int) -> Cell:
        value = self.line.values(name)[place]
        starts = any(change.place == place for change in self.line.changes.get(name, ()))
        return Cell(f"{written(name, value)}{' *' * starts}", None if math.isnan(value) else value)

    @property
    def notes(self) -> list[str]:
        """See `Board`."""
        points = self.line.points
        found = [*self._changes(), *self._curves()]
        if self.line.missing:
            found.append(f"{len(points)} commits are too few to find a change: {LEAST} are needed.")
        elif not self.line.changes:
            found.append("No number changed its level significantly.")
        if not self.line.seeds:
            found.append("The commits have no seed in common, so other seeds may explain a difference.")
        if len(points) > _MOST:
            found.append(f"Shown: the newest {_MOST} of {len(points)} commits.")
        return found

    def _changes(self) -> Iterator[str]:
        for name, some in self.line.changes.items():
            for change in some:
                levels = f"{written(name, change.before)} to {written(name, change.after)}"
                commit = self.line.points[change.place].commit[:10]
                yield f"{heading_of(name)}: {levels} from {commit} on, {verdict(name, change)} (p = {change.p:.2g})."

    def _curves(self) -> Iterator[str]:
        """Draw each number in a line of bars, from its lowest to its highest value, the oldest commit first."""
        for name in FOLLOWED:
            values = [value for value in self.line.values(name)[-_MOST:] if math.isfinite(value)]
            low, high = min(values, default=0.0), max(values, default=0.0)
            if high > low:
                bars = "".join(_BARS[round((len(_BARS) - 1) * (value - low) / (high - low))] for value in values)
                yield f"{heading_of(name)}: {bars} ({written(name, low)} to {written(name, high)})"

    @property
    def records(self) -> list[dict[str, Any]]:
        """See `Board`."""
        return [
            {
                "configuration": self.line.label,
                "commit": point.commit,
                "with_changes": point.dirty,
                "time": point.time,
                "device": point.device,
                "software": point.software,
                "seeds": list(self.line.seeds),
                **{name: _or_none(self.line.values(name)[place]) for name in FOLLOWED},
                "changes": [
                    {"name": name, "before": one.before, "after": one.after, "p": one.p}
                    for name, some in self.line.changes.items()
                    for one in some
                    if one.place == place
                ],
            }
            for place, point in enumerate(self.line.points)
        ]


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def commit_boards(lines: Sequence[Timeline]) -> list[CommitBoard]:
    """Make a table for each configuration that ran at several commits."""
    return [CommitBoard(shorten(line.label, 160), line) for line in lines]
