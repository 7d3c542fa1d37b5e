"""The images that are trained and evaluated on, decoded beforehand (pack.py) or on the way (stream.py)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from bench.data.reading.values import Values


class Endless(Iterator[int], Protocol):
    """An endless order of row numbers, which can be copied and sent to another process."""

    def take(self, count: int) -> np.ndarray:
        """Return the next row numbers, (count,)."""
        ...


@dataclass(frozen=True)
class Row:
    """One sample at the image size."""

    image: np.ndarray  # uint8 or uint16 (H, W, C)
    labels: np.ndarray  # uint8 (H, W)
    original_size: tuple[int, int]  # h, w
    truth: Callable[[], np.ndarray]  # gives the labels at native size, uint8 (h, w)
    instances: Callable[[], np.ndarray | None]  # gives the objects at native size, see `Images.rows`


class ImageSet(Protocol):
    """Images that a model can be scored on: those of a data set, or a view of them."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def groups(self) -> tuple[str, ...]: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    def rows(self, order: np.ndarray | Endless, *, native: bool = False) -> Iterator[Row]:
        """Yield rows; see `Images.rows`."""
        ...


@dataclass(frozen=True)
class Images(ABC):
    """The N samples of a data set at H x W pixels."""

    fingerprint: str  # hash of names, splits and source bytes, whatever the size
    protocol: int  # the version of how a trial with these pixels runs
    names: tuple[str, ...]
    groups: tuple[str, ...]
    splits: tuple[str, ...]
    size: tuple[int, int]  # H, W
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]  # what a user should look at before training
    values: Values = field(default=Values(), kw_only=True)  # the images' bands, and what was made of their values
    fixed_test: bool = field(default=False, kw_only=True)  # whether the data set itself says which images are the test

    def indexes(self, split: str) -> np.ndarray:
        """Return the row numbers of "train", "val" or "test", int64, ascending."""
        return np.flatnonzero([s == split for s in self.splits]).astype(np.int64)

    @property
    @abstractmethod
    def packed(self) -> bool:
        """Tell whether the images were decoded beforehand."""

    @property
    def ready(self) -> int:
        """The most images of an endless order that may be decoded before anybody asks for them."""
        return 0

    @abstractmethod
    def rows(self, order: np.ndarray | Endless, *, native: bool = False) -> Iterator[Row]:
        """Yield the samples with these row numbers, in that order.

        Args:
            native: whether `truth` and `instances` will be called: the labels (h, w) and the objects, uint16 (h, w),
                numbered from 1, or None if they are unknown.
        """

    def pictures(self, indexes: np.ndarray) -> np.ndarray:
        """Return a few images at once, uint8 or uint16 (N, H, W, C)."""
        found = np.zeros((len(indexes), *self.size, self.values.bands), self.values.dtype)
        for place, row in enumerate(self.rows(indexes)):
            found[place] = row.image
        return found

    @property
    def nbytes(self) -> int:
        """The bytes that it takes in memory."""
        return 0

    def in_memory(self) -> "Images":
        """Return the same images, read into memory if they were decoded beforehand."""
        return self

    @abstractmethod
    def check_unchanged(self) -> None:
        """Raise BenchError if the data has changed since it was opened."""
