"""Draw annotated shapes as labels.

Coordinates are pixels from the image's upper left corner: the pixel in row r and column c covers [c, c + 1) x
[r, r + 1). A polygon covers the pixels whose centres lie inside it, by the even-odd rule; fills that also paint every
pixel that the outline touches, such as OpenCV's and Pillow's, make each object half a pixel larger all around. A line
is one pixel wide. What lies outside the image is cut off.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image, ImageDraw

from bench.core.specs import IGNORE_INDEX
from bench.datasets.layout import Size

Point = tuple[float, float]  # x, y
Bounds = tuple[float, float, float, float]  # left, top, right, bottom
_LARGEST = 1e6  # pixels; a larger coordinate is a fault of the file
_CORNERS = 360  # of the polygon that stands for an ellipse: at a radius of 1000 pixels it is 0.04 pixels off


@dataclass(frozen=True)
class Region:
    """The pixels of one shape, inside the image."""

    top: int
    left: int
    mask: np.ndarray  # bool (h, w)


class Form(Protocol):
    """A shape that can be drawn; ValueError says what is wrong with it."""

    @property
    def bounds(self) -> Bounds:
        """The box around the shape."""

    def region(self, size: Size) -> Region:
        """Return the shape's pixels in an image of the given size."""


@dataclass(frozen=True)
class Polygon:
    """A closed outline."""

    points: Sequence[Point]

    @property
    def bounds(self) -> Bounds:
        return _around(self.points)

    def region(self, size: Size) -> Region:
        points = _checked(self.points)
        left, top, right, bottom = _window(self.bounds, size)
        (x, y), (x_next, y_next) = points.T, np.roll(points, -1, axis=0).T
        # An edge crosses the rows whose centre line lies between its ends.
        first, end = (np.clip(np.ceil(f(y, y_next) - 0.5), top, bottom).astype(int) for f in (np.minimum, np.maximum))
        counts = end - first
        edge = np.repeat(np.arange(len(points)), counts)
        rows = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts - first, counts)
        share = (rows + 0.5 - y[edge]) / (y_next - y)[edge]
        crossings = x[edge] + share * (x_next - x)[edge]
        columns = np.clip(np.ceil(crossings - 0.5), left, right).astype(int)
        # Each crossing toggles all the pixels to its right; the last column takes the crossings beyond the window.
        toggles = np.zeros((bottom - top, right - left + 1), np.uint8)
        np.add.at(toggles, (rows - top, columns - left), 1)
        inside = np.cumsum(toggles, axis=1, dtype=np.uint8)[:, :-1] % 2 == 1
        return Region(top, left, inside)


@dataclass(frozen=True)
class Line:
    """Straight pieces between points, one pixel wide."""

    points: Sequence[Point]

    @property
    def bounds(self) -> Bounds:
        return _around(self.points)

    def region(self, size: Size) -> Region:
        points = np.floor(_checked(self.points)).astype(int)
        left, top, right, bottom = _window((*points.min(0), *(points.max(0) + 1)), size)
        canvas = Image.new("1", (max(right - left, 1), max(bottom - top, 1)))
        ImageDraw.Draw(canvas).line([(int(x), int(y)) for x, y in points - (left, top)], fill=1)
        return Region(top, left, np.array(canvas)[: bottom - top, : right - left])


@dataclass(frozen=True)
class Bitmap:
    """A mask in a box; `decode` returns it, bool (height, width), when it is drawn."""

    left: int
    top: int
    size: Size
    decode: Callable[[], np.ndarray]

    @property
    def bounds(self) -> Bounds:
        return self.left, self.top, self.left + self.size[1], self.top + self.size[0]

    def region(self, size: Size) -> Region:
        left, top, right, bottom = _window(self.bounds, size)
        mask = self.decode()
        if mask.shape != self.size:
            raise ValueError(f"its mask has {mask.shape} pixels in its box of {self.size}")
        return Region(top, left, mask[top - self.top : bottom - self.top, left - self.left : right - self.left])


def box(left: float, top: float, right: float, bottom: float) -> Polygon:
    """Return an upright rectangle from two opposite corners."""
    return Polygon(((left, top), (right, top), (right, bottom), (left, bottom)))


def ellipse(x: float, y: float, x_radius: float, y_radius: float) -> Polygon:
    """Return an upright ellipse from its centre and radii."""
    angles = [2 * math.pi * corner / _CORNERS for corner in range(_CORNERS)]
    return Polygon([(x + x_radius * math.cos(angle), y + y_radius * math.sin(angle)) for angle in angles])


def rotated(shape: Polygon, degrees: float, around: Point) -> Polygon:
    """Return a polygon turned clockwise, as seen on the screen, around a point."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = around
    shifted = [(one - x, other - y) for one, other in shape.points]
    return Polygon([(x + one * cosine - other * sine, y + one * sine + other * cosine) for one, other in shifted])


def alternating(counts: Sequence[int], size: Size) -> np.ndarray:
    """Decode run lengths that alternate between outside and inside, beginning outside, to a flat bool (H * W,)."""
    pixels = size[0] * size[1]
    if not all(type(count) is int and count >= 0 for count in counts) or sum(counts) != pixels:
        raise ValueError(f"its run lengths must be whole numbers with the sum {pixels}, the pixels of {_shown(size)}")
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts)


def draw(shapes: Iterable[tuple[int, Region]], size: Size, *, largest_first: bool = False) -> np.ndarray:
    """Draw regions as their labels on background 0, uint8 (H, W); a later one lies over an earlier one.

    Args:
        largest_first: sort by area, so that small objects lie over large ones, and all objects over what is ignored.
    """
    regions = list(shapes)
    if largest_first:
        regions.sort(key=lambda found: (found[0] != IGNORE_INDEX, -np.count_nonzero(found[1].mask)))
    labels = np.zeros(size, np.uint8)
    for label, region in regions:
        height, width = region.mask.shape
        labels[region.top : region.top + height, region.left : region.left + width][region.mask] = label
    return labels


def is_outside(bounds: Bounds, size: Size) -> bool:
    """Return whether a box has no part in an image."""
    left, top, right, bottom = bounds
    return right <= 0 > left or bottom <= 0 > top or left >= size[1] or top >= size[0]


def _shown(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _around(points: Sequence[Point]) -> Bounds:
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _checked(points: Sequence[Point]) -> np.ndarray:
    found = np.array(points, np.float64)
    if not (np.abs(found) <= _LARGEST).all():
        worst = found.flat[np.argmin(np.abs(found) <= _LARGEST)]
        raise ValueError(f"the coordinate {worst:g} is no place in an image")
    return found


def _window(bounds: Bounds, size: Size) -> tuple[int, int, int, int]:
    """Return the whole pixels around a box, inside the image: left, top, right, bottom."""
    height, width = size
    left, right = (min(max(edge, 0), width) for edge in (math.floor(bounds[0]), math.ceil(bounds[2])))
    top, bottom = (min(max(edge, 0), height) for edge in (math.floor(bounds[1]), math.ceil(bounds[3])))
    return left, top, right, bottom
