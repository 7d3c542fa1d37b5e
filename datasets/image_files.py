"""Read image files: what a file's header says of it, its pixels, and its raw values.

Nothing is clipped: files/ reads what Pillow would, and in other formats values of more than 8 bits are refused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import ExifTags, Image, ImageOps, JpegImagePlugin, TiffImagePlugin

from bench.core.dataset_protocol import DataFault
from bench.data.reading.picture import Picture, Reduce, whole
from bench.datasets.files.opening import DECODE_ERRORS, opened, opened_head
from bench.datasets.files.readers import ALPHA, open_picture, read_stored, stored_head, without_value
from bench.datasets.files.stored import TURNS, Stored
from bench.datasets.image_depth import BITS, bits_of, depth_of

__all__ = [
    "DECODE_ERRORS",
    "Head",
    "open_image",
    "read_head",
    "read_labels",
    "read_picture",
    "read_rgb",
    "read_scale",
    "read_size",
]

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
    """Read the size and EXIF orientation from an image's header; raise DataFault as `read_picture` does."""

    def look(file: IO[bytes]) -> Head:
        found = stored_head(path, file)
        return Head(*found) if found else _looked(file, _head)

    head: Head = opened_head(path, look)
    return head


def _head(picture: Image.Image, turn: bool = True) -> Head:
    return Head((picture.height, picture.width), _orientation(picture) if turn else _UPRIGHT)


def _orientation(picture: Image.Image) -> int:
    found = picture.getexif().get(ExifTags.Base.Orientation, _UPRIGHT)
    return found if found in range(1, 9) else _UPRIGHT


def read_rgb(path: Path, *, turn: bool = False) -> np.ndarray:
    """Decode an image to uint8 (H, W, 3), as `read_picture` does at its own size; raise DataFault if it isn't RGB."""
    picture = read_picture(path, turn=turn)
    if not isinstance(picture.pixels, Image.Image):
        bands = f"{picture.bands} band{'s' * (picture.bands > 1)} of {picture.kind}"
        raise DataFault(f"{path}: the image has {bands}; 8-bit RGB is read here.", "depth")
    return picture.array()


def read_picture(path: Path, *, turn: bool = False, reduce: Reduce = whole, bands: tuple[int, ...] = ()) -> Picture:
    """Decode an image by its content, not its name.

    An alpha channel is dropped, not blended, unless its band is asked for. TensorFlow's decoder does the same. An
    animated GIF gives its first frame. A broken or missing file, or one of values that no pack takes, raises
    DataFault.

    Args:
        turn: apply the EXIF orientation. By default it is not, since labels are mostly drawn on the stored pixels.
        reduce: tells how many times smaller than its size, once it is turned, a JPEG may be decoded.
        bands: the indexes of the wanted bands, in order; empty: all but alpha.
    """

    def decode(file: IO[bytes]) -> Picture:
        stored = read_stored(path, file, bands, turn)
        if isinstance(stored, Stored):
            return stored.picture(path, bands, turn)
        gaps = file if stored.may_lack_values else None
        return _looked(file, lambda picture: _photograph(path, picture, gaps, turn, reduce, bands))

    picture: Picture = opened(path, decode)
    return picture


def _photograph(
    path: Path, picture: Image.Image, gaps: IO[bytes] | None, turn: bool, reduce: Reduce, bands: tuple[int, ...]
) -> Picture:
    """Decode what Pillow has opened; `gaps` is its file, if that says where there are no values."""
    if depth := depth_of(picture):
        where = "values of more than 8 bits are read from PNG, TIFF and NumPy files. Save it as one of these."
        raise DataFault(f"{path}: the image has {depth}; {where}", "depth")
    head, scale = _head(picture, turn), _scale(picture, turn, reduce)
    if scale > 1:
        picture.draft(None, (picture.width // scale, picture.height // scale))
    upright = ImageOps.exif_transpose(picture) if turn else picture
    upright.load()
    mode = "RGBA" if bands and max(bands) >= ALPHA and upright.has_transparency_data else "RGB"
    pixels = upright if upright.mode == mode else upright.convert(mode)
    missing = without_value(picture, gaps) if gaps else None
    if missing is not None and turn and head.orientation in TURNS:
        missing = np.ascontiguousarray(TURNS[head.orientation](missing))
    found = Picture(pixels if mode == "RGB" else np.array(pixels), head.turned_size, scale, missing)
    return found.choose(bands, path)


def read_scale(path: Path, *, turn: bool = False, reduce: Reduce) -> int:
    """Tell from an image's header at which fraction of its size `read_picture` would decode it: 1, 2, 4 or 8."""

    def look(file: IO[bytes]) -> int:
        return 1 if stored_head(path, file) else _looked(file, lambda picture: _scale(picture, turn, reduce))

    return int(opened_head(path, look))


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
    """Read the height and width from an image's header; raise DataFault as `read_picture` does."""
    return read_head(path).size


def read_labels(path: Path) -> np.ndarray:
    """Decode a label image to its raw values, uint8 (H, W); palette indices stay indices."""
    labels = open_image(path, np.array)
    if labels.ndim != 2 or labels.dtype not in (np.uint8, np.bool_):
        what = f"{labels.dtype} {labels.shape}"
        raise DataFault(f"{path}: labels must be one channel of 8 bits, not {what}.", "unreadable")
    return labels.astype(np.uint8, copy=False)


def open_image(path: Path, look: Callable[[Image.Image], Any]) -> Any:
    """Open an image and return the result of `look`; raise DataFault if it is missing or can't be decoded."""
    return opened(path, lambda file: _looked(file, look, partial(open_picture, path)))


def _looked(
    file: IO[bytes], look: Callable[[Image.Image], Any], opener: Callable[[IO[bytes]], Image.Image] = Image.open
) -> Any:
    with opener(file) as picture:
        _keep_as_stored(picture)
        picture.info[BITS] = bits_of(picture)
        return look(picture)


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
