"""Blurs by the formulas of ImageNet-C (Hendrycks and Dietterich 2019, arXiv:1903.12261).

Their lengths are in pixels of images with a side of 224 pixels; `scale` is the side of the image at hand as a multiple
of that. Images are a pack's, and so are results.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.evaluation.corruptions.pixel_changes import Picture, as_picture, bands_of, unit

_DISK_SIDE = 8  # pixels from the centre of a disk's grid to its edge, unless the disk is larger
_ANGLES = (-45.0, 45.0)  # degrees of motion


def gaussian_blur(image: Picture, deviation: float, rng: np.random.Generator, scale: float) -> Picture:
    """Blur by a Gaussian with that standard deviation in pixels, cut off at four of them."""
    side = 2 * round(4 * deviation * scale) + 1
    blurred = cv2.GaussianBlur(unit(image), (side, side), deviation * scale, borderType=cv2.BORDER_REPLICATE)
    return as_picture(bands_of(blurred), image)


def defocus_blur(image: Picture, shape: tuple[float, float], rng: np.random.Generator, scale: float) -> Picture:
    """Blur by a disk: its radius, and the standard deviation of the Gaussian that smooths its edge, in pixels."""
    return as_picture(bands_of(cv2.filter2D(unit(image), -1, disk(*shape, scale))), image)


def motion_blur(image: Picture, shape: tuple[float, float], rng: np.random.Generator, scale: float) -> Picture:
    """Blur along a random direction, as ImageMagick does: radius and standard deviation in pixels."""
    kernel = line(shape[0] * scale, shape[1] * scale, rng.uniform(*_ANGLES))
    return as_picture(bands_of(cv2.filter2D(unit(image), -1, kernel, borderType=cv2.BORDER_REPLICATE)), image)


def disk(radius: float, edge: float, scale: float) -> NDArray[np.float64]:
    """Make the kernel of a disk, (2 k + 1, 2 k + 1), which sums to 1; at another scale it is resized by area."""
    reach, side = (_DISK_SIDE, 3) if radius <= _DISK_SIDE else (int(radius), 5)
    places = np.arange(-reach, reach + 1)
    inside = (places[:, None] ** 2 + places**2 <= radius**2).astype(np.float64)
    smooth = cv2.GaussianBlur(inside / inside.sum(), (side, side), edge)
    if scale != 1:
        size = 2 * round(reach * scale) + 1
        smooth = cv2.resize(smooth, (size, size), interpolation=cv2.INTER_AREA)
    return smooth / smooth.sum()


def line(radius: float, deviation: float, angle: float) -> NDArray[np.float64]:
    """Make the kernel of ImageMagick's motion blur: half a Gaussian from the centre along a direction in degrees."""
    width = 2 * math.ceil(radius) + 1
    weights = np.exp(-(np.arange(width) ** 2) / (2 * deviation**2))
    kernel = np.zeros((2 * width - 1, 2 * width - 1))
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    for step, weight in enumerate(weights / weights.sum()):
        right, down = (math.ceil(step * part - 0.5) for part in (cosine, sine))
        kernel[width - 1 + down, width - 1 + right] += weight
    return kernel
