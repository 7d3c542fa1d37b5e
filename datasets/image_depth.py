"""Tell the bits and bands of an image file, of which 8-bit RGB and grey are read."""

from pathlib import Path
from typing import BinaryIO

import tifffile
from PIL import Image

from bench.data.reading.contents import content

_DEEP_MODES = {"I": "32-bit integers", "F": "floats", "I;16": "16-bit integers", "I;16B": "16-bit integers"}
_TIFF_BITS = 258  # the tag BitsPerSample
BITS = "bits"  # the key of an open image's `info` for the bits of a channel in its file
_PNG_BITS = 24  # the byte of a PNG file that gives its bit depth


def depth_of(picture: Image.Image) -> str:
    """Say how an image's values exceed 8 bits; an empty text if they don't. Pillow itself would clip or shift them."""
    if picture.mode in _DEEP_MODES:
        return _DEEP_MODES[picture.mode]
    bits = picture.info[BITS]
    return f"{bits} bits in each channel" if bits > 8 else ""


def bits_of(picture: Image.Image) -> int:
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


def bands_of(path: Path) -> str:
    """Describe a sound TIFF file that Pillow can't read, such as one of five bands; an empty text for any other."""
    try:
        with content(path) as opened, tifffile.TiffFile(opened) as file:
            page = file.pages[0]
            return f"{page.samplesperpixel} bands of {page.dtype}"  # type: ignore[union-attr]
    except Exception:  # noqa: BLE001 - a damaged file may raise anything, and is reported as damaged
        return ""
