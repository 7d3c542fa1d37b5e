"""Restore logits with OpenCV and decide with NumPy: one image at a time, and quickest on a CPU."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from bench.data import geometry
from bench.evaluation.confusion import levels
from bench.evaluation.native.outcome import NO_MAP, Outcome, Wanted

_CACHED = 2**16  # pixels at a time, whose values stay in the processor's cache


class HostRestorer:
    """A restorer for images that were resized by a policy of bench/data/geometry.py."""

    def __init__(self, resize: str):
        self.resize = resize

    def outcomes(
        self, logits: NDArray[np.float32], truths: Iterable[NDArray[np.uint8]], wanted: Wanted
    ) -> Iterator[tuple[NDArray[np.uint8], Outcome]]:
        """Yield labels and outcomes; see `Restorer`. One image at a time is held in memory."""
        for values, truth in zip(logits, truths, strict=False):
            yield truth, decided(self.restored(values, truth.shape), wanted)

    def restored(self, logits: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
        """Resize the logits of one image, (h, w, C), to its own size; of two classes to their difference, (H, W, 1)."""
        return geometry.restore(margins(logits), (size[0], size[1]), self.resize)


def margins(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return logits (..., C), of two classes their difference (..., 1), which is half the work to resize."""
    return logits[..., 1:] - logits[..., :1] if logits.shape[-1] == 2 else logits


def decided(values: NDArray[np.float32], wanted: Wanted) -> Outcome:
    """Decide about pixels by what `HostRestorer.restored` returns for them, (..., C) or (..., 1)."""
    classes, _ = decide(values, foreground=False)
    return Outcome(classes, _levels(values[..., 0]) if wanted.levels and values.shape[-1] == 1 else NO_MAP)


def _levels(margin: NDArray[np.float32]) -> NDArray[np.unsignedinteger]:
    """Do the same as `levels(sigmoid(margin))`, but without an array of all probabilities."""
    flat = margin.reshape(-1)
    parts = [levels(sigmoid(flat[start : start + _CACHED])) for start in range(0, len(flat), _CACHED)]
    return np.concatenate(parts or [NO_MAP]).reshape(margin.shape)


def decide(logits: np.ndarray, *, foreground: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes, uint8 (...), and the probability of class 1 if there are two classes, else an empty array.

    Args:
        logits: float32 (..., C), or (..., 1): the logit of class 1 minus that of class 0.
        foreground: False: the probability is not needed, and the array is empty.
    """
    nothing = np.zeros(0, np.float32)
    if logits.shape[-1] > 2:
        return np.argmax(logits, axis=-1).astype(np.uint8), nothing
    margin = margins(logits)[..., 0]
    return (margin > 0).astype(np.uint8), sigmoid(margin) if foreground else nothing


def sigmoid(values: np.ndarray) -> np.ndarray:
    """Compute 1 / (1 + exp(-x)), float32, without overflow."""
    return np.float32(0.5) * (1 + np.tanh(np.float32(0.5) * values))
