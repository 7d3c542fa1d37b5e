"""Read Parquet files that others may have made: plain files of a limited size, whose texts are checked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.core.untrusted.plain_files import require_file

ERRORS = (OSError, KeyError, ValueError, MemoryError, OverflowError, pa.ArrowException)
"""What reading a damaged or hostile file raises."""


LIST = ".list.element"  # what Parquet's path of a column of lists ends with


@dataclass(frozen=True)
class Limits:
    """The largest table that is read; a few hundred bytes can stand for millions of rows."""

    rows: int
    columns: int
    values: int
    size: int  # bytes of the file, and of its columns before their compression
    text: int  # characters of one text


@contextmanager
def opened(path: Path | str, limits: Limits, texts: list[str]) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file; the columns `texts` are read as dictionaries.

    Raises:
        OSError: it is no plain file, or a larger one than `limits` allow.
        ValueError: it has more rows, columns, values or bytes than `limits` allow.
    """
    require_file(path, limits.size)
    # A report reads thousands: a quarter of pq.read_table's time, and a third of that without pre-buffering.
    with pq.ParquetFile(path, pre_buffer=False, read_dictionary=texts) as file:
        found = file.metadata
        size = sum(found.row_group(number).total_byte_size for number in range(found.num_row_groups))
        _check("rows", found.num_rows, limits.rows)
        _check("columns", found.num_columns, limits.columns)
        _check("values", found.num_rows * found.num_columns, limits.values)
        _check("bytes", size, limits.size)
        yield file


def _check(what: str, count: int, most: int) -> None:
    if count > most:
        raise ValueError(f"it has {count:,} {what}, and more than {most:,} are never read")


def check_lists(file: pq.ParquetFile, limits: Limits) -> None:
    """Raise ValueError if the columns of lists have too many values, which the number of rows doesn't tell."""
    found = file.metadata
    for number in range(found.num_row_groups):
        group = found.row_group(number)
        columns = (group.column(place) for place in range(group.num_columns))
        _check("values in lists", sum(c.num_values for c in columns if c.path_in_schema.endswith(LIST)), limits.values)


def texts(table: pa.Table, name: str, longest: int) -> tuple[str, ...]:
    """Return a column of texts, in which equal ones are still one: only their number and length is bounded."""
    found: list[str] = []
    for chunk in table.column(name).chunks:
        if not (pa.types.is_dictionary(chunk.type) and pa.types.is_string(chunk.type.value_type)) or chunk.null_count:
            raise ValueError(f"the column '{name}' isn't of texts")
        chunk.validate(full=True)  # of a damaged file, a row may name a text that isn't there
        different = chunk.dictionary.to_pylist()
        if any(len(text) > longest for text in different):
            raise ValueError(f"the column '{name}' has texts of more than {longest:,} characters")
        found += [different[place] for place in chunk.indices.to_pylist()]
    return tuple(found)


def reason(error: BaseException) -> str:
    """Return what is wrong with a file, in one line."""
    return (isinstance(error, OSError) and error.strerror) or str(error).strip().partition("\n")[0].removesuffix(".")
