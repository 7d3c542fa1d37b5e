"""The outcome of restoring an image's logits to its own size and comparing them with its labels."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Wanted(NamedTuple):
    """The needs of a caller about each image; less is quicker."""

    levels: bool  # with two classes: how many of THRESHOLDS the probability of class 1 exceeds
    maps: bool  # the classes, and levels if wanted, of every pixel; else their counts suffice


class Outcome(NamedTuple):
    """The prediction of a model for one image of H x W pixels."""

    classes: NDArray[np.uint8]  # (H, W), the predicted ones; may be empty where no maps are wanted
    passed: NDArray[np.unsignedinteger]  # (H, W), of THRESHOLDS; empty where no levels are wanted
    counts: NDArray[np.int64] | None = None  # (C, 3): tp, fp, fn; None: to be counted from the classes
    threshold_counts: NDArray[np.int64] | None = None  # (19, 3); None: to be counted from `passed`, if that is there


NO_MAP: NDArray[Any] = np.zeros(0, np.uint8)


class Restorer(Protocol):
    """A way from logits to outcomes."""

    def outcomes(
        self, logits: NDArray[np.float32], truths: Iterable[NDArray[np.uint8]], wanted: Wanted
    ) -> Iterator[tuple[NDArray[np.uint8], Outcome]]:
        """Yield the labels of each image, and its outcome.

        Args:
            logits: (B, h, w, C); a batch's padding is left out, as there are no labels for it.
            truths: the labels (H, W) of the images, of any sizes.
        """
        ...
