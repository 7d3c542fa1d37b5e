"""A decoded picture, at its own size or at a whole fraction of it, and a sample as a pack reads it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from bench.core.dataset_protocol import DataFault
from bench.data.reading.values import Values

Size = tuple[int, int]  # height, width in pixels
Reduce = Callable[[Size], int]  # tells how many times smaller a picture of a size may be decoded
_RGB = Values()


def whole(size: Size) -> int:
    """Ask for a picture at its own size."""
    return 1


@dataclass(frozen=True)
class Picture:
    """A picture, or labels.

    8-bit RGB and labels stay Pillow's, since each change to an array and back is a copy; other bands are an array.
    """

    pixels: Image.Image | np.ndarray  # an array: uint8, uint16 or float32 (H, W, C), never 8-bit RGB
    size: Size  # of the whole picture in its file, whatever it was decoded at
    scale: int = 1  # the picture was decoded at this fraction of its size: 1, 2, 4 or 8
    missing: np.ndarray | None = None  # where a band has no value, bool (H, W); None: nowhere
    values: Values = _RGB  # what becomes of them in a pack

    @classmethod
    def of(cls, image: np.ndarray, missing: np.ndarray | None = None) -> "Picture":
        """Take an image, uint8, uint16 or float32 (H, W, C), or labels, uint8 or uint16 (H, W).

        Args:
            missing: where a band has no value, bool (H, W); NaN and infinity are none anyway.
        """
        size = (image.shape[0], image.shape[1])
        if image.ndim == 2:
            return cls(Image.fromarray(image), size)
        if image.dtype == np.float32 and not (finite := np.isfinite(image).all(axis=-1)).all():
            missing = ~finite if missing is None else missing | ~finite
        missing = missing if missing is not None and missing.any() else None
        if image.dtype == np.uint8 and image.shape[2] == 3:
            return cls(Image.fromarray(image), size, missing=missing)
        return cls(image, size, missing=missing)

    @property
    def bands(self) -> int:
        """The number of bands."""
        return 3 if isinstance(self.pixels, Image.Image) else int(self.pixels.shape[2])

    @property
    def kind(self) -> str:
        """The type of the values, as NumPy names it."""
        return "uint8" if isinstance(self.pixels, Image.Image) else self.pixels.dtype.name

    def array(self) -> np.ndarray:
        """Return the decoded pixels, (h, w, C), which can be written to."""
        return np.array(self.pixels)

    def filled(self) -> np.ndarray:
        """Return the pixels of an array, in which what has no value becomes what a pack has as 0."""
        pixels = np.asarray(self.pixels)
        if self.missing is None:
            return pixels
        return np.where(self.missing[..., None], self.values.floor().astype(pixels.dtype), pixels)

    def choose(self, bands: tuple[int, ...], place: object) -> "Picture":
        """Keep some bands, in that order; raise DataFault, which begins with `place`, if one isn't there."""
        if not bands or bands == tuple(range(self.bands)):
            return self
        if max(bands) >= self.bands:
            raise DataFault(f"{place}: {missing_band(max(bands), self.bands)}", "depth")
        chosen = Picture.of(np.ascontiguousarray(self.array()[..., list(bands)]))
        return replace(self, pixels=chosen.pixels, missing=chosen.missing)


def missing_band(band: int, count: int) -> str:
    """Say that an image has no band with an index."""
    plural = "s" * (count != 1)
    return f"it has {count} band{plural}, so there is no band {band + 1}. Give --bands numbers from 1 to {count}."


@dataclass(frozen=True)
class Decoded:
    """A picture with its labels."""

    picture: Picture
    labels: np.ndarray  # uint8 (H, W) at the picture's own size
    instances: np.ndarray | None = None  # objects numbered from 1, uint16 (H, W); None: unknown, or not read yet

    def arrays(self) -> tuple[Any, np.ndarray]:
        """Return what `Dataset.read` does."""
        return self.picture.array(), self.labels
