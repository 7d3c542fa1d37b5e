"""Evaluate a model on a split: make the per-image table, from which every metric is computed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.evaluation.confusion import THRESHOLDS
from bench.evaluation.image_metrics import tuned_name
from bench.evaluation.image_table import ImageTable
from bench.evaluation.metric_protocol import ImageMetric, Prediction
from bench.evaluation.predicted.confusion_cells import cells_of, joined
from bench.evaluation.summary import summarise
from bench.evaluation.task import Task
from bench.evaluation.thresholds import OperatingPoint

if TYPE_CHECKING:  # it names a class that imports keras, and rescoring does not
    from bench.evaluation.task import Source


@dataclass(frozen=True)
class Evaluation:
    """The per-image table of a split, and its metrics."""

    table: ImageTable
    classes: Sequence[str]
    point: OperatingPoint | None = None  # at which the table's tuned counts are

    def metrics(self) -> dict[str, Any]:
        """Compute the metrics of the split, by name."""
        tuned = {"threshold": self.point.threshold, "min_area": self.point.min_area} if self.point else {}
        return summarise(self.table, self.classes, tuned)


def evaluate(
    predictor: "Source",
    task: Task,
    indexes: np.ndarray,
    *,
    full: bool = False,
    point: OperatingPoint | None = None,
    keep: Callable[[str, Prediction], None] | None = None,
) -> Evaluation:
    """Score the images at `indexes`.

    Args:
        full: compute all metrics, as for the test; else only those that a validation records, which are cheaper.
        point: with two classes, also score the masks of this threshold and minimum area.
        keep: called with each image's name and prediction, in order, which has every pixel then.
    """
    pack = task.pack
    metrics = [metric for metric in task.metrics if full or metric.history]
    needed = {
        "foreground": bool(point or keep),
        "maps": bool(point or keep or full),
        "probabilities": bool(keep or (point and point.threshold not in THRESHOLDS)),
    }
    predictions = task.predictions(predictor, indexes, metrics=metrics, **needed)
    rows, cells = [], []
    for index, prediction in zip(indexes, predictions, strict=True):
        if keep:
            keep(pack.names[index], prediction)
        rows.append(_row(prediction, metrics, point))
        if full:
            cells.append(cells_of(prediction.confusion))
    columns = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    table = ImageTable(
        names=tuple(pack.names[i] for i in indexes),
        groups=tuple(pack.groups[i] for i in indexes),
        counts=columns.pop("counts"),
        threshold_counts=columns.pop("thresholds", None),
        extra=columns,
        confusion=joined(cells) if full else None,
    )
    return Evaluation(table, pack.classes, point)


def _row(prediction: Prediction, metrics: Sequence[ImageMetric], point: OperatingPoint | None) -> dict[str, np.ndarray]:
    """Compute what one image adds to the arrays of the table."""
    row: dict[str, np.ndarray] = {}
    for metric in metrics:
        row |= metric.per_image(prediction)
    if point:
        decided = prediction.with_mask(point.without_small(prediction.above(point.threshold)))
        for metric in (metric for metric in metrics if metric.tuned):
            values = metric.per_image(decided)
            row |= {tuned_name(name): values[name] for name in metric.tuned}
    return row
