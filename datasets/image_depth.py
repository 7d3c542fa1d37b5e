"""Tell the bits of an image that Pillow has opened."""

from typing import BinaryIO

from PIL import Image

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
