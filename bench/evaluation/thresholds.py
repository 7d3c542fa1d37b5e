"""The threshold and the smallest object of a binary task, chosen on the validation split.

What is made as large as it can be is the data set's own score (`airbus_f2`, else `carvana_dice`), or, where it has
none, the IoU of class 1 over the split.
"""

from dataclasses import dataclass

import numpy as np

from bench.core.errors import BenchError
from bench.core.specs import TrialConfig, TrialRecord
from bench.evaluation import objects
from bench.evaluation.confusion import THRESHOLDS, threshold_counts
from bench.evaluation.evaluate import OperatingPoint, Prediction, Task
from bench.evaluation.objects import drop_small
from bench.evaluation.predictor import Predictor
from bench.evaluation.scores import carvana_dice, iou

MIN_AREAS = (0, 4, 8, 16, 32, 64, 128, 256)  # pixels at the evaluation size, tried for data sets with objects
MOST_IMAGES = 2000  # of the validation split, evenly spaced


def tune(predictor: Predictor, task: Task, indexes: np.ndarray) -> OperatingPoint:
    """The threshold of 19, and for data sets with objects the minimum area, that are best for the images at `indexes`.

    Among equals the threshold nearest to 0.5 and the smallest area are taken.
    """
    if len(indexes) > MOST_IMAGES:
        indexes = indexes[np.linspace(0, len(indexes) - 1, MOST_IMAGES).astype(int)]
    predictions = task.predictions(predictor, indexes)
    if task.has_objects:
        scores = np.mean([_object_scores(task.true_objects(predictor, p), p) for p in predictions], axis=0)
    else:
        counts = np.stack([threshold_counts(p.labels[None], p.foreground[None])[0] for p in predictions])  # (N, 19, 3)
        scores = _pixel_scores(counts, task)[:, None]
    return best(scores)


def best(scores: np.ndarray) -> OperatingPoint:
    """The best of scores by threshold and minimum area, (19, A)."""
    equal = np.argwhere(scores >= scores.max() - 1e-9)
    threshold, area = min(equal.tolist(), key=lambda place: (abs(THRESHOLDS[place[0]] - 0.5), place[1]))
    return OperatingPoint(THRESHOLDS[threshold], MIN_AREAS[area])


def _pixel_scores(counts: np.ndarray, task: Task) -> np.ndarray:
    if "carvana_dice" in task.own:
        both = np.stack([counts, counts], axis=2)  # of class 1, which is all that is asked for
        return carvana_dice(both).mean(axis=0)
    return np.nan_to_num(iou(counts.sum(axis=0)))


def _object_scores(true: np.ndarray, prediction: Prediction) -> np.ndarray:
    """The airbus_f2 of one image by threshold and minimum area: float64 (19, 8)."""
    foreground = np.where(prediction.counted, prediction.foreground, 0)
    return np.array([_area_scores(true, foreground > np.float32(threshold)) for threshold in THRESHOLDS])


def _area_scores(true: np.ndarray, mask: np.ndarray) -> list[float]:
    found = objects.overlap(true, objects.components(mask))
    return [float(objects.image_f2(objects.count(objects.without_small(found, area)))) for area in MIN_AREAS]


@dataclass(frozen=True)
class Decision:
    """How probabilities become classes."""

    threshold: float = 0.5  # on the probability of class 1, where there are two classes
    min_area: int = 0  # pixels; smaller 8-connected objects of class 1 become background
    area_size: tuple[int, int] | None = None  # height, width that the area is counted at; None: the picture's own
    letterbox: bool = False  # whether a picture keeps its aspect ratio within that size

    def classes(self, probabilities: np.ndarray) -> np.ndarray:
        """float32 (H, W, C) to classes uint8 (H, W)."""
        if probabilities.shape[-1] != 2:
            return probabilities.argmax(axis=-1).astype(np.uint8)
        mask = probabilities[..., 1] > np.float32(self.threshold)
        return drop_small(mask, self._least(mask.shape)).astype(np.uint8)

    def _least(self, shape: tuple[int, ...]) -> int:
        """The smallest object in pixels of a picture of that height and width."""
        if self.area_size is None:
            return self.min_area
        scales = [own / counted for own, counted in zip(shape, self.area_size, strict=True)]
        return round(self.min_area * (max(scales) ** 2 if self.letterbox else scales[0] * scales[1]))

    def __str__(self) -> str:
        size = "x".join(map(str, self.area_size)) if self.area_size else "the picture's own size"
        small = f", objects of fewer than {self.min_area} pixels at {size} dropped" if self.min_area > 1 else ""
        return f"class 1 above {self.threshold:g}{small}"


def decide(record: TrialRecord, threshold: float | None = None, min_area: int | None = None) -> Decision:
    """The decision that is asked for; what is left out is as it was tuned on the trial's validation split.

    BenchError for a value out of range, or for a trial whose classes are not two.
    """
    if len(record.dataset["classes"]) != 2:
        if threshold is not None or min_area is not None:
            raise BenchError("--threshold and --min-area are for runs with two classes: this one takes the likeliest.")
        return Decision()
    if threshold is not None and not 0 < threshold < 1:
        raise BenchError(f"--threshold is {threshold:g}. Accepted: a number between 0 and 1.")
    if min_area is not None and min_area < 0:
        raise BenchError(f"--min-area is {min_area}. Accepted: 0 or more pixels.")
    tuned = record.metrics.get("tuned") or {"threshold": 0.5, "min_area": 0}
    threshold = tuned["threshold"] if threshold is None else threshold
    config = TrialConfig.from_dict(record.config)
    if min_area is not None or config.eval_size == "native":
        return Decision(threshold, tuned["min_area"] if min_area is None else min_area)
    return Decision(threshold, tuned["min_area"], config.image_size, config.resize == "letterbox")
