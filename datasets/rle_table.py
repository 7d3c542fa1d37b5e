"""Kaggle's tables of run-length text: each row has an image name and a text; an image has one row per object."""

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import BenchError

_LARGEST_FIELD = 2**30  # characters; csv's own limit of 131,072 is too small for a ragged mask of a large image


@dataclass(frozen=True)
class Row:
    """A row of the table: one object, or one image without objects."""

    number: int  # line number in the file; the header is line 1
    text: str  # empty for an image without objects


def read_table(path: Path, image_column: str, text_column: str) -> dict[str, list[Row]]:
    """Map each image name to its rows, in the order of the file.

    Raises:
        BenchError: the file can't be read, lacks a column, or has an incomplete row.
    """
    rows: dict[str, list[Row]] = defaultdict(list)
    try:
        csv.field_size_limit(_LARGEST_FIELD)
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            image, text = (_column(path, header, name) for name in (image_column, text_column))
            for row in reader:
                if not row:
                    continue
                if len(row) <= max(image, text) or not row[image]:
                    raise BenchError(f"{path}, row {reader.line_num}: the row lacks {image_column} or {text_column}.")
                rows[row[image]].append(Row(reader.line_num, row[text]))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BenchError(f"{path}: the table can't be read ({error}).") from error
    return dict(rows)


def place(path: Path, row: Row, name: str) -> str:
    """Describe a row for a message: `masks.csv, row 17, 0a1b.jpg`."""
    return f"{path}, row {row.number}, {name}"


def _column(path: Path, header: list[str], name: str) -> int:
    if name not in header:
        raise BenchError(f"{path}: the table has no column '{name}'. It has: {', '.join(header) or 'none'}.")
    return header.index(name)
