"""Compare predictions for the same images by their per-image tables: a difference with its paired interval."""

from collections.abc import Sequence

from bench.evaluation.image_table import ImageTable
from bench.results.analysis.bootstrap import Uncertainty, bootstrap
from bench.results.quantities import MEAN_IOU
from bench.results.quantities.quantity import Metric


def of_tables(tables: Sequence[ImageTable], metric: Metric = MEAN_IOU) -> list[Uncertainty]:
    """Estimate the uncertainty over the images of each table's score, from the same draws of images for all.

    `drift_from` of two of them is their difference with its interval.

    Raises:
        BenchError: the tables have other numbers of images or classes.
    """
    score = metric.score
    return bootstrap([[score.values(table)] for table in tables], tables[0].groups, score.of_sums, scale=score.scale)
