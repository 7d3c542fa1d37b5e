"""Decode Label Studio's brush masks: run lengths packed into bits, in the format rle-pack of @thi.ng/umbrella.

A header has the count of the words (32 bits), the bits of a word less 1 (5 bits), and four widths less 1 (4 bits each).
Blocks follow: 1 bit says whether one word is repeated, 2 bits choose a width, so many bits give the count less 1, and
then come the one word, or all words. Label Studio packs RGBA bytes, so a pixel is four words; alpha is the mask.
"""

from collections.abc import Sequence

import numpy as np

from bench.datasets.layout import Size

_CHANNELS, _ALPHA = 4, 3


class _Bits:
    """A reader of whole numbers from bytes, the highest bit first."""

    def __init__(self, data: bytes) -> None:
        self._bits = np.unpackbits(np.frombuffer(data, np.uint8))
        self._place = 0

    def numbers(self, count: int, width: int) -> np.ndarray:
        """Return the next `count` numbers of `width` bits, int64."""
        end = self._place + count * width
        if end > len(self._bits):
            raise ValueError("its run lengths end too early")
        bits = self._bits[self._place : end].reshape(count, width).astype(np.int64)
        self._place = end
        return bits @ (1 << np.arange(width - 1, -1, -1, dtype=np.int64))

    def number(self, width: int) -> int:
        """Return the next number."""
        return int(self.numbers(1, width)[0])


def decode_brush(data: Sequence[int], size: Size) -> np.ndarray:
    """Decode a list of bytes to a mask, bool (H, W); ValueError says what is wrong with it."""
    try:
        bits = _Bits(bytes(data))
    except (TypeError, ValueError) as error:
        raise ValueError(f"its run lengths are no list of bytes ({error})") from error
    words, width = bits.number(32), bits.number(5) + 1
    widths = [bits.number(4) + 1 for _ in range(4)]
    if words != size[0] * size[1] * _CHANNELS or width != 8:
        raise ValueError(f"its run lengths are of {words} words of {width} bits, not of 4 bytes for each pixel of "
                         f"{size[0]}x{size[1]}")  # fmt: skip
    flat = np.zeros(words, np.uint8)
    place = 0
    while place < words:
        repeated = bits.number(1)
        count = bits.number(widths[bits.number(2)]) + 1
        if place + count > words:
            raise ValueError("its run lengths go past the last pixel")
        flat[place : place + count] = bits.numbers(1 if repeated else count, width)
        place += count
    return flat.reshape(*size, _CHANNELS)[..., _ALPHA] > 0
