"""Read image files: what a file's header says of it, its pixels as 8-bit RGB, and its raw values.

Nothing is clipped. A picture of more than 8 bits, of floats or of more than four bands is refused by name.
"""

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import ExifTags, Image, ImageOps, JpegImagePlugin, TiffImagePlugin, UnidentifiedImageError

from bench.core.dataset_protocol import DataFault
from bench.core.untrusted.plain_files import require_file
from bench.data.reading.contents import beginning, content
from bench.data.reading.picture import Picture, Reduce, whole
from bench.data.remote.failures import Unreachable
from bench.datasets.image_depth import BITS, bands_of, bits_of, depth_of

# What Pillow raises for files that are truncated, damaged or not images at all; a warning where warnings are errors.
DECODE_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Warning)
for _library in ("PIL", "tifffile"):  # damaged files are reported once, by our own message
    logging.getLogger(_library).setLevel(logging.CRITICAL)
warnings.filterwarnings(
    "ignore", category=Image.DecompressionBombWarning
)  # twice as many pixels are an error of Pillow
_SCALES = (8, 4, 2, 1)  # fractions of a JPEG's size that libjpeg decodes at
_UPRIGHT = 1  # the EXIF orientation of a picture that needs no turning


@dataclass(frozen=True)
class Head:
    """The facts in the header of an image file."""

    size: tuple[int, int]  # height, width in pixels, as stored
    orientation: int = _UPRIGHT  # EXIF, 1 to 8

    @property
    def turned_size(self) -> tuple[int, int]:
        """The height and width once the EXIF orientation is applied."""
        return self.size[::-1] if self.orientation >= 5 else self.size


def read_head(path: Path) -> Head:
    """Read the size and EXIF orientation from an image's header; raise DataFault as `read_rgb` does."""
    head: Head = _of_header(path, _head)
    return head


def _head(picture: Image.Image, turn: bool = True) -> Head:
    return Head((picture.height, picture.width), _orientation(picture) if turn else _UPRIGHT)


def _orientation(picture: Image.Image) -> int:
    found = picture.getexif().get(ExifTags.Base.Orientation, _UPRIGHT)
    return found if found in range(1, 9) else _UPRIGHT


def read_rgb(path: Path, *, turn: bool = False) -> np.ndarray:
    """Decode an image to uint8 (H, W, 3), as `read_picture` does at its own size."""
    return read_picture(path, turn=turn).array()


