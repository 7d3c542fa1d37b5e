"""Read the masks of a user's folder in any accepted file format, and find the values in them."""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from bench.core.files import cache_folder, write_atomically
from bench.datasets.base import DataFault, read_labels, read_rgb

BINARY = (".gif", ".jpg", ".jpeg", ".webp")  # read as light or dark: their values are not exact
_LIGHT = 128  # least grey value of class 1 in a binary mask
_GREY = np.array([299, 587, 114])  # per mille of red, green and blue, ITU-R BT.601


def read_mask(path: Path) -> np.ndarray:
    """Read the raw values of a mask, uint8 (H, W); 0 and 1 in a binary format. DataFault names the file."""
    if path.suffix.lower() in BINARY:
        return (read_rgb(path).astype(np.int64) @ _GREY >= 1000 * _LIGHT).astype(np.uint8)
    try:
        return read_labels(path)
    except DataFault:
        # A grey mask that was saved as RGB is accepted too; otherwise the first error stands.
        rgb = read_rgb(path)
        if not (rgb == rgb[..., :1]).all():
            raise
        return np.ascontiguousarray(rgb[..., 0])


def values_of(paths: Sequence[Path]) -> set[int]:
    """Find all values in masks (0 and 255 in binary formats); skip unreadable masks, which are reported later.

    The result is cached by the files' sizes and times, since every mask must be decoded to find it.
    """
    stamps = json.dumps([[str(path), *_stamp(path)] for path in paths])
    kept = cache_folder("values") / f"{hashlib.sha256(stamps.encode()).hexdigest()[:24]}.json"
    if kept.exists():
        return set(json.loads(kept.read_text()))
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow releases the GIL
        values = set().union(*pool.map(_values, paths))
    with write_atomically(kept) as part:
        part.write_text(json.dumps(sorted(values)))
    return values


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:  # a broken link, reported when it is read
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _values(path: Path) -> set[int]:
    if path.suffix.lower() in BINARY:
        return {0, 255}
    try:
        return set(np.unique(read_mask(path)).tolist())
    except DataFault:
        return set()
