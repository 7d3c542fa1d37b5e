"""The tables of the speed-only trials (`bench speed`): what was measured, no ranks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import pandas as pd
from rich.table import Table
from rich.text import Text

from bench.report.columns import BUSY_MARK, busy_notes, busy_title
from bench.report.flags.all_flags import flags
from bench.report.flags.flag import MEANINGS, Flag
from bench.report.labels import varied_and_labels
from bench.report.text.setting_texts import value_text
from bench.report.text.tables import markdown_cell
from bench.report.text.terminal import plain_table
from bench.results.analysis.configurations import Configuration, pool
from bench.results.clean_text import shorten
from bench.results.quantities import MISSING, shown_in
from bench.results.quantities.memory_use import FITS, HOST_PARTS, host_peak
from bench.results.quantities.quantity import HIGHER, SPEED_TABLE, Quantity, whole_number

RANDOM_PIXELS = "random pixels"  # shown as the data set of speed-only trials
_GROUP = ("device", "image_size", "protocol_version")
_ALWAYS = ("batch_size", "backend", "precision")
COLUMNS = shown_in(SPEED_TABLE)
_FASTEST_FIRST = next(row for row in COLUMNS if row.name == "train_images_per_second")
_OF_TRAINING = ("single seed", "no interval", "not converged")  # flags that say nothing about speed


@dataclass(frozen=True)
class SpeedRow:
    """A configuration that was measured."""

    configuration: Configuration
    label: str  # unique among the rows
    cells: dict[str, str]  # the cells by the names in SpeedBoard.columns
    titles: dict[str, str]  # the tooltips of cells
    values: dict[str, float]  # the values of number columns; NaN if there is none


@dataclass(frozen=True)
class SpeedBoard:
    """Configurations measured on one device at one image size, the fastest training first."""

    title: str
    columns: dict[str, tuple[str, str]]  # name -> (heading with unit, definition), in order
    texts: frozenset[str]  # the names of the columns that hold no numbers
    high: frozenset[str]  # the names of the columns in which higher is better
    brief: tuple[str, ...]  # the names of the columns that fit a terminal
    rows: tuple[SpeedRow, ...]

    def terminal_table(self) -> Table:
        """Make a table for `rich.print`."""
        table = plain_table(self.title, [*self._memory_to_fit(), *self.notes])
        for name in self.brief:
            heading = self.columns[name][0]
            if name in self.texts:
                table.add_column(Text(heading), overflow="fold")
            else:  # their headings break between words only
                table.add_column(Text(heading.replace(" ", "\n")), justify="right", no_wrap=True)
        for row in self.rows:
            table.add_row(*(Text(shorten(row.cells[name], 40)) for name in self.brief))
        return table

    @property
    def notes(self) -> list[str]:
        """The notes below the table."""
        return busy_notes([row.configuration for row in self.rows])

    def _memory_to_fit(self) -> list[str]:
        """Say in a line what decides whether a trial fits; the terminal has no room for a column of its own."""
        sizes = [size for row in self.rows if math.isfinite(size := row.values[FITS])]
        if not sizes:
            return []
        span = " to ".join(dict.fromkeys(whole_number(size) for size in (min(sizes), max(sizes))))
        return [f"The memory of the whole process decides whether it fits: {span} MiB (memory to fit, on the page)."]

    def markdown(self) -> list[str]:
        """Return the lines of a GitHub table under its title."""
        heads = [markdown_cell(heading) for heading, _ in self.columns.values()]
        marks = ["---" if name in self.texts else "---:" for name in self.columns]
        rows = [[markdown_cell(row.cells[name]) for name in self.columns] for row in self.rows]
        lines = [f"| {' | '.join(cells)} |" for cells in (heads, marks, *rows)]
        notes = [f"- {markdown_cell(note)}" for note in self.notes]
        return [f"## {markdown_cell(self.title)}", "", *lines, "", *([*notes, ""] if notes else [])]


def speed_boards(frame: pd.DataFrame) -> list[SpeedBoard]:
    """Make the tables of a frame of `load_results`: one per device, size and versions; failed trials are left out."""
    speeds = frame[(frame["measure"] == "speed") & (frame["status"] == "ok")]
    members = sorted(pool(speeds), key=_place)
    return [_board(list(some)) for _, some in groupby(members, key=_place)]


def speed_csv(boards: Sequence[SpeedBoard]) -> bytes:
    """Write a CSV line per configuration; numbers are not rounded."""
    rows = [{"table": board.title, **row.cells, **row.values} for board in boards for row in board.rows]
    return pd.DataFrame(rows).to_csv(index=False, lineterminator="\n").encode()


def _place(member: Configuration) -> tuple[str, ...]:
    return *(value_text(member.values[name]) for name in _GROUP), f"{member.generation:03}"


def _board(members: list[Configuration]) -> SpeedBoard:
    members.sort(key=lambda member: -_FASTEST_FIRST.goodness(member.spread(_FASTEST_FIRST.name).mean))
    varied, labels = varied_and_labels(members)
    fields = [*_ALWAYS, *(name for name in varied if name not in _ALWAYS)]
    shown = [c for c in COLUMNS if _is_always_shown(c) or any(member.spread(c.name).n for member in members)]
    rows = tuple(_row(member, label, fields) for member, label in zip(members, labels, strict=True))
    columns = {"arch": ("architecture", "The architecture that was measured.")}
    columns |= {name: (name.replace("_", " "), "The requested value.") for name in fields}
    columns |= {column.name: (column.heading_with_unit, column.speed_meaning or column.meaning) for column in shown}
    if any(row.cells["flags"] for row in rows):
        columns["flags"] = ("flags", "Reasons to be careful with the row; the evidence is in the tooltip.")
    device, size, *_ = _place(members[0])
    return SpeedBoard(
        title=", ".join(filter(None, (f"Speed at {size} on {device}", members[0].versions))),
        columns=columns,
        texts=frozenset({"arch", "flags", *fields} - {"batch_size"}),
        high=frozenset(column.name for column in shown if column.better == HIGHER),
        brief=("arch", *fields, *(column.name for column in shown if column.brief)),
        rows=rows,
    )


def _is_always_shown(column: Quantity) -> bool:
    """Return whether the column is energy, which is shown even if it was not measured."""
    return column.missing != MISSING and not column.optional


def _row(member: Configuration, label: str, fields: Sequence[str]) -> SpeedRow:
    values = member.values
    found = [flag for flag in flags(member, None) if flag.name not in _OF_TRAINING]
    cells = {"arch": ":".join(filter(None, map(value_text, (values["arch"], values["backbone"]))))}
    cells |= {name: value_text(values[name]) for name in fields}
    cells |= {column.name: number_text(column, member) for column in COLUMNS}
    cells["flags"] = ", ".join(flag.name for flag in found)
    numbers = {column.name: member.spread(column.name).mean for column in COLUMNS}
    numbers["batch_size"] = float(str(values["batch_size"]))
    return SpeedRow(member, label, cells, _titles(member, found), numbers)


def number_text(column: Quantity, member: Configuration) -> str:
    """Write a number as its column does, marked if the CPU was busy."""
    value = member.spread(column.name).mean
    if not math.isfinite(value):
        return column.missing
    mark = BUSY_MARK if busy_title(column, member) else ""
    # A sweep that ran out of time has not reached the batch size at which nothing more is gained.
    if column.name.startswith("best_inference") and member.ok["sweep_end"].str.fullmatch(r"[\d.]+ s").any():
        mark = f"\N{GREATER-THAN OR EQUAL TO} {mark}"
    return f"{mark}{column.write(value)}"


def _titles(member: Configuration, found: Sequence[Flag]) -> dict[str, str]:
    titles = {"arch": f"{member.seeds} seeds"} if member.seeds > 1 else {}
    iqr = member.spread("train_images_per_second_iqr").mean
    if math.isfinite(iqr):
        titles["train_images_per_second"] = f"interquartile range over the blocks {iqr:.3g}"
    peaks = {part: member.spread(host_peak(part)).mean for part in HOST_PARTS}
    if parts := [f"{part} {whole_number(peak)}" for part, peak in peaks.items() if math.isfinite(peak)]:
        titles[FITS] = f"peaks of the parts of host memory, in MiB: {', '.join(parts)}"
    for column in COLUMNS:
        if busy := busy_title(column, member):
            titles[column.name] = "; ".join(filter(None, (busy, titles.get(column.name))))
    if found:
        titles["flags"] = "; ".join(f"{flag.name}: {flag.evidence} ({MEANINGS[flag.name]})" for flag in found)
    return titles
