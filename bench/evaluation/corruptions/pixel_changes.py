"""Corruptions of the values of pixels: noise, light, compression. Images are a pack's, and so are results.

The formulas, and their amounts in corruption_table.py, are those of ImageNet-C (Hendrycks and Dietterich 2019,
arXiv:1903.12261). They are of values in [0, 1], which bytes and 16 bits become by their range; a band is what a channel
is there.
"""

import io
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8] | NDArray[np.uint16]  # (H, W, C)


def gaussian_noise(image: Picture, deviation: float, rng: np.random.Generator, scale: float) -> Picture:
    """Add Gaussian noise to each value; `deviation` is a share of the range of values."""
    return as_picture(unit(image) + rng.normal(0, deviation, image.shape), image)


def brightness(image: Picture, amount: float, rng: np.random.Generator, scale: float) -> Picture:
    """Add `amount` to the value of HSV, which is in [0, 1]; hue and saturation stay.

    The value is a pixel's greatest one, and with hue and saturation the ratios of its channels stay. So it is of other
    bands than RGB, too: a pixel is multiplied, and what is black becomes grey.
    """
    if image.shape[-1] == 3:
        hsv = cv2.cvtColor(unit(image).astype(np.float32), cv2.COLOR_RGB2HSV)
        hsv[..., 2] = np.clip(hsv[..., 2] + amount, 0, 1)
        return as_picture(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), image)
    values = unit(image)
    value = values.max(axis=-1, keepdims=True)
    ratios = np.divide(values, value, out=np.ones_like(values), where=value > 0)
    return as_picture(ratios * np.clip(value + amount, 0, 1), image)


def contrast(image: Picture, factor: float, rng: np.random.Generator, scale: float) -> Picture:
    """Multiply each value's distance from the mean of its channel by `factor`."""
    values = unit(image)
    mean = values.mean(axis=(0, 1), keepdims=True)
    return as_picture((values - mean) * factor + mean, image)


def jpeg(image: Picture, quality: int, rng: np.random.Generator, scale: float) -> Picture:
    """Compress 8-bit RGB as JPEG of that quality, with Pillow's defaults, and decode it again."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def pixelation(image: Picture, share: float, rng: np.random.Generator, scale: float) -> Picture:
    """Shrink both sides to `share` of their length and enlarge them again, each time with a box filter."""
    height, width = image.shape[:2]
    small = max(1, int(width * share)), max(1, int(height * share))

    def blocks(pixels: NDArray[Any]) -> NDArray[Any]:
        shrunk = Image.fromarray(pixels).resize(small, Image.Resampling.BOX)
        return np.asarray(shrunk.resize((width, height), Image.Resampling.BOX))

    if is_rgb(image):
        return blocks(image)
    kind = np.uint8 if image.dtype == np.uint8 else np.float32
    bands = [blocks(np.ascontiguousarray(image[..., band], kind)) for band in range(image.shape[-1])]
    return np.rint(np.stack(bands, axis=-1)).astype(image.dtype)


def is_rgb(image: Picture) -> bool:
    """Tell whether an image is 8-bit RGB."""
    return image.dtype == np.uint8 and image.shape[-1] == 3


def bands_of(values: NDArray[Any]) -> NDArray[Any]:
    """Give OpenCV's answer the axis of a single band, which it drops: (H, W) to (H, W, 1)."""
    return values if values.ndim == 3 else values[..., None]


def unit(image: Picture) -> NDArray[np.float64]:
    """Return an image's values as a model gets them, in [0, 1]."""
    return image / np.iinfo(image.dtype).max


def as_picture(values: NDArray[Any], like: Picture) -> Picture:
    """Turn what lies in [0, 1] into the type of an image; rounded, where ImageNet-C's code cuts off the fraction."""
    made: Picture = np.rint(np.clip(values, 0, 1) * np.iinfo(like.dtype).max).astype(like.dtype)
    return made
