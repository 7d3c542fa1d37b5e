"""The rows of a leaderboard within given limits, and which of them are statistically tied with the best."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.report.table_model import Group, Row
from bench.results.clean_text import shorten
from bench.results.quantities import QUANTITIES
from bench.results.quantities.quantity import LOWER, NOT_RECORDED, Quantity

NEAR = 0.25  # of a limit: rows that miss it by less are named


@dataclass(frozen=True)
class Constraint:
    """A quantity that may be limited; `key` names it as an option and in a page's address."""

    key: str  # max_latency_ms
    quantity: Quantity
    unit: str
    scale: float  # how many of the quantity's own units make one of the constraint's

    @property
    def at_most(self) -> bool:
        """True if the limit is an upper bound, False if it is a lower one."""
        return self.quantity.better == LOWER

    def value(self, row: Row) -> float:
        """Return a row's mean in the constraint's unit; NaN if it was not measured."""
        return row.configuration.spread(self.quantity.name).mean / self.scale

    def keeps(self, row: Row, limit: float) -> bool:
        """Return whether a row's mean is within the limit; False if it was not measured."""
        return self.value(row) <= limit if self.at_most else self.value(row) >= limit

    def is_near(self, row: Row, limit: float) -> bool:
        """Return whether a row's mean is at most the share NEAR off the limit; False if it was not measured."""
        return abs(self.value(row) - limit) <= NEAR * limit

    def text(self, limit: float) -> str:
        """Write a limit, such as `latency p95 at most 10 ms`."""
        most = "most" if self.at_most else "least"
        return f"{self.quantity.heading} at {most} {limit:,.12g} {self.unit}".rstrip()


CONSTRAINTS = tuple(
    Constraint(row.bound.key, row, row.bound.unit, row.bound.scale) for row in QUANTITIES.values() if row.bound
)


@dataclass(frozen=True)
class Choice:
    """The rows of a group that are within the limits, best first."""

    kept: tuple[Row, ...]
    tied: tuple[Row, ...]  # those of `kept` that learned something and don't differ significantly from the best of them


def choose(group: Group, limits: Mapping[str, float]) -> Choice:
    """Apply limits, named by their keys, to the ranked rows of a group."""
    wanted = [(limit, limits[limit.key]) for limit in CONSTRAINTS if limit.key in limits]
    places = [
        place for place, row in enumerate(group.ranked) if all(limit.keeps(row, value) for limit, value in wanted)
    ]
    kept = tuple(group.ranked[place] for place in places)
    able = [place for place in places if not group.ranked[place].learned_nothing]
    tied = tuple(group.ranked[place] for place in able if not group.different[able[0], place])
    return Choice(kept, tied)


def just_outside(group: Group, limits: Mapping[str, float], choice: Choice) -> list[str]:
    """Name the rows that score better than the best one within the limits, and miss these by at most the share NEAR."""
    wanted = [(limit, limits[limit.key]) for limit in CONSTRAINTS if limit.key in limits]
    found = []
    for row in itertools.takewhile(lambda row: row not in choice.kept[:1], group.ranked):
        missed = [(limit, value) for limit, value in wanted if not limit.keeps(row, value)]
        if all(limit.is_near(row, value) for limit, value in missed):
            costs = (f"{one.quantity.heading} {one.value(row):.4g} {one.unit}".rstrip() for one, _ in missed)
            score = f"{group.metric.heading} {row.cells[group.metric.name].text}"
            found.append(f"{shorten(row.label)} ({', '.join((score, *costs))})")
    return found


def hindrances(group: Group, limits: Mapping[str, float]) -> list[str]:
    """Say for each limit how many rows are within it, and which has the best value: which one to loosen."""
    lines = []
    for limit in (limit for limit in CONSTRAINTS if limit.key in limits):
        kept = sum(limit.keeps(row, limits[limit.key]) for row in group.ranked)
        known = [(value, row.label) for row in group.ranked if (value := limit.value(row)) == value]
        best, label = (min if limit.at_most else max)(known, default=(math.nan, ""))
        word, unit = "lowest" if limit.at_most else "highest", f" {limit.unit}".rstrip()
        nearest = f"; the {word} is {best:.4g}{unit}, of {shorten(label)}" if known else ""
        unknown = f"; {NOT_RECORDED} in {len(group.ranked) - len(known)}" if len(known) < len(group.ranked) else ""
        lines.append(f"{limit.text(limits[limit.key])}: met by {kept} of {len(group.ranked)}{nearest}{unknown}")
    return lines


def constraints_of(groups: Sequence[Group]) -> list[Constraint]:
    """List the constraints on quantities for which a ranked row has a value."""
    rows = [row for group in groups for row in group.ranked]
    return [limit for limit in CONSTRAINTS if any(row.configuration.spread(limit.quantity.name).n for row in rows)]
