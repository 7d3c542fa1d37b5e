"""Checksums of a file by block: they tell whether its bytes are still those that were written.

CRC-32 misses one accident in four billion. It costs up to 0.5 s a GiB that is in the page cache, less than a disk needs
to read it, so every process compares the whole pack. It is no protection against somebody who wants to deceive.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

BLOCK = 2**20  # bytes


def checksums(blocks: Iterable[bytes | memoryview]) -> list[int]:
    """Compute the CRC-32 of each block."""
    return [zlib.crc32(block) for block in blocks]


def blocks_of_file(path: Path) -> Iterator[bytes]:
    """Read a file block by block: a bad sector is an OSError here, but ends a process that reads a memory map."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def blocks_of_array(array: np.ndarray) -> Iterator[memoryview]:
    """Return the blocks of the file whose memory map is a contiguous uint8 array of any shape."""
    flat = array.reshape(-1).data
    return (flat[begin : begin + BLOCK] for begin in range(0, len(flat), BLOCK))


def difference(blocks: Iterable[bytes | memoryview], expected: Sequence[int]) -> str:
    """Say how many blocks differ from their checksums, such as "3 of 12 blocks differ"; empty if none does."""
    found = checksums(blocks)
    wrong = sum(one != other for one, other in zip(found, expected, strict=False)) + abs(len(found) - len(expected))
    return f"{wrong} of {max(len(found), len(expected))} blocks differ" if wrong else ""
