"""Kaggle's tables of run-length text: each row has an image name and a text; an image has one row per object."""

import contextlib
import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.core.errors import BenchError
from bench.data.reading.contents import here

_LARGEST_FIELD = 2**30  # characters; csv's own limit of 131,072 is too small for a ragged mask of a large image


class Row(NamedTuple):  # a dataclass takes three times as long to make, and there are 231,723 of Airbus
    """A row of the table: one object, or one image without objects."""

    number: int  # line number in the file; the header is line 1
    text: str  # empty for an image without objects
    more: tuple[str, ...] = ()  # the values of further columns


def read_table(path: Path, image_column: str, text_column: str, *more: str) -> dict[str, list[Row]]:
    """Map each image name to its rows, in the order of the file, with the values of further columns.

    Raises:
        BenchError: the file can't be read, lacks a column, or has an incomplete row.
    """
    rows: dict[str, list[Row]] = defaultdict(list)
    with _reader(path) as reader:
        header: list[str] = next(reader, [])
        image, text, *others = (_column(path, header, name) for name in (image_column, text_column, *more))
        for row in reader:
            if not row:
                continue
            if len(row) <= max(image, text, *others) or not row[image]:
                lacks = " or ".join((image_column, text_column, *more))
                raise BenchError(f"{path}, row {reader.line_num}: the row lacks {lacks}.")
            rows[row[image]].append(Row(reader.line_num, row[text], tuple(row[other] for other in others)))
    return dict(rows)


def read_header(path: Path) -> list[str]:
    """Return the names of a table's columns; errors as in `read_table`."""
    with _reader(path) as reader:
        return next(reader, [])


@contextlib.contextmanager
def _reader(path: Path) -> Iterator[Any]:
    try:
        csv.field_size_limit(_LARGEST_FIELD)
        with here(path).open(newline="", encoding="utf-8-sig") as file:
            yield csv.reader(file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BenchError(f"{path}: the table can't be read ({error}).") from error


def place(path: Path, row: Row, name: str) -> str:
    """Describe a row for a message: `masks.csv, row 17, 0a1b.jpg`."""
    return f"{path}, row {row.number}, {name}"


def _column(path: Path, header: list[str], name: str) -> int:
    if name not in header:
        raise BenchError(f"{path}: the table has no column '{name}'. It has: {', '.join(header) or 'none'}.")
    return header.index(name)
