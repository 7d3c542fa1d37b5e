"""Open an image file, tell by its first bytes which library reads it, and turn what these raise into one line."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import tifffile
from PIL import Image, UnidentifiedImageError

from bench.core.dataset_protocol import DataFault
from bench.core.untrusted.plain_files import require_file
from bench.data.reading.contents import beginning, content
from bench.data.remote.failures import Unreachable
from bench.datasets.files.deep_png import BITS_AT, PNG
from bench.datasets.files.numpy_file import NPY, NPZ
from bench.datasets.files.stored import damage_as_value_error
from bench.datasets.files.tiff_file import TIFF

# What Pillow raises for files that are truncated, damaged or not images at all; a warning where warnings are errors.
DECODE_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Warning)
for _library in ("PIL", "tifffile"):  # damaged files are reported once, by our own message
    logging.getLogger(_library).setLevel(logging.CRITICAL)
warnings.filterwarnings(
    "ignore", category=Image.DecompressionBombWarning
)  # twice as many pixels are an error of Pillow

FileKind = Literal["tiff", "deep png", "numpy", ""]
"""Which reader a file needs, by its first bytes; an empty text: Pillow."""


def kind_of_file(file: IO[bytes]) -> FileKind:
    """Tell a file's kind, and go back to its beginning."""
    head = file.read(BITS_AT + 1)
    file.seek(0)
    if head.startswith(TIFF):
        return "tiff"
    if head.startswith(PNG):
        return "deep png" if head[BITS_AT:] == b"\x10" else ""
    return "numpy" if head.startswith((NPY, NPZ)) else ""


def opened(path: Path, use: Callable[[IO[bytes]], Any]) -> Any:
    """Open an image file and return the result of `use`; raise DataFault if it is missing or can't be decoded."""
    _require_file(path)
    try:
        with content(path) as file:
            return use(file)
    except (DataFault, Unreachable):
        raise
    except Image.DecompressionBombError as error:
        raise DataFault(f"{path}: it is too large ({error}) Cut it into tiles, its mask too.", "size") from error
    except DECODE_ERRORS as error:
        what = "it is no image" if isinstance(error, UnidentifiedImageError) else error
        raise DataFault(f"{path}: can't be decoded ({what}).", "unreadable") from error


def opened_head(path: Path, use: Callable[[IO[bytes]], Any]) -> Any:
    """Do as `opened`, where `use` reads no pixels: at an address the beginning of the file is mostly enough."""
    try:
        if start := beginning(path):
            return use(start)
    except Unreachable:
        raise
    except Exception:  # noqa: BLE001 - half a file may raise anything; the whole one then tells what is wrong
        pass
    return opened(path, use)


@contextmanager
def opened_tiff(file: IO[bytes]) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF file, and go back to its beginning afterwards; a damaged one raises ValueError."""
    try:
        with damage_as_value_error(), tifffile.TiffFile(file) as tiff:
            yield tiff
    finally:
        file.seek(0)


def _require_file(path: Path) -> None:
    """Raise DataFault unless there is a file: whoever opens a FIFO waits for ever."""
    try:
        require_file(path, links=True)
    except FileNotFoundError as error:
        raise DataFault(f"{path}: missing.", "missing") from error
    except OSError as error:
        raise DataFault(f"{path}: can't be read ({error.strerror}).", "unreadable") from error
