"""Shapes: coloured objects on textured ground, drawn by code; nothing to download.

Made for segbench. Splits: 400 train, 40 val, 100 test. Labels: 0 background, 1 disk, 2 square, 3 triangle, 4 ring.

Ground and strokes are greyish, objects have any strong colour: no linear function of a pixel's colour separates the
two, and only an object's form shows its class. Later objects hide parts of earlier ones; a ring's hole shows what lies
behind. All have textures, and every pixel has noise.

An image depends only on its name and size. Only uniform draws and operations with exact IEEE 754 rounding (+ - * /,
square root, comparison) are used, so that it is the same on every machine: no sin, exp or normal draws.
"""

import math
from pathlib import Path

import numpy as np
from PIL import Image

from bench.datasets.drawn import Drawn, drawn

COUNTS = {"train": 400, "val": 40, "test": 100}
NATIVE_SIZE = (160, 160)  # height, width in pixels of the images from `read`
_VERSION = "shapes-1"  # changed whenever the images change
_DISK, _SQUARE, _TRIANGLE, _RING = 1, 2, 3, 4
_GREYISH = 30.0  # largest difference between the channels of a ground or stroke colour
_STRONG = 90.0  # smallest difference between the channels of an object colour


def load(data_dir: Path | None) -> Drawn:
    """Load the data set; `data_dir` is not needed and ignored."""
    return drawn(_VERSION, COUNTS, NATIVE_SIZE, draw)


def draw(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Draw one scene: image uint8 (H, W, 3), labels uint8 (H, W)."""
    image = _textured(rng, _greyish(rng), size)
    labels = np.zeros(size, np.uint8)
    for _ in range(int(rng.integers(3, 6))):
        _paint(image, _stroke(rng, size), _greyish(rng))
    for _ in range(int(rng.integers(3, 7))):
        class_id = int(rng.integers(_DISK, _RING + 1))
        window, mask = _object(rng, class_id, size)
        fill = _textured(rng, _strong(rng), mask.shape)
        _paint(image[window], mask, fill)
        labels[window][mask] = class_id
    image += (rng.random(image.shape, np.float32) - 0.5) * 40
    return np.clip(image, 0, 255).astype(np.uint8), labels


def _object(rng: np.random.Generator, class_id: int, size: tuple[int, int]) -> tuple[tuple[slice, slice], np.ndarray]:
    """Draw an object: its window in the image and its mask there. Its radius is 0.12 to 0.26 of the shorter side."""
    radius = (0.12 + 0.14 * rng.random()) * min(size)
    center = (0.08 + 0.84 * rng.random(2)) * size
    rows, columns = (
        slice(max(0, int(c - radius * 1.5)), min(extent, int(c + radius * 1.5) + 1))
        for c, extent in zip(center, size, strict=True)
    )
    window = rows, columns
    y, x = ((np.arange(s.start, s.stop) + 0.5 - c) / radius for s, c in zip(window, center, strict=True))
    cosine, sine = _direction(rng)
    u, v = x * cosine + y[:, None] * sine, y[:, None] * cosine - x * sine
    return window, _mask(class_id, u, v, hole=0.5 + 0.15 * rng.random())


def _mask(class_id: int, u: np.ndarray, v: np.ndarray, hole: float) -> np.ndarray:
    """Draw an object of radius about 1 in its own coordinates; the four shapes have similar areas."""
    if class_id == _DISK:
        return u * u + v * v < 1
    if class_id == _SQUARE:
        return np.maximum(np.abs(u), np.abs(v)) < 0.89
    if class_id == _TRIANGLE:
        side = 0.5 * u - 0.8660254037844386 * v, 0.5 * u + 0.8660254037844386 * v, -u
        return np.maximum(np.maximum(side[0], side[1]), side[2]) < 0.75
    distance = u * u + v * v
    return (distance < 1.2) & (distance > hole * hole * 1.2)


def _stroke(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draw a straight band across the image, bool (H, W)."""
    y, x = (np.arange(extent) + 0.5 - place * extent for extent, place in zip(size, rng.random(2), strict=True))
    cosine, sine = _direction(rng)
    return np.abs(x * cosine + y[:, None] * sine) < (0.01 + 0.03 * rng.random()) * min(size)


def _paint(image: np.ndarray, mask: np.ndarray, fill: np.ndarray) -> None:
    np.copyto(image, fill, where=mask[..., None])


def _textured(rng: np.random.Generator, color: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Draw a colour with light and dark spots, float32 (H, W, 3)."""
    cells = int(rng.integers(3, 12))
    coarse = Image.fromarray(rng.integers(0, 256, (cells, cells), dtype=np.uint8))
    shade = np.asarray(coarse.resize((size[1], size[0]), Image.Resampling.BILINEAR), np.float32) - 127.5
    return color.astype(np.float32) + (shade * np.float32(0.15 + 0.3 * rng.random()))[..., None]


def _greyish(rng: np.random.Generator) -> np.ndarray:
    """Choose a colour near grey, RGB, float64 (3,)."""
    return 40 + 160 * rng.random() + _GREYISH * rng.random(3)


def _strong(rng: np.random.Generator) -> np.ndarray:
    """Choose a colour far from grey, RGB, float64 (3,)."""
    while True:
        color = 30 + 195 * rng.random(3)
        if color.max() - color.min() > _STRONG:
            return color


def _direction(rng: np.random.Generator) -> tuple[float, float]:
    """Choose a unit vector."""
    while True:
        x, y = (2 * rng.random(2) - 1).tolist()
        length = math.sqrt(x * x + y * y)
        if 0.1 < length < 1:
            return x / length, y / length
