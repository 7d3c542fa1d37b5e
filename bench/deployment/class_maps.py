"""Files of predicted class maps, and how far two of them agree."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

MAPS, PICTURES = "classes.npz", "images.npy"


def packed(classes: np.ndarray) -> np.ndarray:
    """Compress the class map of an image, uint8 (H, W)."""
    return np.frombuffer(zlib.compress(np.ascontiguousarray(classes).tobytes(), 1), np.uint8)


def write_maps(path: Path, maps: Sequence[np.ndarray]) -> None:
    """Write the packed maps of a split's images, in order."""
    np.savez(path, *maps)


def agreement(one: Path, other: Path) -> float:
    """Return the share of pixels, of all images, that have the same class in both files."""
    equal = total = 0
    with np.load(one) as first, np.load(other) as second:
        for name in first.files:
            a, b = (np.frombuffer(zlib.decompress(maps[name].tobytes()), np.uint8) for maps in (first, second))
            equal, total = equal + int((a == b).sum()), total + len(a)
    return equal / total if total else float("nan")
