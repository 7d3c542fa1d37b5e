"""Read tables of the colours of classes, which tools write beside masks."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bench.core.errors import BenchError
from bench.datasets.split_names import read_lines

ColourTable = dict[str, int]  # name of a class: its colour as 0xRRGGBB

_ACCEPTED = {
    ".csv": "name,r,g,b below a header",
    ".txt": "r g b name",
}


def read_colours(table: Path) -> ColourTable:
    """Read a file of lines `r g b name`, or a CSV of `name,r,g,b` with a header; raise BenchError naming the row."""
    lines = read_lines(table)
    rows = _of_csv(lines) if table.suffix == ".csv" else _of_text(lines)
    return colours_of_rows(table, rows, _ACCEPTED.get(table.suffix, _ACCEPTED[".txt"]))


def colours_of_rows(table: Path, rows: Iterable[tuple[int, str, Sequence[str]]], accepted: str) -> ColourTable:
    """Check rows of a number, a name and the texts of red, green and blue, and return the colours of the names.

    Raises:
        BenchError: a row has no name or no colour, or those of another row; `accepted` says what a row is like.
    """
    colours: ColourTable = {}
    for number, name, rgb in rows:
        if not name or len(rgb) != 3 or not all(part.isdecimal() and int(part) < 256 for part in rgb):
            raise BenchError(f"{table}, row {number}: there is no colour with a name. Accepted: {accepted}.")
        colour = int.from_bytes([int(part) for part in rgb])
        if name in colours or colour in colours.values():
            raise BenchError(f"{table}, row {number}: '{name}' has the name or the colour of a row above.")
        colours[name] = colour
    return colours


def _of_text(lines: Sequence[str]) -> Iterator[tuple[int, str, Sequence[str]]]:
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            parts = line.split(maxsplit=3)
            yield number, parts[3].strip() if len(parts) == 4 else "", parts[:3]


def _of_csv(lines: Sequence[str]) -> Iterator[tuple[int, str, Sequence[str]]]:
    for number, row in enumerate(csv.reader(lines), 1):
        if number > 1 and any(row):
            yield number, row[0].strip(), [part.strip() for part in row[1:4]]
