"""Bands: scenes of six bands in 12 bits, drawn by code, whose classes show in band five alone; nothing to download.

Made for segbench. Splits: 200 train, 40 val, 60 test. Labels: 0 background, 1 bright field, 2 dark field.

Bands 1, 2 and 3 are a scene of `shapes`, and bands 4 and 6 are of another: full of objects, all in other places than
the fields. Band 5 has a noisy ground, and fields that are brighter or darker than it. So a model that gets bands 1 to 3
can't find a field, and one that gets band 5 can: it is a test that all bands arrive.

An image depends only on its name and size; as in `shapes`, only operations with exact rounding are used.
"""

from pathlib import Path

import numpy as np

from bench.datasets import shapes
from bench.datasets.drawn import Drawn, drawn

COUNTS = {"train": 200, "val": 40, "test": 60}
NATIVE_SIZE = (96, 96)  # height, width in pixels of the images from `read`
_VERSION = "bands-1"  # changed whenever the images change
_BRIGHT, _DARK = 1, 2
_LARGEST = 4095  # of 12 bits
_GROUND = (1700.0, 2300.0)  # mean of band 5 in an image
_STEP = (500.0, 900.0)  # by which a field differs from it
_NOISE = 400.0  # the range of each pixel's noise in band 5


def load(data_dir: Path | None) -> Drawn:
    """Load the data set; `data_dir` is not needed and ignored."""
    return drawn(_VERSION, COUNTS, NATIVE_SIZE, draw)


def draw(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Draw one scene: image uint16 (H, W, 6), labels uint8 (H, W)."""
    first, second = (_deep(shapes.draw(rng, size)[0], rng) for _ in range(2))
    telling, labels = _fields(rng, size)
    return np.dstack([first, second[..., 0], telling, second[..., 1]]), labels


def _deep(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Spread 8 bits over 12: uint8 (H, W, 3) to uint16, with random lowest bits."""
    return image.astype(np.uint16) * 16 + rng.integers(0, 16, image.shape, np.uint16)


def _fields(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Draw band 5, uint16 (H, W), and where its fields are, uint8 (H, W)."""
    band = np.full(size, rng.uniform(*_GROUND), np.float64)
    labels = np.zeros(size, np.uint8)
    ground = float(band[0, 0])
    for _ in range(int(rng.integers(2, 5))):
        label = int(rng.integers(_BRIGHT, _DARK + 1))
        inside = _ellipse(rng, size)
        band[inside] = ground + rng.uniform(*_STEP) * (1 if label == _BRIGHT else -1)
        labels[inside] = label
    band += (rng.random(size) - 0.5) * _NOISE
    return np.clip(band, 0, _LARGEST).astype(np.uint16), labels


def _ellipse(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draw an ellipse, bool (H, W), of half axes from 0.12 to 0.28 of the sides."""
    y, x = (
        (np.arange(side) + 0.5 - place * side) / ((0.12 + 0.16 * half) * side)
        for side, place, half in zip(size, rng.random(2), rng.random(2), strict=True)
    )
    return y[:, None] * y[:, None] + x * x < 1
