"""The parts of a leaderboard: a cell, a row, and a group of rows that may be compared."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bench.report.flags.flag import LEARNED_NOTHING, Flag
from bench.report.interactive.worse_rows import worse_rows
from bench.results.analysis.bootstrap import Uncertainty
from bench.results.analysis.configurations import Configuration
from bench.results.quantities.quantity import Metric


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its text, the value to sort by, and its tooltip."""

    text: str
    sort: float | str | None = None  # None comes last
    title: str = ""
    warn: bool = False
    heat: int | None = None  # 0 (the worst of the column) to 100 (the best)


@dataclass(frozen=True, eq=False)
class Row:
    """A configuration with its place in the group; it has no rank if no seed is ok."""

    rank: int | None  # the place of its tied group's first row
    ranks: tuple[int, int] | None  # the best and the worst possible rank
    configuration: Configuration
    uncertainty: Uncertainty | None  # the score's uncertainty; None if the tables don't give it
    label: str  # unique among the rows
    flags: tuple[Flag, ...]
    cells: dict[str, Cell]
    classes: dict[str, Cell]  # the IoU of each class, by the names in Group.classes

    @cached_property
    def learned_nothing(self) -> bool:
        """True if its score needs no model, so that nobody is advised to take it."""
        return LEARNED_NOTHING in {flag.name for flag in self.flags}


@dataclass(frozen=True)
class Group:
    """Configurations that may be compared."""

    title: str
    fields: dict[str, str]  # "device" -> "NVIDIA H200"
    columns: dict[str, tuple[str, str]]  # name -> (heading with unit, definition), in order
    texts: frozenset[str]  # the names of the columns that hold no numbers
    brief: tuple[str, ...]  # the names of the columns beside the label in a terminal
    classes: dict[str, str]  # "iou_pet" -> "pet"
    metric: Metric  # the score to rank by
    rows: tuple[Row, ...]
    different: NDArray[np.bool_]  # (ranked, ranked): which pairs of the ranked rows are significantly different
    notes: tuple[str, ...]  # what a reader must know before trusting the ranks

    @cached_property
    def worse(self) -> list[str]:
        """The rows after each ranked row that are significantly worse than it, as the page's script reads them."""
        return worse_rows(self.different)

    @cached_property
    def looks(self) -> dict[str, str]:
        """The style of each column's cells on the page."""
        own = {"rank", "arch", "mean_iou"}
        parts = {
            name: (name.replace("_", "-") * (name in own), "number" * (name not in self.texts)) for name in self.columns
        }
        return {name: " ".join(filter(None, some)) for name, some in parts.items()}

    @cached_property
    def ranked(self) -> tuple[Row, ...]:
        """The rows with a rank, best first."""
        return tuple(row for row in self.rows if row.rank is not None)
