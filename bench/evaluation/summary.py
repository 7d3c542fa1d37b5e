"""From the per-image table to the metrics of a record: all of them, without a model or a picture."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.evaluation import boundary, objects, scores
from bench.evaluation.image_table import ImageTable


def summarise(table: ImageTable, classes: Sequence[str], tuned: Mapping[str, Any]) -> dict[str, Any]:
    """The `metrics` of a record, as results/README.md lists them.

    Args:
        classes: the names.
        tuned: threshold and min_area, of the table's tuned counts; empty where it has none.
    """
    extra = table.extra
    values = scores.summary(table.counts, classes)
    if "boundary" in extra:
        values |= boundary.summary(extra["boundary"], extra["contour"])
    if "objects" in extra:
        values |= objects.summary(extra["objects"])
    if "carvana_dice" in extra:
        values |= _carvana(extra["carvana_dice"])
    if "tuned" in extra:
        values["tuned"] = {**tuned, **_tuned(extra)}
    return values


def _tuned(extra: Mapping[str, np.ndarray]) -> dict[str, float | None]:
    """The scores of a binary task at its tuned threshold and minimum area."""
    counts = extra["tuned"]
    sums = counts[:, 1].sum(axis=0)
    values = {
        "mean_iou": scores.mean_iou(counts),
        "foreground_iou": scores.mean_of(scores.iou(sums)),
        "foreground_dice": scores.mean_of(scores.dice(sums)),
        "foreground_f2": scores.mean_of(scores.f2(sums)),
    }
    if "tuned_objects" in extra:
        values |= objects.summary(extra["tuned_objects"])
    if "carvana_dice" in extra:
        values |= _carvana(scores.carvana_dice(counts))
    return values


def _carvana(dice: np.ndarray) -> dict[str, float]:
    """The challenge's score, and its error in thousandths, in which its leading entries differ."""
    return {"carvana_dice": float(dice.mean()), "carvana_error": float(1000 * (1 - dice.mean()))}
