"""A data set whose images are drawn by code when they are read; each depends only on its name and size."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bench.datasets.base import Sample

Size = tuple[int, int]  # height, width in pixels
Draw = Callable[[np.random.Generator, Size], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Drawn:
    """A data set of drawn images."""

    samples: tuple[Sample, ...]
    draw: Draw  # gives an image (H, W, C) and its labels, uint8 (H, W)
    native_size: Size
    version: str  # changed whenever the images change
    notes: tuple[str, ...] = ()

    def read(self, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        """Draw a sample at its native size: image (H, W, C), labels uint8 (H, W)."""
        return self.read_at(sample, self.native_size)

    def read_at(self, sample: Sample, size: Size) -> tuple[np.ndarray, np.ndarray]:
        """Draw a sample's scene at any height and width: image (H, W, C), labels uint8 (H, W)."""
        seed = hashlib.sha256(f"{self.version}/{sample.name}".encode()).digest()
        return self.draw(np.random.default_rng(int.from_bytes(seed[:16], "big")), size)


def drawn(version: str, counts: Mapping[str, int], native_size: Size, draw: Draw) -> Drawn:
    """Make a data set of images that `draw` draws, with so many of them in each split."""
    names = [(f"{split}_{i:03d}", split) for split, count in counts.items() for i in range(count)]
    samples = tuple(Sample(name, split, name, token=f"{version}/{name}") for name, split in names)
    return Drawn(samples, draw, native_size, version)
