"""The tables of robustness of a group: for the page, Markdown, CSV and a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from rich.console import Group as Renderables
from rich.text import Text

from bench.core.errors import BenchError
from bench.evaluation.corruptions.corruption_table import CORRUPTIONS, Condition
from bench.report.gallery import Sample, is_private, read_sample
from bench.report.table_model import Cell, Group
from bench.report.text.tables import markdown_cell
from bench.report.text.terminal import plain_table
from bench.results.analysis.bootstrap import Uncertainty
from bench.results.clean_text import clean, shorten
from bench.results.loading import StoredTrial
from bench.results.quantities.quantity import MISSING
from bench.results.robustness.degradation import Degradation, Robustness, robustness

Grid = tuple[tuple[str, str, tuple[Cell, ...]], ...]  # kind, its source, a cell for each severity
HEADINGS = ("seeds", "clean", "under corruption", "relative to clean")
MEANING = (
    "Mean IoU on the clean images; under corruption, the mean over the kinds of the means over their severities; and "
    "that divided by the clean one. In brackets: 95 % intervals by the bootstrap over the images, the same draws for "
    "all, and over the seeds if there are several. Each kind's column is its mean over the severities."
)
_PICTURE_SIZE = (312, 156)
_PICTURED = 4  # configurations with pictures, best first


@dataclass(frozen=True)
class CorruptionBoard:
    """A group's configurations under corruption."""

    title: str
    found: Robustness
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]  # label; a cell for each of HEADINGS, then for each kind
    grids: tuple[tuple[str, Grid], ...]  # label; its table by severity
    pictures: tuple[tuple[str, tuple[Sample, ...]], ...]  # label; the images that lost most

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """The headings of the kinds, each with what its amounts are."""
        return [(kind_name(kind), f"{CORRUPTIONS[kind].meaning}: {_amounts(kind)}") for kind in self.found.kinds]

    def markdown(self) -> list[str]:
        """Return the lines of a GitHub table, and of one by kind and severity for each configuration."""
        lines = [f"## {markdown_cell(self.title)}: robustness", "", *_markdown_head("configuration", self._headings())]
        lines += [_markdown_row(label, [cell.text for cell in cells]) for label, cells in self.rows]
        lines += ["", MEANING, *(f"\n{markdown_cell(note)}" for note in self.found.notes), ""]
        for label, grid in self.grids:
            lines += _markdown_head(f"{label}: mean IoU by severity", [str(s) for s in self.found.severities])
            lines += [*(_markdown_row(kind, [cell.text for cell in cells]) for kind, _, cells in grid), ""]
        return lines

    def _headings(self) -> list[str]:
        return [*HEADINGS, *(name for name, _ in self.kinds)]

    def for_terminal(self) -> Renderables:
        """Make the tables for `rich.print`; the kinds are in the tables by severity."""
        table = plain_table(f"{self.title}: robustness on {self.found.images} images", self.found.notes)
        table.add_column("configuration", overflow="fold", min_width=10)
        for heading in HEADINGS:
            table.add_column(heading, justify="right")
        for label, cells in self.rows:
            table.add_row(
                Text(shorten(label, 80)), *(cell.text.replace(" [", "\n[") for cell in cells[: len(HEADINGS)])
            )
        grids = zip(self.found.rows, self.grids, strict=True)
        return Renderables(table, *(_terminal_grid(row, grid, self.found.severities) for row, (_, grid) in grids))


def _terminal_grid(row: Degradation, grid: Grid, severities: Sequence[int]) -> Renderables:
    """Make a configuration's table by severity, and list the images that lost most."""
    table = plain_table(f"{shorten(row.label, 80)}: mean IoU by severity")
    table.add_column("corruption")
    for severity in severities:
        table.add_column(str(severity), justify="right")
    for kind, _, cells in grid:
        table.add_row(kind, *(cell.text for cell in cells))
    lost = [
        Text(f"  {shorten(clean(one.image), 60)}: {one.clean:.3f} clean, {one.corrupted:.3f} under {one.condition}")
        for one in row.lost_most
    ]
    return Renderables(table, Text("Images that lost most:"), *lost, Text()) if lost else Renderables(table)


