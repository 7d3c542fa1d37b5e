"""A decoded picture, at its own size or at a whole fraction of it, and a sample as a pack reads it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

Size = tuple[int, int]  # height, width in pixels
Reduce = Callable[[Size], int]  # tells how many times smaller a picture of a size may be decoded


def whole(size: Size) -> int:
    """Ask for a picture at its own size."""
    return 1


@dataclass(frozen=True)
class Picture:
    """A picture of 8-bit RGB, or labels; it stays Pillow's, since each change to an array and back is a copy."""

    pixels: Image.Image
    size: Size  # of the whole picture in its file, whatever it was decoded at
    scale: int = 1  # the picture was decoded at this fraction of its size: 1, 2, 4 or 8

    @classmethod
    def of(cls, image: np.ndarray) -> "Picture":
        """Take an image, uint8 (H, W, 3), or labels, uint8 or uint16 (H, W)."""
        return cls(Image.fromarray(image), (image.shape[0], image.shape[1]))

    def array(self) -> np.ndarray:
        """Return the decoded pixels, uint8 (h, w, 3), which can be written to."""
        return np.array(self.pixels)


@dataclass(frozen=True)
class Decoded:
    """A picture with its labels."""

    picture: Picture
    labels: np.ndarray  # uint8 (H, W) at the picture's own size
    instances: np.ndarray | None = None  # objects numbered from 1, uint16 (H, W); None: unknown, or not read yet

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what `Dataset.read` does."""
        return self.picture.array(), self.labels
