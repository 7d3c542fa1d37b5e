"""Compute all metrics of a record from the per-image table, without a model or an image."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.evaluation.image_metrics import IMAGE_METRICS, tuned_name
from bench.evaluation.image_table import ImageTable
from bench.evaluation.metric_protocol import Arrays, ImageMetric


def summarise(table: ImageTable, classes: Sequence[str], tuned: Mapping[str, Any]) -> dict[str, Any]:
    """Compute the `metrics` of a record, as results/README.md lists them.

    Args:
        classes: the names of the classes.
        tuned: the threshold and min_area of the table's tuned counts; empty if it has none.
    """
    arrays = table.arrays()
    found = [metric for metric in IMAGE_METRICS if all(array.name in arrays for array in metric.arrays)]
    values: dict[str, Any] = {}
    for metric in found:
        values |= metric.summary(arrays, classes)
    if tuned_name("counts") in arrays:
        values["tuned"] = {**tuned, **_tuned(found, arrays, classes)}
    return values


def _tuned(metrics: Sequence[ImageMetric], arrays: Arrays, classes: Sequence[str]) -> dict[str, Any]:
    """Compute the metrics whose arrays the table also has at the tuned threshold and minimum area."""
    at_point = {name: arrays[tuned_name(name)] for name in arrays if tuned_name(name) in arrays}
    values: dict[str, Any] = {}
    for metric in metrics:
        if metric.tuned_summary and all(name in at_point for name in metric.tuned):
            values |= metric.tuned_summary(at_point, classes)
    return values
