"""Labels as runs of equal values: written and read in a tenth of the time of all their pixels, and of the bytes.

A block is zlib's of the lengths of all runs, row after row, and of their values; the lengths are stored by their first
bytes, their second bytes and so on, since the higher ones are mostly 0.
"""

import zlib
from dataclasses import dataclass

import numpy as np

_LENGTH = np.dtype("<u4")


@dataclass(frozen=True)
class Runs:
    """The runs of an array, flattened."""

    values: np.ndarray  # (R,)
    lengths: np.ndarray  # uint32 (R,), pixels; at least 1

    @classmethod
    def of(cls, array: np.ndarray) -> "Runs":
        """Find the runs of labels or other numbers, (H, W)."""
        flat = array.reshape(-1)
        starts = np.append(0, np.flatnonzero(flat[1:] != flat[:-1]) + 1)
        return cls(flat[starts], np.diff(starts, append=flat.size).astype(_LENGTH))

    def counts(self) -> np.ndarray:
        """Count the pixels of each uint8 value, int64 (256,)."""
        return np.bincount(self.values, weights=self.lengths, minlength=256).astype(np.int64)  # exact up to 2^53

    def block(self) -> bytes:
        """Compress the runs."""
        planes = self.lengths.view(np.uint8).reshape(-1, _LENGTH.itemsize).T
        return zlib.compress(planes.tobytes() + self.values.tobytes(), 1)


def pixels(block: bytes | memoryview, size: tuple[int, int], dtype: type[np.uint8] | type[np.uint16]) -> np.ndarray:
    """Return the array (H, W) whose runs a block has; raise ValueError if it is damaged."""
    try:
        content = np.frombuffer(zlib.decompress(block), np.uint8)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    count, rest = divmod(len(content), _LENGTH.itemsize + np.dtype(dtype).itemsize)
    planes, values = np.split(content, [count * _LENGTH.itemsize])
    lengths = np.ascontiguousarray(planes.reshape(_LENGTH.itemsize, count).T).view(_LENGTH)[:, 0]
    if rest or int(lengths.sum(dtype=np.int64)) != size[0] * size[1]:
        raise ValueError("runs of another image")
    return np.repeat(values.view(dtype), lengths).reshape(size)
