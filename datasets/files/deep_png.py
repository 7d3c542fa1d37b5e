"""Read PNG files of 16 bits to the bit: Pillow gives the upper 8 bits of those in colour."""

import io
from typing import IO

import numpy as np
from PIL import ExifTags, Image

from bench.datasets.files.stored import Stored, damage_as_value_error

PNG = b"\x89PNG\r\n\x1a\n"  # the first bytes
BITS_AT = 24  # the byte that gives the bits of a channel
_GREY_ALPHA, _COLOUR, _COLOUR_ALPHA = 4, 2, 6  # colour types, in the byte after it


def read_deep_png(file: IO[bytes], turn: bool = False) -> Stored:
    """Read a PNG file of 16 bits; raise what Pillow does if it is damaged, and ValueError if it can't be decoded.

    Args:
        turn: whether its orientation is wanted, which may come after the pixels.
    """
    import cv2

    content = file.read()
    with Image.open(io.BytesIO(content)) as picture:
        picture.verify()  # OpenCV prints on damage, and half a picture is none
    with Image.open(io.BytesIO(content)) as picture:
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1) if turn else 1
    with damage_as_value_error():
        values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16:
        raise ValueError("its data are damaged")
    return Stored(*_bands(content[BITS_AT + 1], values), orientation=orientation)


def _bands(colour_type: int, values: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """Put bands of OpenCV, which has blue first and grey three times, into the file's order; tell which is alpha."""
    if values.ndim == 2:
        return values[..., None], ()
    if colour_type == _GREY_ALPHA:
        return values[..., [0, 3]], (1,)
    if colour_type == _COLOUR_ALPHA:
        return values[..., [2, 1, 0, 3]], (3,)
    return values[..., [2, 1, 0]] if colour_type == _COLOUR else values[..., :1], ()
