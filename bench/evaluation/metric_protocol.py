"""The definition of a per-image metric; each has a file in bench/evaluation/metrics/ and a row in image_metrics.py."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.specs import IGNORE_INDEX
from bench.evaluation.confusion import THRESHOLDS, confusion_matrices, counts_of, level_counts, levels
from bench.evaluation.scores import Counts

CLASSES = "classes"  # an axis with one key per class, "0", "1", ...
KINDS = ("tp", "fp", "fn")
MIN_AREAS = (0, *(2**k for k in range(2, 31)))  # pixels: the minimum areas of tuning; the last exceeds any image
FIRST_AREAS = MIN_AREAS.index(256) + 1  # of them are always tried, and more while the last one tried is among the best

Arrays = Mapping[str, NDArray[Any]]  # arrays of the per-image table by name; the first axis is the image


@dataclass(frozen=True, eq=False)
class Prediction:
    """A model's prediction for one image, and the truth; all at the evaluation size."""

    labels: NDArray[np.uint8]  # (H, W)
    classes: NDArray[np.uint8]  # (H, W), the predicted ones; may be empty if counts are all that metrics need
    names: Sequence[str]  # of the classes, in the order of their values
    foreground: NDArray[np.float32]  # (H, W), the probability of class 1 of two; empty if no metric needs it
    # (H, W), the true objects numbered from 1, 0 for none; None if no metric needs them
    objects: NDArray[Any] | None = None
    image: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 0, 3), np.uint8))  # that the model got
    known_passed: NDArray[np.unsignedinteger] | None = None  # what a device has found already: see `passed`,
    known_counts: Counts | None = None  # `counts`
    known_threshold_counts: Counts | None = None  # and `threshold_counts`

    @property
    def num_classes(self) -> int:
        """The number of classes, background included."""
        return len(self.names)

    @property
    def counted(self) -> NDArray[np.bool_]:
        """The mask of the pixels whose label is not ignored, (H, W)."""
        return self.labels != IGNORE_INDEX

    @cached_property
    def counts(self) -> Counts:
        """The pixels of each class that are true positive, false positive and false negative: int64 (C, 3)."""
        if self.known_counts is not None:
            return self.known_counts
        return counts_of(self.confusion[None])[0]

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """The pixels by label and prediction: int64 (C, C)."""
        return confusion_matrices(self.labels[None], self.classes[None], self.num_classes)[0]

    @cached_property
    def passed(self) -> NDArray[np.unsignedinteger]:
        """The number of THRESHOLDS that the probability of class 1 of two exceeds, (H, W)."""
        return levels(self.foreground) if self.known_passed is None else self.known_passed

    @cached_property
    def threshold_counts(self) -> Counts:
        """The same of class 1 of two at each of THRESHOLDS: int64 (19, 3)."""
        if self.known_threshold_counts is not None:
            return self.known_threshold_counts
        return level_counts(self.labels[None], self.passed[None])[0]

    def above(self, threshold: float) -> NDArray[np.bool_]:
        """Find where the probability of class 1 exceeds a threshold and the label isn't ignored, (H, W)."""
        if threshold not in THRESHOLDS:
            return (self.foreground > np.float32(threshold)) & self.counted
        return (self.passed > THRESHOLDS.index(threshold)) & self.counted

    def with_mask(self, mask: NDArray[np.bool_]) -> "Prediction":
        """Return the same image with another prediction: class 1 where the mask (H, W) is true, else class 0."""
        return replace(self, classes=mask.astype(np.uint8), known_counts=None)


@dataclass(frozen=True)
class Array:
    """An array of the per-image table, (N, ...), with one column for each number of an image."""

    name: str
    axes: tuple[Any, ...] = ()  # the keys along each axis, the last one's come first in a column's name; (): a float
    prefix: str | None = None  # of the columns' names; None: the array's name


@dataclass(frozen=True)
class Tuning:
    """The functions by which a metric chooses the threshold and the minimum area of a task with two classes."""

    per_image: Callable[[Prediction], NDArray[Any]]  # an image's values at all of THRESHOLDS
    # those of all images stacked -> (19, 1) or (19, len(MIN_AREAS)), most is best
    scores: Callable[[NDArray[Any]], NDArray[Any]]


class Need(StrEnum):
    """The things that a metric may need from the data set or the model; it is computed if all of them are there."""

    TWO_CLASSES = "two classes"
    LEVELS = "the thresholds that the probability of class 1 exceeds"
    OBJECTS = "numbered objects"
    NAMED = "a data set that names it"  # in its spec's `metrics`


@dataclass(frozen=True)
class ImageMetric:
    """A metric that is computed image by image and summarised over a split from the per-image table."""

    name: str
    arrays: tuple[Array, ...]  # the arrays that it adds to the per-image table
    per_image: Callable[[Prediction], Mapping[str, Any]]  # an image's value of each array
    summary: Callable[[Arrays, Sequence[str]], dict[str, Any]]  # arrays, class names -> values of a record's metrics
    needs: tuple[Need, ...] = ()
    counts_suffice: bool = False  # it looks only at a prediction's `counts` and `threshold_counts`, at no pixel
    history: tuple[str, ...] = ()  # values that each validation records; (): it is computed in the test only
    tuned: tuple[str, ...] = ()  # arrays that the table also has at the tuned threshold
    tuned_summary: Callable[[Arrays, Sequence[str]], dict[str, Any]] | None = None  # the summary of these arrays
    tuning: Tuning | None = None  # None: it doesn't choose thresholds
