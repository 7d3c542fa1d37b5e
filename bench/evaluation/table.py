"""The per-image table on disk: from it every pixel score can be computed again without training.

One row an image. Columns: name, group, then tp_0, fp_0, fn_0, tp_1, ... (int64) for each class index, and for
binary tasks tp_t05, fp_t05, fn_t05, ..., fn_t95: the counts of class 1 at 19 probability thresholds.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.metrics.confusion import THRESHOLDS

_KINDS = ("tp", "fp", "fn")
_THRESHOLD_KEYS = [f"t{round(100 * t):02d}" for t in THRESHOLDS]


class ImageTable(NamedTuple):
    """The table in memory."""

    names: tuple[str, ...]
    groups: tuple[str, ...]  # what images are redrawn together by, such as the car
    counts: NDArray[np.int64]  # (N, C, 3): tp, fp, fn
    threshold_counts: NDArray[np.int64] | None  # (N, 19, 3) of class 1; None unless the task is binary


def write_table(
    path: Path | str,
    names: Sequence[str],
    groups: Sequence[str],
    counts: NDArray[np.int64],
    threshold_counts: NDArray[np.int64] | None = None,
) -> None:
    """Write the table whole, then rename it, as Parquet.

    Args:
        path: the file.
        names: N names of images.
        groups: N groups.
        counts: int64 (N, C, 3) from `confusion_counts`.
        threshold_counts: int64 (N, 19, 3) from `threshold_counts` at `THRESHOLDS`, for binary tasks.
    """
    columns = {"name": pa.array(names, pa.string()), "group": pa.array(groups, pa.string())}
    columns |= _to_columns(counts, map(str, range(counts.shape[1])))
    if threshold_counts is not None:
        columns |= _to_columns(threshold_counts, _THRESHOLD_KEYS)
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    pq.write_table(pa.table(columns), part, compression="zstd")
    part.replace(path)


def read_table(path: Path | str) -> ImageTable:
    """Read the table; columns that it does not know are left alone.

    Raises:
        BenchError: the file is missing, no Parquet file or no per-image table.
    """
    try:
        table = pq.read_table(path)
        classes = sum(name.startswith("tp_") and name[3:].isdecimal() for name in table.column_names)
        counts = _from_columns(table, [str(c) for c in range(classes)])
        binary = f"tp_{_THRESHOLD_KEYS[0]}" in table.column_names
        thresholds = _from_columns(table, _THRESHOLD_KEYS) if binary else None
        names, groups = (tuple(table.column(key).to_pylist()) for key in ("name", "group"))
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise BenchError(f"'{path}' is no readable per-image table ({error}). Run the trial again.") from error
    return ImageTable(names, groups, counts, thresholds)


def _to_columns(counts: NDArray[np.int64], keys: Iterable[str]) -> dict[str, pa.Array]:
    return {
        f"{kind}_{key}": pa.array(counts[:, i, j], pa.int64())
        for i, key in enumerate(keys)
        for j, kind in enumerate(_KINDS)
    }


def _from_columns(table: pa.Table, keys: Sequence[str]) -> NDArray[np.int64]:
    columns = [table.column(f"{kind}_{key}").to_numpy() for key in keys for kind in _KINDS]
    return np.stack(columns, axis=-1).astype(np.int64).reshape(table.num_rows, len(keys), len(_KINDS))
