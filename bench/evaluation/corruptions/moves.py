"""Corruptions that move an image's contents, and its labels with them: rotation and scale about the centre.

A move is of the photograph at its own size: an image that was stretched to a square is turned as the photograph would
be and stretched then. What comes from outside is the mirrored image, and ignored in the labels.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.evaluation.corruptions.pixel_changes import Picture, bands_of

Size = tuple[int, int]  # height, width in pixels


@dataclass(frozen=True)
class Move:
    """A rotation (degrees, counterclockwise) and an enlargement (2: twice as large) about an image's centre."""

    degrees: float = 0.0
    factor: float = 1.0

    def image(self, image: Picture, original: Size) -> Picture:
        """Move an image (H, W, C) of a photograph whose own size is `original`; bilinear, mirrored at the border."""
        parts = (
            [image] if image.shape[-1] == 3 else np.split(image, image.shape[-1], axis=-1)
        )  # OpenCV rounds 2 otherwise
        moved = [self._warp(part, original, cv2.INTER_LINEAR, cv2.BORDER_REFLECT_101, 0) for part in parts]
        return np.concatenate([bands_of(part) for part in moved], axis=-1)

    def labels(self, labels: NDArray[Any], original: Size, outside: int) -> NDArray[Any]:
        """Move labels or numbered objects (H, W) likewise; `outside` is the value of what comes from outside."""
        return self._warp(labels, original, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT, outside)

    def _warp(self, array: NDArray[Any], original: Size, how: int, border: int, value: int) -> NDArray[Any]:
        size = array.shape[:2]
        return cv2.warpAffine(
            array, self.matrix(size, original), size[::-1], flags=how | cv2.WARP_INVERSE_MAP,
            borderMode=border, borderValue=[value] * 4,
        )  # fmt: skip

    def matrix(self, size: Size, original: Size) -> NDArray[np.float64]:
        """Return the matrix (2, 3) that maps a pixel (x, y) of the result to the place that it comes from."""
        height, width = size
        stretch = np.diag([original[1] / width, original[0] / height])  # from this size to the photograph's own
        angle = math.radians(self.degrees)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) / self.factor
        linear = np.linalg.inv(stretch) @ turn @ stretch
        centre = np.array([(width - 1) / 2, (height - 1) / 2])  # pixel centres lie at halves
        return np.column_stack([linear, centre - linear @ centre])


def rotation(degrees: float, rng: np.random.Generator) -> Move:
    """Rotate by that angle in either direction."""
    return Move(degrees=degrees * rng.choice([-1, 1]))


def scale(factor: float, rng: np.random.Generator) -> Move:
    """Enlarge by that factor, or shrink by it."""
    return Move(factor=factor ** int(rng.choice([-1, 1])))
