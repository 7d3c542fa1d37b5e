"""Augment images and labels together on the device: flip, rotation, zoom, shift and colours.

The random numbers are drawn on the host, so they are the same on every backend; `apply` is a pure function that is
traced into the train step. It computes the source position of each pixel and gathers flat rows, four for the image
(bilinear) and one for the labels (nearest). XLA compiles this on every backend, whereas Keras's RandomRotation turns
XLA off for the whole model, and ops.image.affine_transform fails under XLA with TensorFlow 2.21.
"""

import math
from typing import Any

import numpy as np
from keras import ops
from keras.backend import standardize_dtype
from numpy.typing import NDArray

from bench.core.recipe.augment_text import NOTHING, Augmentation, parse_augment

Tensor = Any  # the backend's tensor type


def draw(augmentation: str, rng: np.random.Generator, batch_size: int) -> NDArray[np.float32]:
    """Draw the random numbers of a batch, on the host.

    Args:
        augmentation: its text, see bench/core/recipe/augment_text.py.

    Returns:
        float32 (batch_size, 4): flip (0 or 1), rotation (radians), brightness, contrast; or (batch_size, 8): these,
        zoom (logarithm of the factor), shift down and to the right (fractions of the sides), saturation. All zeros
        change nothing. For no augmentation the shape is (batch_size, 0), and `apply` only converts the types.

    Raises:
        BenchError: the text is no augmentation.
    """
    limits = parse_augment(augmentation)
    if limits == NOTHING:
        return np.zeros((batch_size, 0), np.float32)
    spans = _spans(limits)
    draws = rng.uniform(-1, 1, (batch_size, len(spans))) * spans
    draws[:, 0] = rng.uniform(size=batch_size) < limits.flip
    return draws.astype(np.float32)


def _spans(limits: Augmentation) -> list[float]:
    """Return the largest draws in the order of `draw`'s columns; the last four are left out if all are zero."""
    first = [1.0, math.radians(limits.rotation), limits.brightness, limits.contrast]
    more = [math.log(limits.zoom), limits.shift, limits.shift, limits.saturation]
    return [*first, *more] if any(more) else first


def apply(images: Tensor, labels: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
    """Augment a batch by its draws.

    Args:
        images: uint8 or uint16 (B, H, W, C).
        labels: uint8 (B, H, W).
        draws: float32 (B, 0), (B, 4) or (B, 8), from `draw`.

    Returns:
        Images float32 (B, H, W, C) in [0, 1], and labels int32 (B, H, W) that have only values of the given labels.
        Pixels from outside the image are reflected at its border.
    """
    if draws.shape[1] == 0:
        return to_float(images), ops.cast(labels, "int32")
    y, x = _sources(labels.shape, draws)
    return _colour(_bilinear(images, y, x), draws), _nearest(labels, y, x)


def to_float(images: Tensor) -> Tensor:
    """Convert images uint8 or uint16 (..., C) to float32 in [0, 1], the input of the models."""
    return ops.cast(images, "float32") * _unit(images)


def _unit(images: Tensor) -> float:
    """Return the number by which values become those in [0, 1]."""
    return 1 / 255 if _is_bytes(images) else 1 / 65535


def _is_bytes(images: Tensor) -> bool:
    return bool(standardize_dtype(images.dtype) == "uint8")


def _sources(shape: tuple[int, ...], draws: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the source position of each pixel: y and x, float32 (B, H, W), in pixels, possibly outside the image.

    Coordinates are relative to the centre, so that with zero draws they are exact whole numbers.
    """
    _, height, width = shape
    flip, angle = draws[:, 0], draws[:, 1]
    y0, x0 = (height - 1) / 2, (width - 1) / 2
    y = ops.reshape(ops.arange(height, dtype="float32") - y0, (1, height, 1))
    x = ops.reshape(ops.arange(width, dtype="float32") - x0, (1, 1, width))
    cos, sin, sign = (ops.reshape(v, (-1, 1, 1)) for v in (ops.cos(angle), ops.sin(angle), 1 - 2 * flip))
    rows, columns = cos * y - sin * x, sign * (sin * y + cos * x)
    if draws.shape[1] > 4:
        zoom, down, right = (ops.reshape(draws[:, i], (-1, 1, 1)) for i in (4, 5, 6))
        rows, columns = rows * ops.exp(-zoom) - down * height, columns * ops.exp(-zoom) - sign * right * width
    return rows + y0, columns + x0


def _bilinear(images: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Interpolate images, uint8 or uint16, bilinearly at the given positions: (B, H, W, C) to float32 in [0, 1]."""
    top, left = ops.floor(y), ops.floor(x)
    down, right = (y - top)[..., None], (x - left)[..., None]
    rows = [_reflect(top + i, images.shape[1]) for i in (0, 1)]
    columns = [_reflect(left + i, images.shape[2]) for i in (0, 1)]
    flat = ops.reshape(images if _is_bytes(images) else ops.cast(images, "float32"), (-1, images.shape[3]))
    taps = [[ops.cast(ops.take(flat, _index(r, c), axis=0), "float32") for c in columns] for r in rows]
    above, below = (one + (other - one) * right for one, other in taps)
    return (above + (below - above) * down) * _unit(images)


def _nearest(labels: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Take the label of the pixel nearest to each position: uint8 (B, H, W) to int32 (B, H, W)."""
    rows = _reflect(ops.floor(y + 0.5), labels.shape[1])
    columns = _reflect(ops.floor(x + 0.5), labels.shape[2])
    return ops.cast(ops.take(ops.reshape(labels, (-1,)), _index(rows, columns), axis=0), "int32")


def _reflect(position: Tensor, size: int) -> Tensor:
    """Reflect whole positions at the border once (d c b a | a b c d | d c b a); beyond that, repeat the edge."""
    folded = ops.minimum(ops.maximum(position, -1 - position), 2 * size - 1 - position)
    return ops.cast(ops.clip(folded, 0, size - 1), "int32")


def _index(rows: Tensor, columns: Tensor) -> Tensor:
    """Turn rows and columns (B, H, W) into positions in the flattened batch, int32 (B, H, W)."""
    batch, height, width = rows.shape
    first = ops.reshape(ops.arange(batch, dtype="int32") * (height * width), (-1, 1, 1))
    return first + rows * width + columns


def _colour(images: Tensor, draws: Tensor) -> Tensor:
    """Change saturation, contrast and brightness, and clip to [0, 1]; zero draws leave every bit as it is.

    Saturation changes where there are three bands. Contrast and brightness change all bands alike: they give
    (images - 0.5) * (1 + contrast) + 0.5 + brightness.
    """
    brightness, contrast = (ops.reshape(draws[:, i], (-1, 1, 1, 1)) for i in (2, 3))
    if draws.shape[1] > 4 and images.shape[-1] == 3:
        grey = ops.mean(images, axis=-1, keepdims=True)
        images = images + ops.reshape(draws[:, 7], (-1, 1, 1, 1)) * (images - grey)
    return ops.clip(images * (1 + contrast) + (brightness - 0.5 * contrast), 0.0, 1.0)
