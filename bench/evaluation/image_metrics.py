"""The registry of per-image metrics; a new metric is a file in metrics/ and an entry here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from bench.core.errors import BenchError
from bench.evaluation.metric_protocol import Array, ImageMetric, Need
from bench.evaluation.metrics.boundary import BOUNDARY
from bench.evaluation.metrics.carvana_dice import CARVANA_DICE
from bench.evaluation.metrics.hausdorff import HAUSDORFF95
from bench.evaluation.metrics.objects import AIRBUS_F2
from bench.evaluation.metrics.pixels import PIXELS, PIXELS_BY_THRESHOLD

IMAGE_METRICS = (PIXELS, PIXELS_BY_THRESHOLD, BOUNDARY, CARVANA_DICE, AIRBUS_F2, HAUSDORFF95)
"""All metrics. The last one that can choose a threshold does so; data sets' own metrics follow the general ones."""


def tuned_name(name: str) -> str:
    """Return the name of an array at the tuned threshold."""
    return "tuned" if name == "counts" else f"tuned_{name}"


def _arrays() -> Iterator[Array]:
    for metric in IMAGE_METRICS:
        yield from metric.arrays
        for array in metric.arrays:
            if array.name in metric.tuned:
                yield replace(array, name=tuned_name(array.name), prefix=None)


ARRAYS: Mapping[str, Array] = {array.name: array for array in _arrays()}  # of the per-image table


def metrics_for(names: Sequence[str], num_classes: int) -> tuple[ImageMetric, ...]:
    """Choose the metrics of a data set: the general ones whose needs it meets, and those that it names.

    Args:
        names: the `metrics` of its spec.

    Raises:
        BenchError: a name is no metric that data sets can name, or a metric needs two classes and there are others.
    """
    to_name = {metric.name: metric for metric in IMAGE_METRICS if Need.NAMED in metric.needs}
    for name in names:
        if name not in to_name:
            raise BenchError(f"A data set names the metric '{name}'. Accepted: {', '.join(to_name)}.")
        if Need.TWO_CLASSES in to_name[name].needs and num_classes != 2:
            raise BenchError(f"A data set names the metric '{name}', which needs two classes. It has {num_classes}.")
    return tuple(
        metric
        for metric in IMAGE_METRICS
        if (metric.name in names or Need.NAMED not in metric.needs)
        and (num_classes == 2 or Need.TWO_CLASSES not in metric.needs)
    )