def read_picture(path: Path, *, turn: bool = False, reduce: Reduce = whole) -> Picture:
    """Decode an image by its content, not its name.

    An alpha channel is dropped, not blended. TensorFlow's decoder does the same. An animated GIF gives its first
    frame. A broken or missing file, and one whose values don't fit in 8 bits, raises DataFault.

    Args:
        turn: apply the EXIF orientation. By default it is not, since labels are mostly drawn on the stored pixels.
        reduce: tells how many times smaller than its size, once it is turned, a JPEG may be decoded.
    """

    def decode(picture: Image.Image) -> Picture:
        if depth := depth_of(picture):
            raise DataFault(f"{path}: the image has {depth}; images of 8 bits are read. Save it as 8-bit RGB.", "depth")
        head, scale = _head(picture, turn), _scale(picture, turn, reduce)
        if scale > 1:
            picture.draft(None, (picture.width // scale, picture.height // scale))
        upright = ImageOps.exif_transpose(picture) if turn else picture
        upright.load()
        return Picture(upright if upright.mode == "RGB" else upright.convert("RGB"), head.turned_size, scale)

    return open_image(path, decode)


def read_scale(path: Path, *, turn: bool = False, reduce: Reduce) -> int:
    """Tell from an image's header at which fraction of its size `read_picture` would decode it: 1, 2, 4 or 8."""
    return int(_of_header(path, lambda picture: _scale(picture, turn, reduce)))


def _scale(picture: Image.Image, turn: bool, reduce: Reduce) -> int:
    """Choose the smallest fraction of a JPEG's size that libjpeg has and that is allowed.

    The last pixels of a fraction may lie partly beyond the image, at the right and below; were it turned, elsewhere.
    """
    if not isinstance(picture, JpegImagePlugin.JpegImageFile):
        return 1
    head = _head(picture, turn)
    most, exact = reduce(head.turned_size), head.orientation != _UPRIGHT
    return next(s for s in _SCALES if s <= most and not (exact and any(side % s for side in picture.size)))


def read_size(path: Path) -> tuple[int, int]:
    """Read the height and width from an image's header; raise DataFault as `read_rgb` does."""
    size: tuple[int, int] = _of_header(path, lambda picture: (picture.height, picture.width))
    return size


def _of_header(path: Path, look: Callable[[Image.Image], Any]) -> Any:
    """Do as `open_image`, where `look` reads no pixels: at an address the beginning of the file is mostly enough."""
    try:
        if start := beginning(path):
            return _looked(path, start, look)
    except Unreachable:
        raise
    except Exception:  # noqa: BLE001 - half a file may raise anything; the whole one then tells what is wrong
        pass
    return open_image(path, look)


def read_labels(path: Path) -> np.ndarray:
    """Decode a label image to its raw values, uint8 (H, W); palette indices stay indices."""
    labels = open_image(path, np.array)
    if labels.ndim != 2 or labels.dtype not in (np.uint8, np.bool_):
        what = f"{labels.dtype} {labels.shape}"
        raise DataFault(f"{path}: labels must be one channel of 8 bits, not {what}.", "unreadable")
    return labels.astype(np.uint8, copy=False)


def open_image(path: Path, look: Callable[[Image.Image], Any]) -> Any:
    """Open an image and return the result of `look`; raise DataFault if it is missing or can't be decoded."""
    _require_file(path)
    try:
        with content(path) as file:
            return _looked(path, file, look)
    except (DataFault, Unreachable):
        raise
    except Image.DecompressionBombError as error:
        raise DataFault(f"{path}: it is too large ({error}) Cut it into tiles, its mask too.", "size") from error
    except DECODE_ERRORS as error:
        if bands := bands_of(path):
            raise DataFault(f"{path}: the image has {bands}; images of one to four bands of 8 bits are read.",
                            "depth") from error  # fmt: skip
        what = "it is no image" if isinstance(error, UnidentifiedImageError) else error
        raise DataFault(f"{path}: can't be decoded ({what}).", "unreadable") from error


def _looked(path: Path, file: IO[bytes], look: Callable[[Image.Image], Any]) -> Any:
    with Image.open(file) as picture:
        _refuse_pages(path, picture)
        _keep_as_stored(picture)
        picture.info[BITS] = bits_of(picture)
        return look(picture)


def _require_file(path: Path) -> None:
    """Raise DataFault unless there is a file: whoever opens a FIFO waits for ever."""
    try:
        require_file(path, links=True)
    except FileNotFoundError as error:
        raise DataFault(f"{path}: missing.", "missing") from error
    except OSError as error:
        raise DataFault(f"{path}: can't be read ({error.strerror}).", "unreadable") from error


def _refuse_pages(path: Path, picture: Image.Image) -> None:
    """Raise DataFault for a TIFF file of several pages, of which Pillow would silently give the first."""
    pages = getattr(picture, "n_frames", 1) if picture.format == "TIFF" else 1
    if pages > 1:
        raise DataFault(f"{path}: the file has {pages} pages; images of one page are read. Save each page as a file.",
                        "depth")  # fmt: skip


def _keep_as_stored(picture: Image.Image) -> None:
    """Load a TIFF file that has an orientation without turning it, as Pillow turns images of no other format."""
    if not isinstance(picture, TiffImagePlugin.TiffImageFile) or (orientation := _orientation(picture)) == _UPRIGHT:
        return
    exif = picture.getexif()
    picture.tag_v2.pop(ExifTags.Base.Orientation, None)
    exif.pop(ExifTags.Base.Orientation, None)
    if orientation >= 5:
        picture._size = picture.size[::-1]
    picture.load()
    exif[ExifTags.Base.Orientation] = orientation
