"""Resize an image and its labels to the pack's size, and probabilities back to the native size.

Pixels are areas and their centres lie at halves, for pictures, labels and the way back alike. Three policies say
what becomes of another aspect ratio:

    stretch     height and width are scaled apart: nothing is lost, shapes are distorted
    letterbox   scaled whole, centred, padded: black in the picture, ignored in the labels
    crop        scaled to cover, centred, what stands over is cut off
"""

import cv2
import numpy as np
from PIL import Image

from bench.core.errors import BenchError
from bench.core.registry import unknown_name_message
from bench.core.specs import IGNORE_INDEX, RESIZES

Size = tuple[int, int]  # height, width in pixels


def resize_image(image: np.ndarray, size: Size, policy: str = "stretch") -> np.ndarray:
    """Resize an image by bilinear interpolation, antialiased when shrinking; uint8 (H, W, 3) to (*size, 3)."""
    return _resize(image, size, policy, Image.Resampling.BILINEAR, fill=0)


def resize_labels(labels: np.ndarray, size: Size, policy: str = "stretch", fill: int = IGNORE_INDEX) -> np.ndarray:
    """Take the label at each new pixel's centre, on the grid of `resize_image`; uint8 or uint16 (H, W) to `size`.

    Args:
        fill: what the padding of a letterbox holds; 0 for the numbers of objects.
    """
    return _resize(labels, size, policy, Image.Resampling.NEAREST, fill)


def restore(values: np.ndarray, original_size: Size, policy: str = "stretch") -> np.ndarray:
    """Probabilities or logits back at a picture's own size: float32 (h, w, C) to (*original_size, C).

    Bilinear between pixel centres, not antialiased; beyond the outermost centres their values are repeated.
    BenchError for "crop": what was cut off has no values.
    """
    if policy == "crop":
        raise BenchError(
            "Pictures resized with --resize crop can't be brought back to their own size: their borders were cut off. "
            "Use --resize stretch or letterbox."
        )
    (top, left), (height, width) = _inner(original_size, values.shape[:2], policy)
    values = values[top : top + height, left : left + width]
    if values.shape[:2] == tuple(original_size):
        return values
    channels = values.shape[2]
    resized = cv2.resize(values, (original_size[1], original_size[0]), interpolation=cv2.INTER_LINEAR)
    return resized.reshape(*original_size, channels)  # OpenCV drops a single channel's axis


def _resize(array: np.ndarray, size: Size, policy: str, method: Image.Resampling, fill: int) -> np.ndarray:
    if array.shape[:2] == tuple(size):
        return array
    box = _box(array.shape[:2], size) if policy == "crop" else None
    (top, left), (height, width) = _inner(array.shape[:2], size, policy)
    inner = np.asarray(Image.fromarray(array).resize((width, height), method, box))
    if (height, width) == tuple(size):
        return inner
    padded = np.full((*size, *array.shape[2:]), fill, array.dtype)
    padded[top : top + height, left : left + width] = inner
    return padded


def _inner(original: Size, size: Size, policy: str) -> tuple[Size, Size]:
    """Where the picture lies within `size`: its first row and column, and its height and width there."""
    if policy not in RESIZES:
        raise BenchError(unknown_name_message("resize policy", policy, list(RESIZES), list(RESIZES)))
    if policy != "letterbox":
        return (0, 0), (size[0], size[1])
    scale = min(size[0] / original[0], size[1] / original[1])
    height, width = (max(1, round(side * scale)) for side in original)
    return ((size[0] - height) // 2, (size[1] - width) // 2), (height, width)


def _box(original: Size, size: Size) -> tuple[float, float, float, float]:
    """The centred part of a picture that has the aspect ratio of `size`: left, top, right, bottom, in its pixels."""
    scale = max(size[0] / original[0], size[1] / original[1])
    height, width = (min(float(old), new / scale) for old, new in zip(original, size, strict=True))
    top, left = (original[0] - height) / 2, (original[1] - width) / 2
    return left, top, min(float(original[1]), left + width), min(float(original[0]), top + height)
