"""Tabulate what one seed more is worth: by how much it would narrow each row's interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.report.findings.boards.board import Board, Topic, cut_note
from bench.report.table_model import Cell, Group
from bench.results.analysis.intervals.combined import width, with_seeds
from bench.results.quantities.quantity import Metric

_MANY = 1000  # seeds: only the images' share of the width is left
_MOST = 20  # rows, best first
_LITTLE = 0.03  # narrower by less isn't worth a seed


@dataclass(frozen=True)
class SeedWorth:
    """The widths of a row's interval."""

    label: str
    seeds: int
    now: float
    one_more: float
    many: float

    @property
    def narrower(self) -> float:
        """The share of the width that one seed more would take away."""
        return 1 - self.one_more / self.now


@dataclass(frozen=True, eq=False)
class SeedBoard(Board):
    """The rows of a group with several seeds, the best first."""

    topic = Topic(
        name="seed-worth",
        link="A seed's worth",
        heading="What a seed is worth",
        meaning="The width of each row's 95 % interval now, with one seed more, and with so many that only the test "
        "images are left as a cause, if mean and spread over the seeds stayed what they are.",
        columns=("seeds", "width now", "with one more", "narrower by", "with very many"),
    )
    metric: Metric
    found: tuple[SeedWorth, ...]
    ranked: int  # rows of the group

    @property
    def rows(self) -> list[tuple[str, tuple[Cell, ...]]]:
        """See `Board`."""
        write = self.metric.write
        return [
            (
                one.label,
                (
                    Cell(str(one.seeds), float(one.seeds)),
                    *(Cell(write(value), value) for value in (one.now, one.one_more)),
                    Cell(f"{100 * one.narrower:.0f} %", one.narrower),
                    Cell(write(one.many), one.many),
                ),
            )
            for one in self.found
        ]

    @property
    def notes(self) -> list[str]:
        """See `Board`."""
        idle = sum(one.narrower < _LITTLE for one in self.found)
        cut = cut_note(self.ranked, _MOST)
        if not idle:
            return [*cut]
        return [
            f"For {idle} of these {len(self.found)} rows a seed more takes less than 3 %: the test images decide.",
            *cut,
        ]

    @property
    def records(self) -> list[dict[str, Any]]:
        """See `Board`."""
        return [
            {
                "table": self.title,
                "configuration": one.label,
                "metric": self.metric.name,
                "seeds": one.seeds,
                "width": one.now,
                "width_with_one_more": one.one_more,
                "width_with_many": one.many,
            }
            for one in self.found
        ]


def seed_boards(groups: Sequence[Group]) -> list[SeedBoard]:
    """Make a table for each group of which a row has several seeds and an interval."""
    found = []
    for group in groups:
        rows = []
        for row in group.ranked[:_MOST]:
            one = row.uncertainty
            if one is None or len(one.scores) < 2 or not 0 < (now := width(one)) < math.inf:
                continue
            seeds = len(one.scores)
            more, many = (width(with_seeds(one, number)) for number in (seeds + 1, _MANY))
            rows.append(SeedWorth(row.label, seeds, now, more, many))
        if rows:
            title = f"{group.title}: what a seed is worth"
            found.append(SeedBoard(title, group.metric, tuple(rows), len(group.ranked)))
    return found
