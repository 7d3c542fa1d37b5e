"""The tables of the trials of speed alone (`bench speed`): what was measured, no ranks."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import pandas as pd
from rich.table import Table
from rich.text import Text

from bench.records.statistics import Configuration, pool
from bench.records.text import shorten
from bench.report.labels import value_text, varied_and_labels
from bench.report.speed_columns import COLUMNS, cell_text
from bench.report.tables import markdown_cell

_GROUP = ("device", "image_size", "protocol_version")
_ALWAYS = ("batch_size", "backend", "precision")


@dataclass(frozen=True)
class SpeedRow:
    """A configuration that was measured."""

    label: str
    cells: dict[str, str]  # by the names in SpeedBoard.columns
    values: dict[str, float]  # of the columns of numbers, NaN where there is none


@dataclass(frozen=True)
class SpeedBoard:
    """Configurations measured on one device at one image size."""

    title: str
    columns: dict[str, tuple[str, str]]  # name -> (heading with unit, definition), in order
    texts: frozenset[str]  # the names of the columns that hold no numbers
    brief: tuple[str, ...]  # the names of the columns that fit a terminal
    rows: tuple[SpeedRow, ...]

    def terminal_table(self) -> Table:
        """For `rich.print`."""
        table = Table(title=Text(self.title), title_justify="left")
        for name in self.brief:
            text = name in self.texts
            table.add_column(Text(self.columns[name][0]), justify="left" if text else "right", overflow="fold")
        for row in self.rows:
            table.add_row(*(Text(shorten(row.cells[name], 40)) for name in self.brief))
        return table

    def markdown(self) -> list[str]:
        """The lines of a GitHub table under its title."""
        heads = [markdown_cell(heading) for heading, _ in self.columns.values()]
        marks = ["---" if name in self.texts else "---:" for name in self.columns]
        rows = [[markdown_cell(row.cells[name]) for name in self.columns] for row in self.rows]
        lines = [f"| {' | '.join(cells)} |" for cells in (heads, marks, *rows)]
        return [f"## {markdown_cell(self.title)}", "", *lines, ""]


def speed_boards(frame: pd.DataFrame) -> list[SpeedBoard]:
    """The tables of a frame of `load_results`: one a device and image size, the fastest training first."""
    speeds = frame[(frame["measure"] == "speed") & (frame["status"] == "ok")]
    members = sorted(pool(speeds), key=_place)
    return [_board(list(some)) for _, some in groupby(members, key=_place)]


def _place(member: Configuration) -> tuple[str, ...]:
    return tuple(value_text(member.values[name]) for name in _GROUP)


def _board(members: list[Configuration]) -> SpeedBoard:
    members.sort(key=lambda member: -member.spread("train_images_per_second").mean)
    varied, labels = varied_and_labels(members)
    fields = [*_ALWAYS, *(name for name in varied if name not in _ALWAYS)]
    shown = [column for column in COLUMNS if any(member.spread(column.name).n for member in members)]
    rows = [_row(member, label, fields) for member, label in zip(members, labels, strict=True)]
    columns = {"arch": ("architecture", "What was measured.")}
    columns |= {name: (name.replace("_", " "), "As it was asked for.") for name in fields}
    columns |= {column.name: (column.heading_with_unit, column.meaning) for column in shown}
    device, size, _ = _place(members[0])
    brief = ("arch", *fields, *(column.name for column in shown if column.brief))
    texts = frozenset({"arch", *fields} - {"batch_size"})
    return SpeedBoard(f"Speed at {size} on {device}", columns, texts, brief, tuple(rows))


def _row(member: Configuration, label: str, fields: Sequence[str]) -> SpeedRow:
    values = member.values
    cells = {"arch": ":".join(filter(None, map(value_text, (values["arch"], values["backbone"]))))}
    cells |= {name: value_text(values[name]) for name in fields}
    cells |= {column.name: cell_text(column, member) for column in COLUMNS}
    return SpeedRow(label, cells, {column.name: member.spread(column.name).mean for column in COLUMNS})
