"""Read image files: what a file's header says of it, its pixels as 8-bit RGB, and its raw values.

Nothing is clipped. A picture of more than 8 bits, of floats or of more than four bands is refused by name.
"""

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
from PIL import ExifTags, Image, ImageOps, JpegImagePlugin, TiffImagePlugin

from bench.core.dataset_protocol import DataFault
from bench.core.untrusted.plain_files import require_file
from bench.data.reading.contents import content
from bench.data.reading.picture import Picture, Reduce, whole
from bench.data.remote.failures import Unreachable

# What Pillow raises for files that are truncated, damaged or not images at all; a warning where warnings are errors.
DECODE_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Warning)
for _library in ("PIL", "tifffile"):  # damaged files are reported once, by our own message
    logging.getLogger(_library).setLevel(logging.CRITICAL)
warnings.filterwarnings(
    "ignore", category=Image.DecompressionBombWarning
)  # twice as many pixels are an error of Pillow
_DEEP_MODES = {"I": "32-bit integers", "F": "floats", "I;16": "16-bit integers", "I;16B": "16-bit integers"}
_TIFF_BITS = 258  # the tag BitsPerSample
BITS = "bits"  # the key of an open image's `info` for the bits of a channel in its file
_PNG_BITS = 24  # the byte of a PNG file that gives its bit depth
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
    return open_image(path, _head)


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
        if depth := _depth(picture):
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
    return int(open_image(path, lambda picture: _scale(picture, turn, reduce)))


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
    return open_image(path, lambda picture: (picture.height, picture.width))


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
        with content(path) as file, Image.open(file) as picture:
            _refuse_pages(path, picture)
            _keep_as_stored(picture)
            picture.info[BITS] = _bits(picture)
            return look(picture)
    except (DataFault, Unreachable):
        raise
    except Image.DecompressionBombError as error:
        raise DataFault(f"{path}: it is too large ({error}) Cut it into tiles, its mask too.", "size") from error
    except DECODE_ERRORS as error:
        if bands := _bands(path):
            raise DataFault(f"{path}: the image has {bands}; images of one to four bands of 8 bits are read.",
                            "depth") from error  # fmt: skip
        raise DataFault(f"{path}: can't be decoded ({error}).", "unreadable") from error


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


def _depth(picture: Image.Image) -> str:
    """Say how an image's values exceed 8 bits; an empty text if they don't. Pillow itself would clip or shift them."""
    if picture.mode in _DEEP_MODES:
        return _DEEP_MODES[picture.mode]
    bits = picture.info[BITS]
    return f"{bits} bits in each channel" if bits > 8 else ""


def _bits(picture: Image.Image) -> int:
    """Return the bits of a channel in an open image's file: of PNG and TIFF, which have others than 8."""
    if picture.format == "PNG":
        return file_head(picture, _PNG_BITS + 1)[_PNG_BITS]
    if picture.format == "TIFF":
        return int(max(picture.tag_v2.get(_TIFF_BITS, (8,))))  # type: ignore[attr-defined]
    return 8


def file_head(picture: Image.Image, size: int) -> bytes:
    """Return the first bytes of an open image's file, before its pixels are decoded."""
    file: BinaryIO = picture.fp  # type: ignore[attr-defined]
    place = file.tell()
    file.seek(0)
    content = file.read(size)
    file.seek(place)
    return content


def _bands(path: Path) -> str:
    """Describe a sound TIFF file that Pillow can't read, such as one of five bands; an empty text for any other."""
    try:
        with content(path) as opened, tifffile.TiffFile(opened) as file:
            page = file.pages[0]
            return f"{page.samplesperpixel} bands of {page.dtype}"  # type: ignore[union-attr]
    except Exception:  # noqa: BLE001 - a damaged file may raise anything, and is reported as damaged
        return ""
