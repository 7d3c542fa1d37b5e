"""Helpers of the data sets: read images regardless of their file names, check them, and split them by hash."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.core.dataset_protocol import DataFault, Dataset, Sample
from bench.core.errors import BenchError
from bench.core.files import share

__all__ = [
    "DataFault",
    "Dataset",
    "Sample",
    "check_folder",
    "check_size",
    "hashed_splits",
    "read_labels",
    "read_rgb",
    "read_size",
]

TRAIN_SHARE, VALIDATION_SHARE = 0.7, 0.1  # shares of the groups where there are no official splits; the rest is test
MANY_GROUPS = 100  # from this many groups on, independent hashes come close enough to these shares

# The errors that Pillow raises for files that are truncated, damaged or not images at all.
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def read_rgb(path: Path) -> np.ndarray:
    """Decode an image by its content, not its name, to uint8 (H, W, 3).

    An alpha channel is dropped, not blended, and an EXIF orientation is not applied. TensorFlow's decoder does the
    same, and the labels were drawn on these pixels. An animated GIF gives its first frame. A broken or missing file
    raises DataFault.
    """
    return _decode(path, "RGB")


def read_size(path: Path) -> tuple[int, int]:
    """Read the height and width from an image's header; raise DataFault as `read_rgb` does."""
    return _open(path, lambda picture: (picture.height, picture.width))


def read_labels(path: Path) -> np.ndarray:
    """Decode a label image to its raw values, uint8 (H, W); palette indices stay indices."""
    labels = _decode(path, None)
    if labels.ndim != 2 or labels.dtype not in (np.uint8, np.bool_):
        what = f"{labels.dtype} {labels.shape}"
        raise DataFault(f"{path}: labels must be one channel of 8 bits, not {what}.", "unreadable")
    return labels.astype(np.uint8)


def _decode(path: Path, mode: str | None) -> np.ndarray:
    return _open(path, lambda picture: np.array(picture.convert(mode) if mode else picture))


def _open(path: Path, look: Callable[[Image.Image], Any]) -> Any:
    """Open an image and return the result of `look`; raise DataFault if it is missing or can't be decoded."""
    try:
        with Image.open(path) as picture:
            return look(picture)
    except FileNotFoundError as error:
        raise DataFault(f"{path}: missing.", "missing") from error
    except _DECODE_ERRORS as error:
        raise DataFault(f"{path}: can't be decoded ({error}).", "unreadable") from error


def check_size(image: np.ndarray, labels: np.ndarray, place: object) -> None:
    """Raise DataFault unless image (H, W, 3) and labels (H, W) have one size; `place` says where the labels are."""
    if image.shape[:2] != labels.shape:
        sizes = [f"{height}x{width}" for height, width in (labels.shape, image.shape[:2])]
        raise DataFault(f"{place}: the mask has {sizes[0]} pixels, its image {sizes[1]}.", "size")


def first_size(paths: Iterable[Path]) -> tuple[int, int] | None:
    """Read the height and width of the first readable image; run-length text assumes that all images have one size."""
    for path in paths:
        try:
            return read_size(path)
        except DataFault:  # reported when the sample is read
            continue
    return None


def check_same_size(size: tuple[int, int], expected: tuple[int, int] | None, place: object) -> None:
    """Raise DataFault unless an image has the size of the first one, for which the run-length text was written."""
    if expected is not None and size != expected:
        sizes = [f"{height}x{width}" for height, width in (size, expected)]
        raise DataFault(f"{place}: it has {sizes[0]} pixels, the first image {sizes[1]}: its runs don't fit.", "size")


def check_folder(name: str, folder: Path | None, needed: Sequence[str], help: str) -> Path:
    """Check that a folder has the needed parts and return it.

    Raises:
        BenchError: parts are missing; the message ends with `help`, which tells how to get the data.
    """
    if folder is None:
        raise BenchError(f"The data set '{name}' needs a folder. {help}")
    missing = [part for part in needed if not (folder / part).exists()]
    if missing:
        what = "does not exist" if not folder.is_dir() else f"has no {', '.join(missing)}"
        raise BenchError(f"The data folder '{folder}' of '{name}' {what}. {help}")
    return folder


def hashed_splits(groups: Iterable[str]) -> dict[str, str]:
    """Map each group to a split by a hash of its name: 70 % train, 10 % val, 20 % test.

    With `MANY_GROUPS` or more, each group's split depends on its own hash alone, so that absent or added groups don't
    move others. Fewer groups are sorted by hash and cut at the shares, since chance could leave a split too small.
    With three groups or more, every split gets at least one.
    """
    order = sorted(set(groups), key=lambda group: (share("split", group), group))
    few = len(order) < MANY_GROUPS
    shares = [place / len(order) if few else share("split", group) for place, group in enumerate(order)]
    train = sum(value < TRAIN_SHARE for value in shares)
    both = sum(value < TRAIN_SHARE + VALIDATION_SHARE for value in shares)
    train = max(1, min(train, len(order) - 2))
    both = max(train + 1, min(both, len(order) - 1))
    return {group: "train" if place < train else "val" if place < both else "test" for place, group in enumerate(order)}
