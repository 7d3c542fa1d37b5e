"""Tell how far the loader limits the training speed, and where the order of rows would change without that limit."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from bench.report.columns import BUSY_MARK
from bench.report.table_model import Group
from bench.report.text.tables import markdown_cell
from bench.results.analysis.configurations import Configuration
from bench.results.analysis.quiet import BUSY
from bench.results.quantities.performance import EFFICIENCY_LIMIT
from bench.results.quantities.quantity import NOT_RECORDED, significant

HEADINGS = ("loader", "bare", "joint", "joint / bare", "place", "place, free loader")
MEANING = (
    "Images per second: of the loader alone; of the bare training step on a batch that stays on the device; and of "
    "training as it ran, with both (joint). Joint / bare is from blocks timed in turn, so it isn't the quotient of the "
    "two columns, which were measured minutes apart. The places are by joint, and by bare, which a free loader and "
    "copies to the device that cost nothing would allow."
)
_COLUMNS = (
    *("loader_images_per_second", "bare_images_per_second", "train_images_per_second"),
    "harness_efficiency",
)
_MOST = 10  # sentences


@dataclass(frozen=True)
class Rates:
    """A configuration's rates in images/s, means over its seeds; NaN where they were not recorded."""

    label: str
    busy: bool  # whether other processes kept the CPU busy
    loader: float
    bare: float
    joint: float
    efficiency: float  # joint / bare, timed in turn

    @property
    def is_limited(self) -> bool:
        """True if input or harness limit the training speed; False where other processes may have done so."""
        return self.efficiency < EFFICIENCY_LIMIT and not self.busy


@dataclass(frozen=True)
class Ceiling:
    """The rates of a group's rows, the fastest training first, and what a free loader would change."""

    rows: tuple[tuple[str, tuple[str, ...]], ...]  # label, and a cell for each of HEADINGS
    sentences: tuple[str, ...]

    def markdown(self, title: str) -> list[str]:
        """Return the lines of a GitHub table with its sentences."""
        head = f"| configuration | {' | '.join(HEADINGS)} |"
        rule = f"| --- |{' ---: |' * len(HEADINGS)}"
        rows = [f"| {' | '.join(map(markdown_cell, (label, *cells)))} |" for label, cells in self.rows]
        told = map(markdown_cell, self.sentences)
        return [f"## {markdown_cell(title)}: input ceiling", "", head, rule, *rows, "", *told, ""]


def input_ceiling(group: Group) -> Ceiling | None:
    """Compare the rates of the ranked rows; None if no row has any."""
    rates = [_rates(row.label, row.configuration) for row in group.ranked]
    if not any(math.isfinite(one.bare) for one in rates):
        return None
    rates.sort(key=lambda one: -one.joint if math.isfinite(one.joint) else math.inf)
    joint, free = (_places([getattr(one, name) for one in rates]) for name in ("joint", "bare"))
    rows = tuple((one.label, _cells(one, places)) for one, *places in zip(rates, joint, free, strict=True))
    return Ceiling(rows, tuple(_sentences(rates)))


def _rates(label: str, member: Configuration) -> Rates:
    return Rates(label, member.others_share > BUSY, *(member.spread(name).mean for name in _COLUMNS))


def _places(values: Sequence[float]) -> list[str]:
    """Return the place of each value, the highest first; "not recorded" for NaN."""
    return [
        str(1 + sum(other > value for other in values)) if math.isfinite(value) else NOT_RECORDED for value in values
    ]


def _cells(one: Rates, places: Sequence[str]) -> tuple[str, ...]:
    mark = BUSY_MARK if one.busy else ""
    rates = [
        f"{mark}{significant(value)}" if math.isfinite(value) else NOT_RECORDED
        for value in (one.loader, one.bare, one.joint)
    ]
    efficiency = f"{one.efficiency:.2f}" if math.isfinite(one.efficiency) else NOT_RECORDED
    return (*rates, efficiency, *places)


def _sentences(rates: Sequence[Rates]) -> list[str]:
    """Name the rows that a free loader would put before others: rows that input or harness limit now."""
    swaps = [
        f"With a free loader, {second.label} ({_change(second)} images/s) would come before {first.label} "
        f"({_change(first)})."
        for first, second in combinations(rates, 2)
        if first.joint > second.joint and first.bare < second.bare and second.is_limited
    ]
    if not swaps:
        limited = sum(one.is_limited for one in rates)
        busy = sum(one.busy for one in rates)
        told = f"Input or harness limits {limited} of {len(rates)} rows."
        told += f" The machine was too busy to tell it of {busy}." if busy else ""
        return [f"With a free loader the order would stay the same. {told}" if len(rates) > 1 else told]
    return [*swaps[:_MOST], *([f"And {len(swaps) - _MOST} more pairs."] if len(swaps) > _MOST else [])]


def _change(one: Rates) -> str:
    return f"{significant(one.joint)} to {significant(one.bare)}"


def ceilings_markdown(found: Mapping[str, Ceiling | None]) -> list[str]:
    """Write the tables of several groups, by title."""
    return [line for title, one in found.items() if one for line in one.markdown(title)]
