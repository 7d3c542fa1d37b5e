"""A model on a split: what it predicts for each image, and the per-image table from which every metric is computed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX
from bench.data import batches, geometry
from bench.data.pack import Pack
from bench.evaluation import boundary, objects
from bench.evaluation.confusion import confusion_counts, threshold_counts
from bench.evaluation.image_table import ImageTable
from bench.evaluation.predictor import Predictor
from bench.evaluation.scores import carvana_dice
from bench.evaluation.summary import summarise


@dataclass(frozen=True)
class OperatingPoint:
    """How the probability of class 1 of two becomes a mask."""

    threshold: float = 0.5  # the probability must be greater
    min_area: int = 0  # pixels at the evaluation size; smaller 8-connected components are dropped

    def mask(self, foreground: np.ndarray) -> np.ndarray:
        """Probabilities float32 (H, W) to a mask of booleans."""
        return objects.drop_small(foreground > np.float32(self.threshold), self.min_area)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one image, beside the truth; all at the evaluation size."""

    index: int  # in the pack
    labels: np.ndarray  # uint8 (H, W)
    classes: np.ndarray  # uint8 (H, W)
    foreground: np.ndarray  # float32 (H, W), the probability of class 1 of two; empty where there are more classes

    @property
    def counted(self) -> np.ndarray:
        """Where the label is not ignored, booleans (H, W)."""
        return self.labels != IGNORE_INDEX


@dataclass(frozen=True)
class Task:
    """How a split is scored.

    Args:
        own: the data set's own metrics, of DATASET_METRICS.
        native: at each picture's own size, not at the pack's.
    """

    pack: Pack
    own: Sequence[str] = ()
    native: bool = False

    def __post_init__(self) -> None:
        if self.own and len(self.pack.classes) != 2:
            raise BenchError(f"{', '.join(self.own)} need two classes, and there are {len(self.pack.classes)}.")

    @property
    def has_objects(self) -> bool:
        """Whether objects are scored, not pixels alone."""
        return "airbus_f2" in self.own

    def predictions(
        self, predictor: Predictor, indexes: np.ndarray, *, foreground: bool = True
    ) -> Iterator[Prediction]:
        """Predict the images at `indexes`, in order; at native size one image at a time is held in memory.

        Args:
            foreground: False: the probabilities are not needed and may be empty.
        """
        place = 0
        for images, labels, valid in batches.evaluation(self.pack, indexes, predictor.batch_size):
            rows, place = indexes[place : place + valid], place + valid
            if self.native:
                for index, logits in zip(rows, predictor.logits(images), strict=False):
                    truth = self.pack.truth(index)
                    found = predictor.restored_classes(logits, truth.shape, foreground=foreground)
                    yield Prediction(int(index), truth, *found)
            else:
                classes, probabilities = predictor.classes(images)
                for row, index in enumerate(rows):
                    probability = probabilities[row] if len(probabilities) else probabilities
                    yield Prediction(int(index), labels[row], classes[row], probability)

    def true_objects(self, predictor: Predictor, prediction: Prediction) -> np.ndarray:
        """The objects of an image's truth, numbered; where the data set does not know them, its connected regions."""
        numbers = self.pack.instances(prediction.index)
        if numbers is None:
            return objects.components(prediction.labels == 1)
        if not self.native:
            numbers = geometry.resize_labels(numbers, prediction.labels.shape, predictor.resize, fill=0)
        return np.where(prediction.counted, numbers, 0)


@dataclass(frozen=True)
class Evaluation:
    """The per-image table of a split, and its metrics."""

    table: ImageTable
    classes: Sequence[str]
    point: OperatingPoint | None = None  # at which the table's tuned counts are

    def metrics(self) -> dict[str, Any]:
        """The metrics of the split, by name."""
        tuned = {"threshold": self.point.threshold, "min_area": self.point.min_area} if self.point else {}
        return summarise(self.table, self.classes, tuned)


def evaluate(
    predictor: Predictor,
    task: Task,
    indexes: np.ndarray,
    *,
    full: bool = False,
    point: OperatingPoint | None = None,
) -> Evaluation:
    """Score the images at `indexes`.

    Args:
        full: also counts at 19 thresholds (for two classes) and of boundaries, which cost more than the model may.
        point: also counts at this threshold and minimum area, for two classes.
    """
    pack = task.pack
    predictions = task.predictions(predictor, indexes, foreground=full or point is not None)
    rows = [_row(prediction, predictor, task, full, point) for prediction in predictions]
    columns = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    table = ImageTable(
        names=tuple(pack.names[i] for i in indexes),
        groups=tuple(pack.groups[i] for i in indexes),
        counts=columns.pop("counts"),
        threshold_counts=columns.pop("thresholds", None),
        extra=columns,
    )
    return Evaluation(table, pack.classes, point)


def _row(
    prediction: Prediction, predictor: Predictor, task: Task, full: bool, point: OperatingPoint | None
) -> dict[str, np.ndarray]:
    """What one image adds to the columns of the table."""
    labels, classes, num_classes = prediction.labels[None], prediction.classes[None], len(task.pack.classes)
    row = {"counts": confusion_counts(labels, classes, num_classes)[0]}
    if full and num_classes == 2:
        row["thresholds"] = threshold_counts(labels, prediction.foreground[None])[0]
    if full:
        row["boundary"] = boundary.boundary_counts(labels, classes, num_classes)[0]
        row["contour"] = boundary.contour_counts(labels, classes, num_classes)[0]
    if "carvana_dice" in task.own:
        row["carvana_dice"] = carvana_dice(row["counts"])
    true = task.true_objects(predictor, prediction) if task.has_objects else None
    if true is not None:
        row["objects"] = _object_counts(true, (prediction.classes == 1) & prediction.counted)
        row["airbus_f2"] = objects.image_f2(row["objects"])
    if point:
        mask = point.mask(np.where(prediction.counted, prediction.foreground, 0))
        row["tuned"] = confusion_counts(labels, mask[None].astype(np.uint8), num_classes)[0]
        if true is not None:
            row["tuned_objects"] = _object_counts(true, mask)
    return row


def _object_counts(true: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return objects.count(objects.overlap(true, objects.components(mask)))
