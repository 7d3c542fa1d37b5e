"""Helpers of the data sets: list, read and check images, whatever their file names say."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from bench.core.dataset_protocol import DataFault, Dataset, Sample
from bench.core.errors import BenchError
from bench.datasets.image_files import read_labels, read_picture, read_rgb, read_scale, read_size
from bench.datasets.pairing import is_junk

__all__ = [
    "DataFault",
    "Dataset",
    "Sample",
    "check_folder",
    "check_size",
    "listed",
    "read_labels",
    "read_picture",
    "read_rgb",
    "read_scale",
    "read_size",
]


def listed(folder: Path, ending: str) -> list[str]:
    """List the names in a folder with an ending, sorted; what systems leave there, such as ._CAR_01.jpg, is not one."""
    return sorted(name for name in os.listdir(folder) if name.endswith(ending) and not is_junk(name))


def check_size(size: tuple[int, int], labels: np.ndarray, place: object) -> None:
    """Raise DataFault unless labels (H, W) have the image's size; `place` says where the labels are."""
    if size != labels.shape:
        sizes = [f"{height}x{width}" for height, width in (labels.shape, size)]
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