def corruption_board(
    group: Group,
    trials: Mapping[str, StoredTrial],
    problems: list[str],
    *,
    public: bool = False,
    wanted: Iterable[Condition] | None = None,
) -> CorruptionBoard | None:
    """Make the tables of a group's trials that `bench robustness` measured; None if there are none.

    Args:
        trials: by folder.
        problems: gets a line for each file that can't be read.
        public: whether to leave out pictures that may not be published.
        wanted: the conditions to show; None for all that were measured.
    """
    members = [(row.label, [trials[folder] for folder in row.configuration.ok["folder"]]) for row in group.ranked]
    try:
        found = robustness(members, wanted)
    except BenchError as error:
        problems.append(f"Robustness of {group.title}: {clean(str(error))}")
        return None
    if found is None:
        return None
    private = {label for label, some in members if any(map(is_private, some))} if public else set()
    pictured = [row for row in found.rows if row.label not in private][:_PICTURED]
    return CorruptionBoard(
        group.title,
        found,
        tuple((row.label, tuple(_cells(row, found))) for row in found.rows),
        tuple((row.label, _grid(row, found)) for row in found.rows),
        tuple((row.label, _pictures(row, problems)) for row in pictured if row.pictures),
    )


def kind_name(kind: str) -> str:
    """Write a kind's name for a heading: `motion blur`."""
    return kind.replace("_", " ")


def robustness_csv(boards: Sequence[CorruptionBoard]) -> bytes:
    """Write a CSV line per configuration, kind and severity; numbers are not rounded."""
    rows = [
        {"table": board.title, "configuration": row.label, "images": board.found.images, "kind": one.kind,
         "severity": one.severity, "mean_iou": value, "clean_mean_iou": row.clean.mean}
        for board in boards for row in board.found.rows for one, value in row.by_condition.items()
    ]  # fmt: skip
    return pd.DataFrame(rows).to_csv(index=False, lineterminator="\n").encode()


def _amounts(kind: str) -> str:
    return ", ".join(str(amount) for amount in CORRUPTIONS[kind].amounts)


def _cells(row: Degradation, found: Robustness) -> list[Cell]:
    title = "" if row.seeds > 1 else "one seed: the interval is over the images only"
    scores = (row.clean, row.corrupted, row.relative)
    return [
        Cell(str(row.seeds), float(row.seeds)),
        *(Cell(_with_interval(score), score.mean if score.mean == score.mean else None, title) for score in scores),
        *(_kind_cell(row.by_kind[kind], row.clean.mean) for kind in found.kinds),
    ]


def _with_interval(score: Uncertainty) -> str:
    interval = score.interval
    if interval.mean != interval.mean:
        return "no share of 0"
    return f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _kind_cell(score: Uncertainty, clean_score: float) -> Cell:
    return Cell(
        f"{score.mean:.3f}", score.mean, f"95 % interval {_with_interval(score)}", heat=_heat(score.mean, clean_score)
    )


def _heat(value: float, clean_score: float) -> int | None:
    """Return 100 where all of the clean score is left, 0 where half of it is or less; None if there is no share."""
    if not clean_score > 0 or value != value:
        return None
    return round(100 * min(1.0, max(0.0, 2 * value / clean_score - 1)))


def _grid(row: Degradation, found: Robustness) -> Grid:
    def cell(kind: str, severity: int) -> Cell:
        value = row.by_condition.get(Condition(kind, severity))
        if value is None:
            return Cell(MISSING)
        return Cell(
            f"{value:.3f}", value, f"amount {Condition(kind, severity).amount}", heat=_heat(value, row.clean.mean)
        )

    return tuple(
        (kind_name(kind), CORRUPTIONS[kind].source, tuple(cell(kind, severity) for severity in found.severities))
        for kind in found.kinds
    )


def _pictures(row: Degradation, problems: list[str]) -> tuple[Sample, ...]:
    """Read the images that lost most; their names say under what."""
    read = [(one, read_sample(file, problems, size=_PICTURE_SIZE, quality=70)) for one, file in row.pictures]
    return tuple(
        Sample(f"{kind_name(one.kind)} {one.severity}", sample.uri, sample.width, sample.height)
        for one, sample in read
        if sample
    )


def _markdown_head(first: str, headings: Sequence[str]) -> list[str]:
    return [_markdown_row(first, headings), f"| --- |{' ---: |' * len(headings)}"]


def _markdown_row(label: str, cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(markdown_cell, (label, *cells)))} |"
