"""The grid of OpenCV's bilinear resizing: from which two pixels each new one comes, and with what weight."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.data import geometry


class Axis(NamedTuple):
    """One axis of N new pixels; a new one is (1 - weight) x low + weight x high."""

    low: NDArray[np.int32]  # (N,)
    high: NDArray[np.int32]  # (N,)
    weight: NDArray[np.float32]  # (N,)


def axes(original_size: tuple[int, int], size: tuple[int, int], policy: str, padded: tuple[int, int]) -> list[Axis]:
    """Return the rows and columns by which `geometry.restore` resizes from `size` to an image's own size.

    Args:
        padded: the height and width to extend it to, by repeating the last row and column.
    """
    places = zip(*geometry.inner_box(original_size, size, policy), original_size, padded, strict=True)
    return [_axis(start, old, new, length) for start, old, new, length in places]


def _axis(start: int, old: int, new: int, length: int) -> Axis:
    """Make the axis from `old` pixels, the first of which is at `start`, to `new` ones and `length` with padding."""
    low = np.clip(np.floor((np.arange(new) + 0.5) * (old / new) - 0.5).astype(np.int32), 0, old - 1)
    high = np.minimum(low + 1, old - 1)
    # OpenCV's own weights, to the last bit whatever its version: those of the odd pixels.
    odd = cv2.resize((np.arange(old) % 2).astype(np.float32)[None], (new, 1), interpolation=cv2.INTER_LINEAR)[0]
    weight = np.where(low == high, np.float32(0), np.where(low % 2 == 0, odd, 1 - odd))
    repeated = ((0, length - new),)
    return Axis(*(np.pad(values, repeated, mode="edge") for values in (low + start, high + start, weight)))
