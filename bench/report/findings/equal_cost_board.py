"""The table of equal cost: rows of different image sizes that were chosen within one limit of operations."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from bench.report.table_model import Cell, Group, Row
from bench.report.text.tables import markdown_cell
from bench.results.quantities.quantity import NOT_RECORDED, significant

LIMIT = "same_gflops"
HEADINGS = ("image size", "GFLOPs", "below the limit (%)", "rank")
MEANING = (
    "Each architecture at the largest square image size that it takes within the limit of operations of a forward pass "
    "of one image, scored at the images' native size: equal cost, not equal pixels. How far a row is below the limit "
    "depends on the multiples that its architecture takes. The rank is that of the leaderboard."
)


@dataclass(frozen=True)
class EqualCost:
    """The rows of a group with one limit, the best first."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]  # label, and a cell for each heading

    def markdown(self) -> list[str]:
        """Return the lines of a GitHub table under its title."""
        head = f"| configuration | {' | '.join(self.headings)} |"
        rule = f"| --- |{' ---: |' * len(self.headings)}"
        rows = [
            f"| {' | '.join(map(markdown_cell, (label, *(c.text for c in cells))))} |" for label, cells in self.rows
        ]
        return [f"## {markdown_cell(self.title)}", "", head, rule, *rows, "", MEANING, ""]


def equal_costs(groups: Iterable[Group]) -> list[EqualCost]:
    """Make the tables of all groups, one for each limit that a ranked row has."""
    return [_table(group, limit) for group in groups for limit in sorted(set(map(_limit, group.ranked)) - {0.0})]


def _limit(row: Row) -> float:
    """Return the limit within which a row's image size was chosen; 0 if there is none."""
    limits = row.configuration.ok.get(LIMIT, [])
    return max((float(value) for value in limits if math.isfinite(value) and value > 0), default=0.0)


def _table(group: Group, limit: float) -> EqualCost:
    return EqualCost(
        f"{group.title}: equal cost, {limit:g} GFLOPs",
        (group.metric.heading_with_unit, *HEADINGS),
        tuple((row.label, _cells(row, group, limit)) for row in group.ranked if _limit(row) == limit),
    )


def _cells(row: Row, group: Group, limit: float) -> tuple[Cell, ...]:
    size = str(row.configuration.values["image_size"])
    side = size.partition("x")[0]
    return (
        row.cells[group.metric.name],
        Cell(size, float(side) if side.isdigit() else None),
        *_costs(row.configuration.spread("gflops").mean, limit),
        row.cells["rank"],
    )


def _costs(gflops: float, limit: float) -> tuple[Cell, Cell]:
    if not math.isfinite(gflops):
        return Cell(NOT_RECORDED), Cell(NOT_RECORDED)
    below = 100 * (1 - gflops / limit)
    return Cell(significant(gflops), gflops), Cell(f"{below:.1f}", below)
