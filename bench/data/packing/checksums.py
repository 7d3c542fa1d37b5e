"""Checksums of a file by block: they tell whether its bytes are still those that were written.

CRC-32 misses one accident in four billion. It costs a core up to 0.5 s a GiB that is in the page cache, less than a
disk needs to read it, so every process compares the whole pack. It is no protection against somebody who wants to
deceive.
"""

import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from bench.core.surroundings import usable_cores

BLOCK = 2**20  # bytes
_PART = 64  # blocks that a thread reads before it takes the next part


def of_file(path: Path) -> list[int]:
    """Compute the CRC-32 of each block of a file, on all cores (reading and zlib release Python's lock).

    A bad sector is an OSError here, but ends a process that reads a memory map.
    """
    with ThreadPoolExecutor(len(usable_cores())) as pool:
        parts = pool.map(partial(_of_part, path), range(0, path.stat().st_size, _PART * BLOCK))
        return list(chain.from_iterable(parts))


def _of_part(path: Path, begin: int) -> list[int]:
    found: list[int] = []
    with path.open("rb") as file:
        file.seek(begin)
        while len(found) < _PART and (block := file.read(BLOCK)):
            found.append(zlib.crc32(block))
    return found


def of_array(array: np.ndarray) -> list[int]:
    """Compute those of the file whose memory map is a contiguous array of any shape."""
    flat = array.reshape(-1).view(np.uint8).data
    return [zlib.crc32(flat[begin : begin + BLOCK]) for begin in range(0, len(flat), BLOCK)]


def difference(found: Sequence[int], expected: Sequence[int]) -> str:
    """Say how many blocks differ from their checksums, such as "3 of 12 blocks differ"; empty if none does."""
    wrong = sum(one != other for one, other in zip(found, expected, strict=False)) + abs(len(found) - len(expected))
    return f"{wrong} of {max(len(found), len(expected))} blocks differ" if wrong else ""
