"""Turn probabilities into a mask by a threshold and a minimum object area, given or tuned on validation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import BenchError
from bench.core.specs import TrialRecord
from bench.core.trial_config import TrialConfig
from bench.evaluation.confusion import THRESHOLDS
from bench.evaluation.metric_protocol import FIRST_AREAS, MIN_AREAS, ImageMetric, Tuning
from bench.evaluation.metrics.objects import drop_small
from bench.evaluation.task import Task

if TYPE_CHECKING:  # it imports keras, and the parent process does not
    from bench.evaluation.predictor import Predictor

MOST_IMAGES = 2000  # validation images that are used for tuning, evenly spaced


@dataclass(frozen=True)
class OperatingPoint:
    """The rule that turns probabilities into classes; with more than two classes, the most probable one is taken."""

    threshold: float = 0.5  # the probability of class 1 must be greater
    min_area: int = 0  # pixels; smaller 8-connected objects of class 1 become background
    area_size: tuple[int, int] | None = None  # height and width at which the area is counted; None: the image's own
    letterbox: bool = False  # whether an image keeps its aspect ratio within that size

    def mask(self, foreground: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Decide where class 1 is, from its probability (H, W)."""
        return self.without_small(foreground > np.float32(self.threshold))

    def without_small(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Drop the objects of a mask (H, W) that are too small."""
        return drop_small(mask, self._least(mask.shape))

    def classes(self, probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Decide the classes (H, W) from their probabilities (H, W, C)."""
        if probabilities.shape[-1] != 2:
            return probabilities.argmax(axis=-1).astype(np.uint8)
        return self.mask(probabilities[..., 1]).astype(np.uint8)

    def _least(self, shape: tuple[int, ...]) -> int:
        """Return the area in pixels of the smallest object to keep in an image of that height and width."""
        if self.area_size is None:
            return self.min_area
        scales = [own / counted for own, counted in zip(shape, self.area_size, strict=True)]
        return round(self.min_area * (max(scales) ** 2 if self.letterbox else scales[0] * scales[1]))

    def __str__(self) -> str:
        size = "x".join(map(str, self.area_size)) if self.area_size else "the image's own size"
        small = f", objects of fewer than {self.min_area} pixels at {size} dropped" if self.min_area > 1 else ""
        return f"class 1 above {self.threshold:g}{small}"


def tune(predictor: "Predictor", task: Task, indexes: np.ndarray) -> OperatingPoint:
    """Choose the best of 19 thresholds, and with objects the best minimum area, for the images at `indexes`.

    The score is that of the task's last metric that can choose thresholds. If several score equally, the threshold
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
    """Choose the greatest of scores by threshold and minimum area, (19, A).

    Areas up to 256 pixels are tried, and larger ones as long as the largest one tried is among the best.
    """
    for tried in range(min(FIRST_AREAS, scores.shape[1]), scores.shape[1] + 1):
        some = scores[:, :tried]
        equal = np.argwhere(some >= some.max() - 1e-9)
        if equal[:, 1].max() < tried - 1:
            break
    threshold, area = min(equal.tolist(), key=lambda place: (abs(THRESHOLDS[place[0]] - 0.5), place[1]))
    return OperatingPoint(THRESHOLDS[threshold], MIN_AREAS[area])


def operating_point(record: TrialRecord, threshold: float | None = None, min_area: int | None = None) -> OperatingPoint:
    """Return the requested operating point; None stands for the value that was tuned on the trial's validation split.

    Raises:
        BenchError: a value is out of range, or a value is given although the trial doesn't have two classes.
    """
    if len(record.dataset["classes"]) != 2:
        if threshold is not None or min_area is not None:
            raise BenchError(
                "--threshold and --min-area are for runs with two classes. This run has more, and each pixel gets its "
                "most probable class. Leave them out."
            )
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
