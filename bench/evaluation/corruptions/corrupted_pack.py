"""A view of a pack whose images are corrupted when they are read, and whose labels move with them.

The random numbers of an image depend on the kind of corruption and the image's name alone: they are equal for all runs
and all severities. A letterbox's padding stays as it is.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.files import text_hash
from bench.core.specs import IGNORE_INDEX
from bench.data import geometry
from bench.data.pack import Pack
from bench.evaluation.corruptions.corruption_table import CORRUPTIONS, SIDE, Condition
from bench.evaluation.corruptions.moves import Move


class _Rows:
    """An array whose rows are computed when they are read."""

    def __init__(self, row: Callable[[int], NDArray[np.uint8]]):
        self._row = row

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.stack([self._row(int(index)) for index in rows])


class CorruptedPack:
    """The images of a pack under a condition.

    Args:
        resize: the policy by which the pack's images were resized.
    """

    def __init__(self, pack: Pack, condition: Condition, resize: str = "stretch"):
        self.names, self.groups, self.classes = pack.names, pack.groups, pack.classes
        self.images, self.labels = _Rows(self._image), _Rows(self._labels)
        self._pack, self._amount, self._resize = pack, condition.amount, resize
        self._corruption: Any = CORRUPTIONS[condition.kind]

    def truth(self, index: int) -> NDArray[np.uint8]:
        """Return the labels of one row at native size, uint8 (h, w)."""
        return self._moved(self._pack.truth(index), index, IGNORE_INDEX)

    def instances(self, index: int) -> NDArray[Any] | None:
        """Return the numbered objects of one row at native size, (h, w); None if they are unknown."""
        numbers = self._pack.instances(index)
        return None if numbers is None else self._moved(numbers, index, 0)

    def _image(self, index: int) -> NDArray[np.uint8]:
        image = np.array(self._pack.images[index])
        part = self._inner(index, image.shape[:2])
        inner = np.ascontiguousarray(image[part])
        if self._corruption.moves:
            image[part] = self._move(index).image(inner, self._original(index, inner))
        else:
            scale = min(inner.shape[:2]) / SIDE
            image[part] = self._corruption.function(inner, self._amount, self._draws(index), scale)
        return image

    def _labels(self, index: int) -> NDArray[np.uint8]:
        labels = np.array(self._pack.labels[index])
        part = self._inner(index, labels.shape)
        labels[part] = self._moved(np.ascontiguousarray(labels[part]), index, IGNORE_INDEX)
        return labels

    def _moved(self, labels: NDArray[Any], index: int, outside: int) -> NDArray[Any]:
        if not self._corruption.moves:
            return labels
        return self._move(index).labels(labels, self._original(index, labels), outside)

    def _original(self, index: int, array: NDArray[Any]) -> tuple[int, int]:
        """Return the size whose aspect ratio the content has; what was cut to the size of `array` is not stretched."""
        height, width = array.shape[:2] if self._resize == "crop" else self._pack.original_sizes[index]
        return height, width

    def _move(self, index: int) -> Move:
        return self._corruption.function(self._amount, self._draws(index))

    def _draws(self, index: int) -> np.random.Generator:
        return np.random.default_rng(int(text_hash(f"{self._corruption.name}/{self.names[index]}")[:16], 16))

    def _inner(self, index: int, size: tuple[int, ...]) -> tuple[slice, slice]:
        """Return the part of a resized image that isn't padding."""
        (top, left), (height, width) = geometry.inner_box(
            self._pack.original_sizes[index], (size[0], size[1]), self._resize
        )
        return slice(top, top + height), slice(left, left + width)
