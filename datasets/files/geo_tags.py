"""Read from the tags of a GeoTIFF the value for no data, and the part of the map that the pixels cover.

Tags: OGC GeoTIFF standard 1.1 (19-008r4); GDAL_NODATA is GDAL's own.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.dataset_protocol import DataFault

_SCALE, _TIEPOINT, _TRANSFORMATION, _KEYS, _NODATA = 33550, 33922, 34264, 34735, 42113
_RASTER_TYPE, _POINT = 1025, 2  # the key for what a coordinate means, and its value for a pixel's centre
_WHOLE = re.compile(r"[+-]?[0-9]+")
_TOLERANCE = 0.51  # pixels: half a pixel is what area and point differ by


@dataclass(frozen=True)
class Extent:
    """The place of an image on the map."""

    size: tuple[int, int]  # height, width in pixels
    affine: np.ndarray  # (2, 3): the map's x and y are this times (column, row, 1)

    def corners(self) -> np.ndarray:
        """Return x and y of three corners, (3, 2): the upper left, the upper right and the lower left."""
        height, width = self.size
        return np.array([(0, 0, 1), (width, 0, 1), (0, height, 1)], np.float64) @ self.affine.T

    def text(self) -> str:
        """Say which part of the map it is."""
        (low_x, low_y), (high_x, high_y) = self.corners().min(axis=0), self.corners().max(axis=0)
        return f"x {low_x:.10g} to {high_x:.10g}, y {low_y:.10g} to {high_y:.10g}"


def nodata_of(tags: Any) -> float | None:
    """Return the value that stands for none; None without the tag, or where it is no number, or NaN, which is none.

    A whole number stays one, since float doesn't hold the highest of 64 bits.
    """
    text = str(_value(tags, _NODATA)).strip("\0 ").replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        return None
    if math.isnan(value):
        return None
    return int(text) if _WHOLE.fullmatch(text) and math.isfinite(value) else value


def extent_of(tags: Any, size: tuple[int, int]) -> Extent | None:
    """Return the extent of an image; None if its tags name none that can be computed."""
    matrix, scale, tie = (_numbers(tags, tag) for tag in (_TRANSFORMATION, _SCALE, _TIEPOINT))
    if len(matrix) == 16:
        affine = np.array([[matrix[0], matrix[1], matrix[3]], [matrix[4], matrix[5], matrix[7]]])
    elif len(scale) >= 2 and len(tie) == 6:
        column, row, _, x, y, _ = tie
        affine = np.array([[scale[0], 0, x - column * scale[0]], [0, -scale[1], y + row * scale[1]]])
    else:
        return None
    if _is_point(_numbers(tags, _KEYS)):
        affine[:, 2] -= affine[:, :2].sum(axis=1) / 2
    usable = np.isfinite(affine).all() and abs(np.linalg.det(affine[:, :2])) > 0
    return Extent(size, affine) if usable else None


def check_extents(mask: Path, found: Extent, image: Extent) -> None:
    """Raise DataFault if a mask's corners are more than half of the image's pixel away from the image's."""
    apart = (found.corners() - image.corners()) @ np.linalg.inv(image.affine[:, :2]).T
    if np.abs(apart).max() > _TOLERANCE:
        raise DataFault(
            f"{mask}: by its GeoTIFF tags the mask covers {found.text()}, its image {image.text()}. Cut both to the "
            "same extent, or remove the tags that are wrong.",
            "size",
        )


def _is_point(keys: Sequence[float]) -> bool:
    return any(keys[at] == _RASTER_TYPE and keys[at + 3] == _POINT for at in range(4, len(keys) - 3, 4))


def _value(tags: Any, code: int) -> Any:
    tag = tags.get(code)
    return None if tag is None else tag.value


def _numbers(tags: Any, code: int) -> tuple[float, ...]:
    value = _value(tags, code)
    return tuple(map(float, value)) if isinstance(value, tuple) else ()
