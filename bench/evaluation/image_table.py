"""The per-image table on disk: from it every score of a split can be computed again without training.

One row an image. Columns: name, group, then tp_0, fp_0, fn_0, tp_1, ... (int64) for each class index, and for
binary tasks tp_t05, fp_t05, fn_t05, ..., fn_t95: the counts of class 1 at 19 probability thresholds. Then the
columns of `ImageTable.extra`, as results/README.md lists them.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.core.errors import BenchError
from bench.core.files import write_atomically
from bench.core.specs import DATASET_METRICS
from bench.evaluation.confusion import THRESHOLDS
from bench.evaluation.objects import OVERLAPS, SIZES

_KINDS = ("tp", "fp", "fn")
_CONTOUR_KINDS = ("near_true", "predicted", "near_predicted", "true")
_THRESHOLD_KEYS = tuple(f"t{round(100 * t):02d}" for t in THRESHOLDS)
_OVERLAP_KEYS = tuple(f"t{round(100 * t):02d}" for t in OVERLAPS)
_CLASSES = "classes"  # stands for as many keys as there are classes
# What each array of `extra` has along its axes after the first; the last are the kinds, which come first in a name.
_LAYOUTS: dict[str, tuple] = {
    "boundary": (_CLASSES, _KINDS),
    "contour": (_CLASSES, _CONTOUR_KINDS),
    "objects": (tuple(SIZES), _OVERLAP_KEYS, _KINDS),
    "tuned": (_CLASSES, _KINDS),
    "tuned_objects": (tuple(SIZES), _OVERLAP_KEYS, _KINDS),
}


class ImageTable(NamedTuple):
    """The table in memory.

    `extra` holds what there is of: boundary (N, C, 3) and contour (N, C, 4) from bench/evaluation/boundary.py; objects
    (N, 3, 10, 3) from bench/evaluation/objects.py; tuned (N, C, 3) and tuned_objects, the counts at the tuned threshold
    and minimum object area; and by their names the data set's own metrics, float64 (N,).
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]  # what images are redrawn together by, such as the car
    counts: NDArray[np.int64]  # (N, C, 3): tp, fp, fn
    threshold_counts: NDArray[np.int64] | None  # (N, 19, 3) of class 1; None unless the task is binary
    extra: Mapping[str, NDArray] = MappingProxyType({})


def write_table(
    path: Path | str,
    names: Sequence[str],
    groups: Sequence[str],
    counts: NDArray[np.int64],
    threshold_counts: NDArray[np.int64] | None = None,
    extra: Mapping[str, NDArray] = MappingProxyType({}),
) -> None:
    """Write the table whole, then rename it, as Parquet.

    Args:
        path: the file.
        names: N names of images.
        groups: N groups.
        counts: int64 (N, C, 3) from `confusion_counts`.
        threshold_counts: int64 (N, 19, 3) from `threshold_counts` at `THRESHOLDS`, for binary tasks.
        extra: see `ImageTable`.
    """
    columns = {"name": pa.array(names, pa.string()), "group": pa.array(groups, pa.string())}
    classes = counts.shape[1]
    columns |= _to_columns(_names("", (_CLASSES, _KINDS), classes), counts)
    if threshold_counts is not None:
        columns |= _to_columns(_names("", (_THRESHOLD_KEYS, _KINDS), classes), threshold_counts)
    for key, values in extra.items():
        layout = _LAYOUTS.get(key)
        columns |= _to_columns(_names(key, layout, classes), values) if layout else {key: pa.array(values)}
    with write_atomically(Path(path)) as part:
        pq.write_table(pa.table(columns), part, compression="zstd")


def read_table(path: Path | str, *, counts_only: bool = False) -> ImageTable:
    """Read the table; columns that it does not know are left alone.

    Args:
        path: the file.
        counts_only: names, groups and counts alone, which takes a fraction of the time.

    Raises:
        BenchError: the file is missing, no Parquet file or no per-image table.
    """
    try:
        # A quarter of read_table's time, and that a third without reading ahead in threads: a report reads thousands.
        with pq.ParquetFile(path, pre_buffer=False) as file:
            known = set(file.schema_arrow.names)
            classes = sum(name.startswith("tp_") and name[3:].isdecimal() for name in known)
            few = ["name", "group", *_names("", (_CLASSES, _KINDS), classes)]
            table = file.read(few if counts_only else None, use_threads=False)
        known &= set(table.column_names)
        counts = _from_columns(table, "", (_CLASSES, _KINDS), classes)
        binary = f"tp_{_THRESHOLD_KEYS[0]}" in known
        thresholds = _from_columns(table, "", (_THRESHOLD_KEYS, _KINDS), classes) if binary else None
        extra = {
            key: _from_columns(table, key, layout, classes)
            for key, layout in _LAYOUTS.items()
            if known.issuperset(_names(key, layout, classes))
        }
        extra |= {name: table.column(name).to_numpy() for name in DATASET_METRICS if name in known}
        names, groups = (tuple(table.column(key).to_pylist()) for key in ("name", "group"))
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise BenchError(f"'{path}' is no readable per-image table ({error}). Run the trial again.") from error
    return ImageTable(names, groups, counts, thresholds, extra)


@cache
def _names(prefix: str, layout: tuple, classes: int) -> tuple[str, ...]:
    """The columns of an array, in its order: `objects_tp_small_t50`, `objects_fp_small_t50`, ..."""
    *axes, kinds = [tuple(map(str, range(classes))) if axis == _CLASSES else axis for axis in layout]
    first = (prefix,) if prefix else ()
    return tuple("_".join((*first, kind, *keys)) for *keys, kind in product(*axes, kinds))


def _to_columns(names: Sequence[str], values: NDArray) -> dict[str, pa.Array]:
    flat = values.reshape(len(values), len(names))
    return {name: pa.array(flat[:, place], pa.int64()) for place, name in enumerate(names)}


def _from_columns(table: pa.Table, prefix: str, layout: tuple, classes: int) -> NDArray[np.int64]:
    shape = [classes if axis == _CLASSES else len(axis) for axis in layout]
    columns = [table.column(name).to_numpy() for name in _names(prefix, layout, classes)]
    return np.stack(columns, axis=-1).astype(np.int64).reshape(table.num_rows, *shape)
