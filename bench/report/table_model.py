"""The leaderboard's shapes: a cell, a row, and a group of rows that may be compared."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bench.report.flags import Flag
from bench.results.analysis.bootstrap import Uncertainty
from bench.results.analysis.configurations import Configuration
from bench.results.quantities.quantity import Metric


@dataclass(frozen=True)
class Cell:
    """What stands in a table, what it is sorted by, and what is said when it is pointed at."""

    text: str
    sort: float | str | None = None  # None comes last
    title: str = ""
    warn: bool = False
    heat: int | None = None  # 0 (the worst of the column) to 100 (the best)


@dataclass(frozen=True, eq=False)
class Row:
    """A configuration with its place in the group; no rank when no seed is ok."""

    rank: int | None  # the place of its tied group's first row
    ranks: tuple[int, int] | None  # best and worst that its differences to the others leave open
    configuration: Configuration
    uncertainty: Uncertainty | None  # of the score; None where the tables don't give it
    label: str  # tells it from the other rows
    flags: tuple[Flag, ...]
    cells: dict[str, Cell]
    classes: dict[str, Cell]  # IoU of each class, by the names in Group.classes


@dataclass(frozen=True)
class Group:
    """Configurations that may be compared."""

    title: str
    fields: dict[str, str]  # "device" -> "NVIDIA H200"
    columns: dict[str, tuple[str, str]]  # name -> (heading with unit, definition), in order
    texts: frozenset[str]  # the names of the columns that hold no numbers
    brief: tuple[str, ...]  # the names of the columns that stand beside the label in a terminal
    classes: dict[str, str]  # "iou_pet" -> "pet"
    metric: Metric  # that the rank follows
    rows: tuple[Row, ...]
    different: NDArray[np.bool_]  # (ranked, ranked): which pairs of the ranked rows are significantly different
    notes: tuple[str, ...]  # what a reader must know before trusting the ranks

    def different_from(self, place: int) -> str:
        """Hexadecimal bits of the ranked rows that differ significantly from the one at `place`; empty: from none."""
        bits = self.different[place]
        return np.packbits(bits).tobytes().hex() if bits.any() else ""

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
