"""Turn probabilities into a mask: the threshold and the smallest object are given, or tuned on validation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import BenchError
from bench.core.specs import TrialRecord
from bench.core.trial_config import TrialConfig
from bench.evaluation.confusion import THRESHOLDS
from bench.evaluation.metric_protocol import MIN_AREAS, ImageMetric, Tuning
from bench.evaluation.metrics.objects import drop_small
from bench.evaluation.task import Task

if TYPE_CHECKING:  # it imports keras, and the parent process does not
    from bench.evaluation.predictor import Predictor

MOST_IMAGES = 2000  # of the validation split, evenly spaced


@dataclass(frozen=True)
class OperatingPoint:
    """The rule that turns probabilities into classes; of more than two classes, the most probable one is taken."""

    threshold: float = 0.5  # the probability of class 1 must be greater
    min_area: int = 0  # pixels; smaller 8-connected objects of class 1 become background
    area_size: tuple[int, int] | None = None  # height, width that the area is counted at; None: the picture's own
    letterbox: bool = False  # whether a picture keeps its aspect ratio within that size

    def mask(self, foreground: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Decide where class 1 is, from its probability (H, W)."""
        mask = foreground > np.float32(self.threshold)
        return drop_small(mask, self._least(mask.shape))

    def classes(self, probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Decide the classes (H, W) from their probabilities (H, W, C)."""
        if probabilities.shape[-1] != 2:
            return probabilities.argmax(axis=-1).astype(np.uint8)
        return self.mask(probabilities[..., 1]).astype(np.uint8)

    def _least(self, shape: tuple[int, ...]) -> int:
        """Give the area in pixels of the smallest object in a picture of that height and width."""
        if self.area_size is None:
            return self.min_area
        scales = [own / counted for own, counted in zip(shape, self.area_size, strict=True)]
        return round(self.min_area * (max(scales) ** 2 if self.letterbox else scales[0] * scales[1]))

    def __str__(self) -> str:
        size = "x".join(map(str, self.area_size)) if self.area_size else "the picture's own size"
        small = f", objects of fewer than {self.min_area} pixels at {size} dropped" if self.min_area > 1 else ""
        return f"class 1 above {self.threshold:g}{small}"


def tune(predictor: "Predictor", task: Task, indexes: np.ndarray) -> OperatingPoint:
    """Choose the threshold of 19, and for data sets with objects the minimum area, that score best at `indexes`.

    The score is that of the last of the task's metrics that thresholds may be tuned by. Among equals the threshold
    nearest to 0.5 and the smallest area are taken.
    """
    if len(indexes) > MOST_IMAGES:
        indexes = indexes[np.linspace(0, len(indexes) - 1, MOST_IMAGES).astype(int)]
    metric, tuning = _deciding(task.metrics)
    predictions = task.predictions(predictor, indexes, metrics=[metric], foreground=True)
    return best(tuning.scores(np.stack([tuning.per_image(prediction) for prediction in predictions])))


def _deciding(metrics: Sequence[ImageMetric]) -> tuple[ImageMetric, Tuning]:
    return next((metric, metric.tuning) for metric in reversed(metrics) if metric.tuning)


def best(scores: NDArray[np.float64]) -> OperatingPoint:
    """Choose the greatest of scores by threshold and minimum area, (19, A)."""
    equal = np.argwhere(scores >= scores.max() - 1e-9)
    threshold, area = min(equal.tolist(), key=lambda place: (abs(THRESHOLDS[place[0]] - 0.5), place[1]))
    return OperatingPoint(THRESHOLDS[threshold], MIN_AREAS[area])


def operating_point(record: TrialRecord, threshold: float | None = None, min_area: int | None = None) -> OperatingPoint:
    """Return the operating point that is asked for; what is None is as it was tuned on the trial's validation split.

    BenchError for a value out of range, or for a trial whose classes are not two.
    """
    if len(record.dataset["classes"]) != 2:
        if threshold is not None or min_area is not None:
            raise BenchError("--threshold and --min-area are for runs with two classes: this one takes the likeliest.")
        return OperatingPoint()
    if threshold is not None and not 0 < threshold < 1:
        raise BenchError(f"--threshold is {threshold:g}. Accepted: a number between 0 and 1.")
    if min_area is not None and min_area < 0:
        raise BenchError(f"--min-area is {min_area}. Accepted: 0 or more pixels.")
    tuned = record.metrics.get("tuned") or {"threshold": 0.5, "min_area": 0}
    threshold = tuned["threshold"] if threshold is None else threshold
    config = TrialConfig.from_dict(record.config)
    if min_area is not None or config.eval_size == "native":
        return OperatingPoint(threshold, tuned["min_area"] if min_area is None else min_area)
    return OperatingPoint(threshold, tuned["min_area"], config.image_size, config.resize == "letterbox")
