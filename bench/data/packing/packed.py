"""A pack that is open: the samples of a data set in memory-mapped files, read from the page cache or from memory."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import BenchError
from bench.data.loading.images import Endless, Images, Row
from bench.data.packing import checksums, runs
from bench.data.packing.manifest import DATA_FILES, IMAGES, INSTANCES, LABELS, TRUTH

States = tuple[tuple[int, ...], ...]  # of the data files: inode, size, mtime and ctime in ns


@dataclass(frozen=True)
class Pack(Images):
    """N samples of a data set at H x W pixels, read from the page cache or from memory."""

    path: Path
    images: np.ndarray  # uint8 or uint16 (N, H, W, C), memory-mapped
    labels: np.ndarray  # uint8 (N, H, W), memory-mapped
    original_sizes: tuple[tuple[int, int], ...]  # height, width
    truths: np.ndarray  # uint8, all of truth.runs, memory-mapped
    truth_offsets: tuple[int, ...]  # start of each block of `truths`, and the end of the last
    numbers: np.ndarray  # likewise of instances.runs
    number_offsets: tuple[int, ...]
    checksums: Mapping[str, Sequence[int]]  # of the files, by block
    states: States  # of the files, from before their checksums were compared
    made_from: str = field(default="", kw_only=True)  # the state of the data that it was opened with; empty: unknown
    packed = True

    def rows(self, order: np.ndarray | Endless, *, native: bool = False) -> Iterator[Row]:
        """Yield views of the samples; see `Images.rows`."""
        for i in order:
            image, labels, size = self.images[i], self.labels[i], self.original_sizes[i]
            yield Row(image, labels, size, partial(self.truth, i), partial(self.instances, i))

    def truth(self, index: int) -> np.ndarray:
        """Return the labels of one row at native size, uint8 (h, w)."""
        begin, end = self.truth_offsets[index : index + 2]
        return self._pixels(self.truths[begin:end], index, np.uint8)

    def instances(self, index: int) -> np.ndarray | None:
        """Return the objects of one row at native size, uint16 (h, w), numbered from 1; None if they are unknown."""
        begin, end = self.number_offsets[index : index + 2]
        return self._pixels(self.numbers[begin:end], index, np.uint16) if begin < end else None

    def _pixels(self, block: np.ndarray, index: int, dtype: type[np.uint8] | type[np.uint16]) -> np.ndarray:
        try:
            return runs.pixels(block.data, self.original_sizes[index], dtype)
        except ValueError as error:
            raise self._damaged(str(error)) from error

    def in_memory(self) -> "Pack":
        """Read all of it into memory."""
        images, labels, truths, numbers = map(np.array, self._arrays)
        return replace(self, images=images, labels=labels, truths=truths, numbers=numbers)

    @property
    def nbytes(self) -> int:
        """The bytes of its files."""
        return sum(array.nbytes for array in self._arrays)

    @property
    def _arrays(self) -> tuple[np.ndarray, ...]:
        """The contents of DATA_FILES, in that order."""
        return self.images, self.labels, self.truths, self.numbers

    def check_unchanged(self) -> None:
        """Raise BenchError if a byte of the pack has changed since it was opened.

        Only if a file was written to or replaced meanwhile, what was read is compared with the checksums again.
        """
        if states_of(self.path) == self.states:
            return
        for name, array in zip(DATA_FILES, self._arrays, strict=True):
            if found := checksums.difference(checksums.of_array(array), self.checksums[name]):
                raise self._damaged(f"{name}: {found} from their checksums")

    def _damaged(self, reason: str) -> BenchError:
        return BenchError(
            f"The pack '{self.path}' was damaged while it was in use ({reason}), so what was computed from it is "
            "refused. The same command makes the pack again."
        )


def states_of(path: Path) -> States:
    """Describe the files so that a write is noticed, also one after which somebody sets the old time again."""
    found = []
    for name in DATA_FILES:
        try:
            status = os.stat(path / name)
        except OSError:
            return ()
        found.append((status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return tuple(found)


def map_pack(path: Path, states: States, **facts: Any) -> Pack:
    """Map the files of a pack that is as it was written.

    Args:
        states: of the files, from before their checksums were compared.
        facts: the fields of a `Pack` that tell what is in the files.
    """
    shape, values = (len(facts["names"]), *facts["size"]), facts["values"]
    return Pack(
        path=path,
        images=np.memmap(path / IMAGES, values.dtype, "r", shape=(*shape, values.bands)),
        labels=np.memmap(path / LABELS, np.uint8, "r", shape=shape),
        truths=_mapped(path / TRUTH),
        numbers=_mapped(path / INSTANCES),
        states=states,
        **facts,
    )


def _mapped(path: Path) -> np.ndarray:
    """Map a file of any size; an empty one can't be mapped."""
    return np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)
