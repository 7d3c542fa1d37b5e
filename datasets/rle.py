"""Run-length text in Kaggle's format: `start length start length ...`, with pixels counted from 1.

Airbus counts down the columns (`order="column"`), Carvana along the rows (`order="row"`). The runs of one text are in
ascending order and share no pixel; an empty text is an empty mask.
"""

import re
from typing import Literal

import numpy as np

from bench.core.errors import BenchError

Order = Literal["column", "row"]
_SEPARATORS = r"[ \t\r\n]+"  # str.split also parts at others, such as a no-break space
_NUMBERS = re.compile(r"[0-9 \t\r\n]*")
_LARGEST = 2**61  # past the end of every image, and the sum of two still fits into an int64


def rle_encode(mask: np.ndarray, order: Order = "column") -> str:
    """Encode the non-zero pixels of `mask` (H, W), which may have any number type."""
    binary = _binary(mask)
    column = _is_column(order)
    used = np.flatnonzero(np.bitwise_or.reduce(binary, axis=0) if column else binary.any(axis=1))
    if not len(used):
        return ""
    # Only the lines between the first and the last foreground pixel are scanned: a ship covers few.
    begin, end = int(used[0]), int(used[-1]) + 1
    binary = binary[:, begin:end].T if column else binary[begin:end]
    flat = np.zeros(binary.size + 2, np.uint8)
    flat[1:-1].reshape(binary.shape)[...] = binary
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    edges[1::2] -= edges[::2]  # the end of each run becomes its length
    edges[::2] += begin * binary.shape[1] + 1
    return " ".join(map(str, edges.tolist()))


def rle_decode(
    text: str, shape: tuple[int, int], order: Order = "column", *, base: int = 1, place: str = ""
) -> np.ndarray:
    """Decode a text into a mask, uint8 (H, W) of 0 and 1.

    Args:
        shape: height, width in pixels.
        base: the number of the first pixel, 1 or 0.
        place: the image and row of the text, for error messages.

    Raises:
        BenchError: `text` is not a string (such as NaN), has anything but whole numbers or an odd count of them, or a
            run starts at 0, is empty, ends past the last pixel, or begins before the previous run has ended.
    """
    flat = np.zeros(shape[0] * shape[1], np.uint8)
    flat[pixels(text, flat.size, base=base, place=place)] = 1
    return unflatten(flat, shape, order)


def pixels(text: str, size: int, *, base: int = 1, place: str = "") -> np.ndarray:
    """Return a text's pixel indexes in a flat image of `size` pixels, int64, ascending; errors as in `rle_decode`."""
    starts, lengths = _runs(text, size, base, place)
    shifts = starts - np.cumsum(lengths) + lengths  # of each run: its start minus the pixels in earlier runs
    return np.repeat(shifts, lengths) + np.arange(lengths.sum())


def unflatten(flat: np.ndarray, shape: tuple[int, int], order: Order = "column") -> np.ndarray:
    """Reshape a flat image (H * W,), in the pixel order of its text, to (H, W)."""
    return flat.reshape(shape[::-1]).T if _is_column(order) else flat.reshape(shape)


def _is_column(order: Order) -> bool:
    if order not in ("column", "row"):
        raise BenchError(f"The order of a run-length text is '{order}'. Accepted: column, row.")
    return order == "column"


def _binary(mask: np.ndarray) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.ndim != 2:
        raise BenchError(f"A mask must have the shape (H, W), not {mask.shape}.")
    return (mask != 0).view(np.uint8)


def _runs(text: str, size: int, base: int, place: str) -> tuple[np.ndarray, np.ndarray]:
    """Parse and check the starts (from 0) and lengths; one wrong run would silently shift the labels."""
    numbers = _numbers(text, place)
    starts, lengths = numbers[::2] - base, numbers[1::2]
    ends = starts + lengths
    if len(numbers) and (starts[0] < 0 or lengths.min() < 1 or ends[-1] > size or (starts[1:] < ends[:-1]).any()):
        raise _fault(starts, lengths, size, base, place)
    return starts, lengths


def _fault(starts: np.ndarray, lengths: np.ndarray, size: int, base: int, place: str) -> BenchError:
    """Describe the first faulty run."""
    ends = starts + lengths
    kinds = {
        "starts at 0, but pixels are counted from 1": starts < 0,
        "is empty": lengths < 1,
        f"ends past the last pixel, {size}": ends > size,
        "begins before the previous run has ended (they overlap, or are not in order)": np.append(
            False, starts[1:] < ends[:-1]
        ),
    }
    index, what = min((int(wrong.argmax()), what) for what, wrong in kinds.items() if wrong.any())
    return _error(place, f"run {index + 1}, '{starts[index] + base} {lengths[index]}', {what}")


def _numbers(text: str, place: str) -> np.ndarray:
    if not isinstance(text, str):
        raise _error(place, f"{text!r} is not a text")
    if not _NUMBERS.fullmatch(text):
        word = next(word for word in re.split(_SEPARATORS, text) if not _NUMBERS.fullmatch(word))
        raise _error(place, f"{word[:40]!r} is not a whole number")
    numbers = np.fromstring(text, np.int64, sep=" ") if text.strip() else np.zeros(0, np.int64)
    if len(numbers) % 2:
        raise _error(place, f"{len(numbers)} numbers are an odd count, and each start needs a length")
    return np.minimum(numbers, _LARGEST)


def _error(place: str, what: str) -> BenchError:
    return BenchError(f"{f'{place}: ' if place else ''}the run-length text can't be read: {what}.")
