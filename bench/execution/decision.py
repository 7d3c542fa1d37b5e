"""From probabilities to classes: the threshold and the smallest object of a task with two classes."""

from dataclasses import dataclass

import numpy as np

from bench.errors import BenchError
from bench.metrics.objects import drop_small
from bench.spec import TrialRecord


@dataclass(frozen=True)
class Decision:
    """How probabilities become classes."""

    threshold: float = 0.5  # on the probability of class 1, where there are two classes
    min_area: int = 0  # pixels; smaller 8-connected objects of class 1 become background
    tuned: bool = False  # on the trial's validation split

    def classes(self, probabilities: np.ndarray) -> np.ndarray:
        """float32 (H, W, C) to classes uint8 (H, W)."""
        if probabilities.shape[-1] != 2:
            return probabilities.argmax(axis=-1).astype(np.uint8)
        mask = probabilities[..., 1] > np.float32(self.threshold)
        return drop_small(mask, self.min_area).astype(np.uint8)

    def __str__(self) -> str:
        where = " (tuned on validation)" if self.tuned else ""
        small = f", objects of fewer than {self.min_area} pixels dropped" if self.min_area > 1 else ""
        return f"class 1 above {self.threshold:g}{small}{where}"


def decide(record: TrialRecord, threshold: float | None = None, min_area: int | None = None) -> Decision:
    """The decision that is asked for; what is left out is as it was tuned for the trial, or 0.5 and no smallest object.

    BenchError for a value out of range, or for a trial whose classes are not two.
    """
    given = threshold is not None or min_area is not None
    if len(record.dataset["classes"]) != 2:
        if given:
            raise BenchError("--threshold and --min-area are for runs with two classes: this one takes the likeliest.")
        return Decision()
    if threshold is not None and not 0 < threshold < 1:
        raise BenchError(f"--threshold is {threshold:g}. Accepted: a number between 0 and 1.")
    if min_area is not None and min_area < 0:
        raise BenchError(f"--min-area is {min_area}. Accepted: 0 or more pixels.")
    return Decision(
        threshold=0.5 if threshold is None else threshold,
        min_area=min_area or 0,
    )
