"""Definitions of scores for two classes, background and foreground: empty images, thresholds, objects."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench.evaluation import scores
from bench.evaluation.confusion import THRESHOLDS
from bench.evaluation.image_table import ImageTable
from bench.evaluation.metrics import objects
from bench.results.analysis.resampling import of_class, of_images, of_split
from bench.results.quantities.quantity import Definition

_THRESHOLDS = (0.3, 0.5, 0.7)
_EMPTY = (("left out", np.nan), ("counts 1", 1.0), ("counts 0", 0.0))


def binary_definitions(name: str) -> Iterator[Definition]:
    """Yield the definitions that only data sets with two classes allow; `name` is that of class 1."""
    yield from _foreground(name)
    yield from _thresholds(name)
    yield from _objects()


def _foreground(name: str) -> Iterator[Definition]:
    """Yield the definitions of class 1's scores, by what an image counts that has no such pixel in either."""
    for text, formula in (("IoU", scores.iou), ("dice", scores.dice), ("F2", scores.f2)):
        yield Definition(f"{text} of {name}, split", of_split(of_class(formula)))
    for text, formula in (("IoU", scores.iou), ("dice", scores.dice)):
        for policy, empty in _EMPTY:
            yield Definition(
                f"{text} of {name}, each image, empty {policy}", of_images(partial(_filled, formula, empty))
            )
        yield Definition(f"{text} of {name}, each image that truly has it", of_images(partial(_where_true, formula)))


def _filled(formula: scores.Formula, empty: float, table: ImageTable) -> NDArray[np.float64]:
    return np.nan_to_num(formula(table.counts[:, 1]), nan=empty)


def _where_true(formula: scores.Formula, table: ImageTable) -> NDArray[np.float64]:
    own = table.counts[:, 1]
    return np.where(own[:, 0] + own[:, 2] > 0, formula(own), np.nan)


def _thresholds(name: str) -> Iterator[Definition]:
    for threshold in _THRESHOLDS:
        counts = partial(_threshold_counts, only=THRESHOLDS.index(threshold))
        yield Definition(f"IoU of {name} at threshold {threshold}", of_split(of_class(scores.iou, 0), counts))
    yield Definition(
        f"IoU of {name} at its best threshold", of_split(lambda sums: scores.iou(sums).max(axis=-1), _threshold_counts)
    )
    yield Definition(
        f"IoU of {name} as tuned on validation", of_split(of_class(scores.iou), lambda table: table.extra["tuned"])
    )


def _threshold_counts(table: ImageTable, only: int | None = None) -> NDArray[np.int64]:
    """Return the counts of class 1 at all thresholds (N, 19, 3), or at one of them (N, 1, 3)."""
    if table.threshold_counts is None:
        raise KeyError("threshold counts")
    return table.threshold_counts if only is None else table.threshold_counts[:, [only]]


def _objects() -> Iterator[Definition]:
    """Yield the definitions of the Airbus challenge's F2 of objects, by what images without ships count."""
    yield Definition(
        "object F2 of each image, empty counts 1", of_images(lambda table: objects.image_f2(table.extra["objects"]))
    )
    yield Definition(
        "object F2 of each image, empty left out", of_images(lambda table: _object_f2(table, left_out=_is_empty))
    )
    yield Definition(
        "object F2 of each image that truly has one", of_images(lambda table: _object_f2(table, left_out=_has_none))
    )
    yield Definition("object F2 of the split", of_split(scores.macro(scores.f2), _object_counts))
    yield Definition(
        "object F2 of each image, as tuned on validation",
        of_images(lambda table: objects.image_f2(table.extra["tuned_objects"])),
    )


def _is_empty(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray(~counts.any(axis=(1, 2, 3)))


def _has_none(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray(~counts[..., (0, 2)].any(axis=(1, 2, 3)))


def _object_f2(table: ImageTable, left_out: Callable[[NDArray[np.int64]], NDArray[np.bool_]]) -> NDArray[np.float64]:
    counts = table.extra["objects"]
    return np.where(left_out(counts), np.nan, objects.image_f2(counts))


def _object_counts(table: ImageTable) -> NDArray[np.int64]:
    """Return the objects' counts over all sizes at each threshold: (N, 10, 3)."""
    return table.extra["objects"].sum(axis=1)
