"""Resize an image and its labels to the pack's size, and probabilities back to the native size.

Pixels are areas whose centres lie at halves, for images, labels and the way back. Three policies handle a different
aspect ratio:

    stretch     height and width are scaled separately: nothing is lost, shapes are distorted
    letterbox   scaled to fit, centred and padded: black in the image, ignored in the labels
    crop        scaled to cover and centred; the parts beyond the border are cut off
"""

from dataclasses import replace

import cv2
import numpy as np
from PIL import Image

from bench.core.errors import BenchError
from bench.core.registry import unknown_name_message
from bench.core.specs import IGNORE_INDEX, RESIZES
from bench.data.reading.picture import Picture, Size
from bench.data.reading.values import Values

_LEAST = 128  # pixels along a side of a reduced image: twice what duplicates.py looks at


def reduction(original: Size, size: Size, policy: str = "stretch") -> int:
    """Return how many times smaller an image may be decoded: it stays twice as large as what it is resized to."""
    _, inner = inner_box(original, size, policy)
    return max(1, min(old // max(2 * new, _LEAST) for old, new in zip(original, inner, strict=True)))


def resize_image(image: np.ndarray, size: Size, policy: str = "stretch") -> np.ndarray:
    """Resize an image of a pack, uint8 or uint16 (H, W, C) to (*size, C), by bilinear interpolation.

    It is antialiased when shrinking.
    """
    if image.shape[:2] == tuple(size):
        return image
    as_it_is = Values(image.shape[2], image.dtype.name)
    return resize_picture(replace(Picture.of(image), values=as_it_is), size, policy)


def resize_picture(picture: Picture, size: Size, policy: str = "stretch") -> np.ndarray:
    """Do the same as `resize_image` for a picture, whatever fraction of its size it was decoded at.

    Values other than 8-bit RGB become what `Picture.values` says, after they were resized.
    """
    return _resize(picture, size, policy, Image.Resampling.BILINEAR, fill=0)


def resize_labels(labels: np.ndarray, size: Size, policy: str = "stretch", fill: int = IGNORE_INDEX) -> np.ndarray:
    """Resize labels, uint8 or uint16 (H, W) to `size`, on the grid of `resize_image`: take those at the pixel centres.

    Args:
        fill: the value of a letterbox's padding; 0 for numbered objects.
    """
    if labels.shape == tuple(size):
        return labels
    return _resize(Picture.of(labels), size, policy, Image.Resampling.NEAREST, fill)


def restore(values: np.ndarray, original_size: Size, policy: str = "stretch") -> np.ndarray:
    """Resize probabilities or logits back to an image's native size: float32 (h, w, C) to (*original_size, C).

    Values are bilinear between pixel centres, not antialiased, and repeated beyond the outermost centres.

    Raises:
        BenchError: the policy is "crop", since the cut-off parts have no values.
    """
    if policy == "crop":
        raise BenchError(
            "Images resized with --resize crop can't be restored to their native size: their borders were cut off. "
            "Use --resize stretch or letterbox."
        )
    (top, left), (height, width) = inner_box(original_size, values.shape[:2], policy)
    values = values[top : top + height, left : left + width]
    if values.shape[:2] == tuple(original_size):
        return values
    channels = values.shape[2]
    resized = cv2.resize(values, (original_size[1], original_size[0]), interpolation=cv2.INTER_LINEAR)
    return resized.reshape(*original_size, channels)  # OpenCV drops a single channel's axis


def _resize(picture: Picture, size: Size, policy: str, method: Image.Resampling, fill: int) -> np.ndarray:
    original, scale = picture.size, picture.scale
    (top, left), (height, width) = inner_box(original, size, policy)
    box = _box(original, size) if policy == "crop" else (0.0, 0.0, float(original[1]), float(original[0]))
    part = (box[0] / scale, box[1] / scale, box[2] / scale, box[3] / scale)  # of the pixels that were decoded
    if isinstance(picture.pixels, Image.Image):
        inner = np.asarray(picture.pixels.resize((width, height), method, part))
        inner = picture.values.packed(inner) if picture.values.low else inner
    else:
        inner = picture.values.packed(_resized_bands(picture, (width, height), method, part))
    if (height, width) == tuple(size):
        return inner
    padded = np.full((*size, *inner.shape[2:]), fill, inner.dtype)
    padded[top : top + height, left : left + width] = inner
    return padded


def _resized_bands(
    picture: Picture, size: tuple[int, int], method: Image.Resampling, part: tuple[float, float, float, float]
) -> np.ndarray:
    """Resize each band by itself: bytes as Pillow does a grey picture, deeper values as float32."""
    pixels = picture.filled()
    if size == pixels.shape[1::-1] and part == (0.0, 0.0, *map(float, size)):
        return pixels
    pixels = pixels if pixels.dtype == np.uint8 else pixels.astype(np.float32)
    bands = (Image.fromarray(np.ascontiguousarray(pixels[..., band])) for band in range(picture.bands))
    return np.stack([np.asarray(band.resize(size, method, part)) for band in bands], axis=-1)


def inner_box(original: Size, size: Size, policy: str) -> tuple[Size, Size]:
    """Return the position of the resized image within `size`: its first row and column, and its height and width."""
    if policy not in RESIZES:
        raise BenchError(unknown_name_message("resize policy", policy, list(RESIZES), list(RESIZES)))
    if policy != "letterbox":
        return (0, 0), (size[0], size[1])
    scale = min(size[0] / original[0], size[1] / original[1])
    height, width = (max(1, round(side * scale)) for side in original)
    return ((size[0] - height) // 2, (size[1] - width) // 2), (height, width)


def _box(original: Size, size: Size) -> tuple[float, float, float, float]:
    """Return the centred part of an image with the aspect ratio of `size`: left, top, right, bottom, in its pixels."""
    scale = max(size[0] / original[0], size[1] / original[1])
    height, width = (min(float(old), new / scale) for old, new in zip(original, size, strict=True))
    top, left = (original[0] - height) / 2, (original[1] - width) / 2
    return left, top, min(float(original[1]), left + width), min(float(original[0]), top + height)
