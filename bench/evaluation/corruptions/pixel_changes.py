"""Corruptions of the values of pixels: noise, light, compression. Images are uint8 (H, W, 3), and so are results.

The formulas, and their amounts in corruption_table.py, are those of ImageNet-C (Hendrycks and Dietterich 2019,
arXiv:1903.12261).
"""

import io
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]


def gaussian_noise(image: Picture, deviation: float, rng: np.random.Generator, scale: float) -> Picture:
    """Add Gaussian noise to each value; `deviation` is a share of the range of values."""
    return as_picture(image / 255 + rng.normal(0, deviation, image.shape))


def brightness(image: Picture, amount: float, rng: np.random.Generator, scale: float) -> Picture:
    """Add `amount` to the value of HSV, which is in [0, 1]; hue and saturation stay."""
    hsv = cv2.cvtColor((image / 255).astype(np.float32), cv2.COLOR_RGB2HSV)
    hsv[..., 2] = np.clip(hsv[..., 2] + amount, 0, 1)
    return as_picture(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))


def contrast(image: Picture, factor: float, rng: np.random.Generator, scale: float) -> Picture:
    """Multiply each value's distance from the mean of its channel by `factor`."""
    values = image / 255
    mean = values.mean(axis=(0, 1), keepdims=True)
    return as_picture((values - mean) * factor + mean)


def jpeg(image: Picture, quality: int, rng: np.random.Generator, scale: float) -> Picture:
    """Compress as JPEG of that quality, with Pillow's defaults, and decode it again."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def pixelation(image: Picture, share: float, rng: np.random.Generator, scale: float) -> Picture:
    """Shrink both sides to `share` of their length and enlarge them again, each time with a box filter."""
    height, width = image.shape[:2]
    small = max(1, int(width * share)), max(1, int(height * share))
    shrunk = Image.fromarray(image).resize(small, Image.Resampling.BOX)
    return np.asarray(shrunk.resize((width, height), Image.Resampling.BOX))


def as_picture(values: NDArray[Any]) -> Picture:
    """Turn values into bytes, from what lies in [0, 1]; rounded, where ImageNet-C's code cuts off the fraction."""
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
