"""The task of scoring a data set's images: by which metrics, and at which size."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.core.specs import IGNORE_INDEX
from bench.data import batches, geometry
from bench.data.loading.images import ImageSet, Row
from bench.evaluation.image_metrics import metrics_for
from bench.evaluation.metric_protocol import ImageMetric, Need, Prediction
from bench.evaluation.metrics.objects import components
from bench.evaluation.native.outcome import NO_MAP, Restorer, Wanted
from bench.profiling.host.turns import give_way

if TYPE_CHECKING:  # one imports keras, and the parent process does not
    from bench.evaluation.predicted.kept_predictor import KeptPredictor
    from bench.evaluation.predictor import Predictor

    Source = Predictor | KeptPredictor


@dataclass(frozen=True)
class Task:
    """The rules by which a data set is scored.

    Args:
        own: the metrics that the data set's spec names; BenchError if they don't suit the data.
        native: whether to score at each image's own size instead of the size of training.
    """

    pack: ImageSet
    own: Sequence[str] = ()
    native: bool = False

    def __post_init__(self) -> None:
        _ = self.metrics

    @cached_property
    def metrics(self) -> tuple[ImageMetric, ...]:
        """The metrics of the data set, in the registry's order."""
        return metrics_for(self.own, len(self.pack.classes))

    def predictions(
        self,
        predictor: "Source",
        indexes: np.ndarray,
        *,
        metrics: Sequence[ImageMetric],
        foreground: bool = False,
        maps: bool = False,
        probabilities: bool = False,
    ) -> Iterator[Prediction]:
        """Predict the images at `indexes`, in order; at native size one image at a time is held in memory; on a GPU a
        group of one size.

        Args:
            metrics: the metrics to compute; the predictions have what these need.
            foreground: whether the probabilities of class 1, or the thresholds that they pass, are needed even if no
                metric needs them.
            maps: whether each pixel's class is needed even if no metric needs it.
            probabilities: whether the thresholds that they pass don't suffice.
        """
        needs = {need for metric in metrics for need in metric.needs}
        foreground, objects = foreground or Need.LEVELS in needs, Need.OBJECTS in needs
        native = self.native or objects
        wanted = Wanted(foreground, maps or not all(metric.counts_suffice for metric in metrics))
        restorer = getattr(predictor, "restorer", None) if self.native and not probabilities else None
        for batch in batches.evaluation(self.pack, indexes, predictor.batch_size, native=native):
            give_way()
            if restorer:
                yield from self._restored(predictor, restorer, batch, wanted, objects=objects)
                continue
            found = self._predicted(predictor, batch, foreground=foreground)
            for row, (truth, classes, shares) in zip(batch.rows, found, strict=True):
                numbers = self._objects(predictor, row, truth) if objects else None
                yield Prediction(truth, classes, self.pack.classes, shares, numbers, row.image)

    def _restored(
        self, predictor: "Source", restorer: Restorer, batch: batches.EvaluationBatch, wanted: Wanted, *, objects: bool
    ) -> Iterator[Prediction]:
        """Yield the predictions of a batch at native size, which a device has compared with the labels."""
        logits, truths = np.asarray(predictor.logits(batch.images)), (row.truth() for row in batch.rows)
        found = restorer.outcomes(logits, truths, wanted)
        for row, (truth, (classes, passed, *counts)) in zip(batch.rows, found, strict=True):
            numbers = self._objects(predictor, row, truth) if objects else None
            yield Prediction(truth, classes, self.pack.classes, NO_MAP, numbers, row.image, passed, *counts)

    def _predicted(
        self, predictor: "Source", batch: batches.EvaluationBatch, *, foreground: bool
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield labels, predicted classes and probabilities of class 1 (or nothing) of each image of a batch."""
        if self.native:
            for row, logits in zip(batch.rows, predictor.logits(batch.images), strict=False):
                truth = row.truth()
                yield truth, *predictor.restored_classes(logits, truth.shape, foreground=foreground)
        else:
            classes, probabilities = predictor.classes(batch.images)
            for place, row in enumerate(batch.rows):
                yield row.labels, classes[place], probabilities[place] if len(probabilities) else probabilities

    def _objects(self, predictor: "Source", row: Row, labels: NDArray[np.uint8]) -> NDArray[Any]:
        """Number the true objects of an image: as the data set does, or else by connected regions."""
        numbers = row.instances()
        if numbers is None:
            return components(labels == 1)
        if not self.native:
            numbers = geometry.resize_labels(numbers, labels.shape, predictor.resize, fill=0)
        return np.where(labels != IGNORE_INDEX, numbers, 0)
