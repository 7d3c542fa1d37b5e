"""The columns of the per-image table that hold the confusion matrices: for each image three lists of equal length."""

import numpy as np
import pyarrow as pa

from bench.core.untrusted.safe_parquet import LIST
from bench.evaluation.predicted.confusion_cells import ConfusionCells

_CELLS = {"confusion_true": pa.uint8(), "confusion_predicted": pa.uint8(), "confusion_pixels": pa.int64()}
LIST_COLUMNS = [f"{name}{LIST}" for name in _CELLS]


def to_lists(cells: ConfusionCells) -> dict[str, pa.Array]:
    """Make the three columns of the per-image table from its confusion matrices."""
    offsets = pa.array(cells.starts, pa.int32())
    values = zip(_CELLS.items(), (cells.true, cells.predicted, cells.pixels), strict=True)
    return {name: pa.ListArray.from_arrays(offsets, pa.array(some, kind)) for (name, kind), some in values}


def from_lists(table: pa.Table, num_classes: int) -> ConfusionCells | None:
    """Take the confusion matrices from their columns; None if one of these is missing."""
    if not set(_CELLS) <= set(table.schema.names):
        return None
    lists = [table.column(name).combine_chunks() for name in _CELLS]
    if any(one.type != pa.list_(kind) or one.null_count for one, kind in zip(lists, _CELLS.values(), strict=True)):
        raise ValueError("the columns 'confusion_...' aren't lists of whole numbers")
    offsets = [one.offsets.to_numpy() - one.offsets[0].as_py() for one in lists]
    values = [one.flatten() for one in lists]
    if any(not np.array_equal(some, offsets[0]) for some in offsets) or any(some.null_count for some in values):
        raise ValueError("the columns 'confusion_...' don't belong together")
    cells = ConfusionCells(offsets[0].astype(np.int64), *(some.to_numpy() for some in values))
    _check(cells, num_classes)
    return cells


def _check(cells: ConfusionCells, num_classes: int) -> None:
    for classes in (cells.true, cells.predicted):
        if classes.max(initial=0) >= max(num_classes, 1):
            raise ValueError(f"the columns 'confusion_...' hold class {classes.max()}, and there are {num_classes}")
    if cells.pixels.min(initial=1) < 1:
        raise ValueError("the column 'confusion_pixels' holds a number below 1")
