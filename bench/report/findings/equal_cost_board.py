"""The tables of equal cost: rows of different image sizes that were chosen within one limit."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from bench.config.equal_cost import MEMORY, OPERATIONS, Limit
from bench.report.table_model import Cell, Group, Row
from bench.report.text.tables import markdown_cell
from bench.results.quantities.quantity import NOT_RECORDED, significant
from bench.results.sizes.chosen_within import costs_within, limits_of

_OF = {
    OPERATIONS: (("GFLOPs",), "limit of operations of a forward pass of one image", ""),
    MEMORY: (
        ("memory to train (MiB)", "memory to fit (MiB)"),
        "limit of memory that training needs at its batch size",
        " The memory to train is that of the whole process in a few steps, measured once before the run; the memory to "
        "fit is that of the whole trial, evaluation included.",
    ),
}
"""Each kind of limit has here the headings of its costs, its name, and what a reader must know of them."""
MEANING = (
    "scored at the images' native size: equal cost, not equal pixels. How far a row is below the limit depends on the "
    "multiples that its architecture takes. The rank is that of the leaderboard."
)


@dataclass(frozen=True)
class EqualCost:
    """The rows of a group with one limit, the best first."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]  # label, and a cell for each heading
    meaning: str

    def markdown(self) -> list[str]:
        """Return the lines of a GitHub table under its title."""
        head = f"| configuration | {' | '.join(self.headings)} |"
        rule = f"| --- |{' ---: |' * len(self.headings)}"
        rows = [
            f"| {' | '.join(map(markdown_cell, (label, *(c.text for c in cells))))} |" for label, cells in self.rows
        ]
        return [f"## {markdown_cell(self.title)}", "", head, rule, *rows, "", self.meaning, ""]


def equal_costs(groups: Iterable[Group]) -> list[EqualCost]:
    """Make the tables of all groups, one for each limit that a ranked row has."""
    return [_table(group, *one) for group in groups for one in limits_of(row.configuration for row in group.ranked)]


def _table(group: Group, limit: Limit, most: float) -> EqualCost:
    costs, name, more = _OF[limit]
    return EqualCost(
        f"{group.title}: equal cost, {limit.text(most)}",
        (group.metric.heading_with_unit, "image size", costs[0], "below the limit (%)", *costs[1:], "rank"),
        tuple(
            (row.label, _cells(row, group, limit, most))
            for row in group.ranked
            if (limit, most) in costs_within(row.configuration)
        ),
        f"Each architecture at the largest square image size that it takes within the {name}, {MEANING}{more}",
    )


def _cells(row: Row, group: Group, limit: Limit, most: float) -> tuple[Cell, ...]:
    size = str(row.configuration.values["image_size"])
    side = size.partition("x")[0]
    fits = () if limit is OPERATIONS else (_number(row.configuration.spread("process_peak_mib").mean),)
    return (
        row.cells[group.metric.name],
        Cell(size, float(side) if side.isdigit() else None),
        *_costs(costs_within(row.configuration)[limit, most], most),
        *fits,
        row.cells["rank"],
    )


def _costs(cost: float, most: float) -> tuple[Cell, Cell]:
    if not math.isfinite(cost):
        return Cell(NOT_RECORDED), Cell(NOT_RECORDED)
    below = 100 * (1 - cost / most)
    return _number(cost), Cell(f"{below:.1f}", below)


def _number(value: float) -> Cell:
    return Cell(significant(value), value) if math.isfinite(value) else Cell(NOT_RECORDED)
