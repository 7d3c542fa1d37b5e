"""A small table beside the leaderboard: what it is about, its rows and notes, and how each form writes it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.table import Table
from rich.text import Text

from bench.report.table_model import Cell
from bench.report.text.tables import markdown_cell
from bench.report.text.terminal import plain_table
from bench.results.clean_text import shorten


@dataclass(frozen=True)
class Topic:
    """The subject of the tables of one kind."""

    name: str  # of the section's address and of its file, such as pretraining.json
    link: str  # the words in the page's list of sections
    heading: str
    meaning: str  # a paragraph under the heading
    columns: tuple[str, ...]  # the headings behind the row's name
    texts: frozenset[str] = frozenset()  # the columns that aren't numbers
    first: str = "configuration"  # the heading of the row's name


def cut_note(whole: int, most: int, what: str = "rows") -> tuple[str, ...]:
    """Say that a table leaves rows out, if it does."""
    return (f"Of {whole:,} {what}, only the best {most} are looked at.",) if whole > most else ()


@dataclass(frozen=True, eq=False)
class Board(ABC):
    """A table of one topic, of one group of the leaderboard."""

    topic: ClassVar[Topic]
    title: str

    @property
    @abstractmethod
    def rows(self) -> Sequence[tuple[str, tuple[Cell, ...]]]:
        """The name of each row, and a cell for each of the topic's columns."""

    @property
    @abstractmethod
    def notes(self) -> Sequence[str]:
        """Lines on what the rows say together, and on why some say nothing."""

    @property
    @abstractmethod
    def records(self) -> Sequence[dict[str, Any]]:
        """The rows for a file, with numbers that are not rounded."""

    def markdown(self) -> list[str]:
        """Return the lines of a GitHub table under its title."""
        columns = self.topic.columns
        rule = "".join(" --- |" if name in self.topic.texts else " ---: |" for name in columns)
        rows = [
            f"| {' | '.join(map(markdown_cell, (label, *(cell.text for cell in cells))))} |"
            for label, cells in self.rows
        ]
        notes = [f"- {markdown_cell(note)}" for note in self.notes]
        head = [
            f"## {markdown_cell(self.title)}",
            "",
            f"| {self.topic.first} | {' | '.join(columns)} |",
            f"| --- |{rule}",
        ]
        return [*head, *rows, "", *notes, "", self.topic.meaning, ""]

    def terminal_table(self) -> Table:
        """Make a table for `rich.print`."""
        table = plain_table(self.title, self.notes)
        table.add_column(self.topic.first, overflow="fold", min_width=10)
        for name in self.topic.columns:
            table.add_column(name, overflow="fold", justify="left" if name in self.topic.texts else "right")
        for label, cells in self.rows:
            table.add_row(Text(shorten(label, 120)), *(Text(shorten(cell.text, 60)) for cell in cells))
        return table
