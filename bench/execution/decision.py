"""From probabilities to classes: the threshold and the smallest object of a task with two classes."""

from dataclasses import dataclass

import numpy as np

from bench.errors import BenchError
from bench.metrics.objects import drop_small
from bench.spec import TrialConfig, TrialRecord


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
