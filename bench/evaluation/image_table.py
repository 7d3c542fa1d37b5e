"""The per-image table on disk, from which every score of a split can be computed again without training.

There is one row per image. Columns: name, group, then tp_0, fp_0, fn_0, tp_1, ... (int64) for each class index, and for
binary tasks tp_t05, fp_t05, fn_t05, ..., fn_t95: the counts of class 1 at 19 probability thresholds. Then the
columns of the other metrics, as results/README.md lists them. Three columns of lists hold the confusion matrices.
"""

from collections.abc import Sequence
from functools import cache
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.core.errors import BenchError
from bench.core.files import write_atomically
from bench.core.untrusted import safe_parquet
from bench.evaluation.image_metrics import ARRAYS
from bench.evaluation.metric_protocol import CLASSES, Array, Arrays
from bench.evaluation.predicted.confusion_cells import ConfusionCells
from bench.evaluation.predicted.confusion_columns import LIST_COLUMNS, from_lists, to_lists

LIMITS = safe_parquet.Limits(rows=500_000, columns=10_000, values=100_000_000, size=2 * 2**30, text=4_096)
_TEXTS = ["name", "group"]


class ImageTable(NamedTuple):
    """The table in memory.

    `extra` holds the other arrays of the metrics in bench/evaluation/metrics/ by their names, such as boundary
    (N, C, 3), int64, or airbus_f2 (N,), float64; and tuned (N, C, 3), ..., the counts at the tuned threshold and
    minimum object area.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]  # images of one group, such as a car, are resampled together
    counts: NDArray[np.int64]  # (N, C, 3): tp, fp, fn
    threshold_counts: NDArray[np.int64] | None  # (N, 19, 3) of class 1; None unless the task is binary
    extra: Arrays = MappingProxyType({})
    confusion: ConfusionCells | None = None  # None: not recorded, or not read

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all arrays by name: counts, thresholds if there are any, and those of `extra`."""
        thresholds = {} if self.threshold_counts is None else {"thresholds": self.threshold_counts}
        return {"counts": self.counts, **thresholds, **self.extra}


def write_table(
    path: Path | str,
    names: Sequence[str],
    groups: Sequence[str],
    counts: NDArray[np.int64],
    threshold_counts: NDArray[np.int64] | None = None,
    extra: Arrays = MappingProxyType({}),
    confusion: ConfusionCells | None = None,
) -> None:
    """Write the table as Parquet, atomically; the trial brings its whole folder to the disk at its end.

    Args:
        path: the file.
        names: N names of images.
        groups: N groups.
        counts: int64 (N, C, 3) from `confusion_counts`.
        threshold_counts: int64 (N, 19, 3) from `threshold_counts` at `THRESHOLDS`, for binary tasks.
        extra: see `ImageTable`.
        confusion: the confusion matrices of the images; None: the table has no such columns.
    """
    columns = {"name": pa.array(names, pa.string()), "group": pa.array(groups, pa.string())}
    arrays = ImageTable(tuple(names), tuple(groups), counts, threshold_counts, extra).arrays()
    for name, values in arrays.items():
        columns |= _to_columns(ARRAYS.get(name, Array(name)), values, counts.shape[1])
    if confusion is not None:
        columns |= to_lists(confusion)
    with write_atomically(Path(path), sync=False) as part:
        pq.write_table(pa.table(columns), part, compression="zstd")


def read_table(path: Path | str, *, counts_only: bool = False) -> ImageTable:
    """Read the table: the arrays that the metrics know, and every other column of numbers by its own name.

    Args:
        path: the file.
        counts_only: read only names, groups and counts, which takes a fraction of the time.

    Raises:
        BenchError: the file is missing or no plain file, or it isn't a per-image table in Parquet of a sensible size.
    """
    try:
        with safe_parquet.opened(path, LIMITS, _TEXTS) as file:
            classes = sum(name.startswith("tp_") and name[3:].isdecimal() for name in file.schema_arrow.names)
            few = [*_TEXTS, *_column_names(ARRAYS["counts"], classes)]
            if not counts_only:
                safe_parquet.check_lists(file, LIMITS)
            table = file.read(few if counts_only else None, use_threads=False)
        arrays = _arrays_of(table, classes)
        names, groups = (safe_parquet.texts(table, key, LIMITS.text) for key in _TEXTS)
        cells = None if counts_only else from_lists(table, classes)
        return ImageTable(names, groups, arrays.pop("counts"), arrays.pop("thresholds", None), arrays, cells)
    except safe_parquet.ERRORS as error:
        raise _unreadable(path, error) from error


def read_confusion(path: Path | str, num_classes: int) -> ConfusionCells | None:
    """Read the confusion matrices of a table alone; None: it was written before there were any.

    Raises:
        BenchError: as for `read_table`, or a class is none of `num_classes`.
    """
    try:
        with safe_parquet.opened(path, LIMITS, []) as file:
            safe_parquet.check_lists(file, LIMITS)
            table = file.read(LIST_COLUMNS, use_threads=False)
        return from_lists(table, num_classes)
    except safe_parquet.ERRORS as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path | str, error: Exception) -> BenchError:
    reason = safe_parquet.reason(error)
    return BenchError(f"'{path}' is no readable per-image table ({reason}). Run the trial again.")


def _arrays_of(table: pa.Table, classes: int) -> dict[str, NDArray[Any]]:
    """Collect the arrays whose columns are all there, and the columns of numbers that belong to none of them."""
    left = dict.fromkeys(field.name for field in table.schema if _is_number(field.type))
    arrays = {}
    for name, array in ARRAYS.items():
        columns = _column_names(array, classes)
        if left.keys() >= set(columns):
            arrays[name] = _from_columns(table, array, classes)
            for column in columns:
                del left[column]
    return arrays | {name: table.column(name).to_numpy() for name in left}


def _counts(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_integer(column.type)) and not column.null_count


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


@cache
def _column_names(array: Array, classes: int) -> tuple[str, ...]:
    """Return the names of an array's columns, in order: `objects_tp_small_t50`, `objects_fp_small_t50`, ..."""
    if not array.axes:
        return (array.name,)
    prefix = array.name if array.prefix is None else array.prefix
    first = (prefix,) if prefix else ()
    *axes, kinds = _keys(array, classes)
    return tuple("_".join((*first, kind, *keys)) for *keys, kind in product(*axes, kinds))


def _keys(array: Array, classes: int) -> list[tuple[str, ...]]:
    return [tuple(map(str, range(classes))) if axis == CLASSES else axis for axis in array.axes]


def _to_columns(array: Array, values: NDArray[Any], classes: int) -> dict[str, pa.Array]:
    names = _column_names(array, classes)
    flat = values.reshape(len(values), len(names))
    kind = pa.int64() if array.axes else pa.float64()
    return {name: pa.array(flat[:, place], kind) for place, name in enumerate(names)}


def _from_columns(table: pa.Table, array: Array, classes: int) -> NDArray[Any]:
    names = _column_names(array, classes)
    if array.axes and (odd := [name for name in names if not _counts(table.column(name))]):
        raise ValueError(f"the column '{odd[0]}' isn't of whole numbers")
    columns = [table.column(name).to_numpy() for name in names]
    if not array.axes:
        return columns[0]
    shape = [len(keys) for keys in _keys(array, classes)]
    return np.stack(columns, axis=-1).astype(np.int64).reshape(table.num_rows, *shape)
