"""The threshold and the smallest object of a binary task, chosen on the validation split.

What is made as large as it can be is the data set's own score (`airbus_f2`, else `carvana_dice`), or, where it has
none, the IoU of class 1 over the split.
"""

import numpy as np

from bench.evaluation.evaluate import OperatingPoint, Prediction, Task
from bench.evaluation.predict import Predictor
from bench.metrics import objects
from bench.metrics.confusion import THRESHOLDS, threshold_counts
from bench.metrics.scores import carvana_dice, iou

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
