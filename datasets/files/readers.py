"""Choose the reader of an image file: Pillow's for photographs, by which they are read as ever, or one for other files.

A photograph has 8 bits and the bands red, green and blue; grey is three equal bands, and alpha is the fourth if it is
asked for.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError
from tifffile import TiffFile

from bench.datasets.files.deep_png import read_deep_png
from bench.datasets.files.numpy_file import numpy_size, read_numpy
from bench.datasets.files.opening import FileKind, kind_of_file, opened_tiff
from bench.datasets.files.stored import Stored
from bench.datasets.files.tiff_file import (
    has_many_pages,
    is_photograph,
    is_unknown_to_pillow,
    main_pages,
    may_lack_values,
    no_values,
    orientation_of,
    read_tiff,
    size_of,
)

ALPHA = 3  # the index of a photograph's band that is its alpha channel


class Photograph(NamedTuple):
    """A file that Pillow has to read, or to refuse."""

    may_lack_values: bool = False  # its file has a value for none, or a mask


def read_stored(path: Path, file: IO[bytes], bands: tuple[int, ...] = (), turn: bool = False) -> Stored | Photograph:
    """Read the values of a file that is no photograph.

    Args:
        bands: the indexes of the wanted bands; empty: all but alpha.
        turn: whether the orientation is wanted.
    """
    kind = kind_of_file(file)
    if kind == "deep png":
        return read_deep_png(file, turn)
    if kind == "numpy":
        return read_numpy(path, file)
    if kind != "tiff":
        return Photograph()
    if photograph := _photograph(file, bands):
        return photograph
    with opened_tiff(file) as tiff:
        stored = read_tiff(path, tiff)
        grey = is_photograph(tiff) and stored.values.shape[2] - len(stored.alpha) == 1
        return replace(stored, grey=grey)


def _photograph(file: IO[bytes], bands: tuple[int, ...]) -> Photograph | None:
    """Return what a TIFF file is if Pillow reads it; None if it is read as it is stored."""
    try:
        with opened_tiff(file) as tiff:
            as_stored = bool(bands) and max(bands) >= ALPHA and main_pages(tiff)[0].samplesperpixel > ALPHA
            as_stored |= is_unknown_to_pillow(tiff)
            return Photograph(may_lack_values(tiff)) if is_photograph(tiff) and not as_stored else None
    except ValueError:  # damaged: Pillow tells how
        return Photograph()


def stored_head(path: Path, file: IO[bytes]) -> tuple[tuple[int, int], int] | None:
    """Read a file's height and width, as stored, and its EXIF orientation; None where Pillow has to."""
    kind = kind_of_file(file)
    if kind == "numpy":
        return numpy_size(path, file), 1
    if kind != "tiff":
        return None
    try:
        with opened_tiff(file) as tiff:
            page = main_pages(tiff)[0]
            return size_of(page), orientation_of(page)
    except ValueError:
        return None


def open_picture(path: Path, file: IO[bytes]) -> Image.Image:
    """Open a file by Pillow; what it can't read as it is becomes a picture of no format."""
    kind = kind_of_file(file)
    if kind == "numpy":
        return read_numpy(path, file).mask(path)
    if kind == "tiff" and _asks(file, is_unknown_to_pillow):
        stored = read_stored(path, file)
        return stored.mask(path) if isinstance(stored, Stored) else Image.open(file)
    try:
        picture = Image.open(file)
    except UnidentifiedImageError:
        if kind != "tiff":
            raise
        picture = None
    if picture is None or _is_cut(picture, kind, file):
        file.seek(0)
        stored = read_stored(path, file)
        return stored.mask(path) if isinstance(stored, Stored) else Image.open(file)
    return picture


def _is_cut(picture: Image.Image, kind: FileKind, file: IO[bytes]) -> bool:
    """Tell whether Pillow would give the upper bits of values alone, or one page of several."""
    if kind == "deep png":
        return not picture.mode.startswith("I")
    return kind == "tiff" and _asks(file, has_many_pages)


def _asks(file: IO[bytes], question: Callable[[TiffFile], bool]) -> bool:
    """Ask something of a TIFF file, and go back to its beginning; a damaged one answers no, as Pillow tells how."""
    file.seek(0)
    try:
        with opened_tiff(file) as tiff:
            return question(tiff)
    except ValueError:
        return False
    finally:
        file.seek(0)


def without_value(picture: Image.Image, file: IO[bytes]) -> np.ndarray | None:
    """Tell where a TIFF file's photograph, which Pillow has read, has no value, bool (H, W); None: nowhere known."""
    file.seek(0)
    with opened_tiff(file) as tiff:
        return no_values(tiff, picture)
