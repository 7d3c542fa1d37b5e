"""A view of a pack whose images are corrupted when they are read, and whose labels move with them.

The random numbers of an image depend on the kind of corruption and the image's name alone: they are equal for all runs
and all severities. A letterbox's padding stays as it is.
"""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.files import text_hash
from bench.core.specs import IGNORE_INDEX
from bench.data import geometry
from bench.data.loading.images import Endless, ImageSet, Row
from bench.evaluation.corruptions.corruption_table import CORRUPTIONS, SIDE, Condition
from bench.evaluation.corruptions.moves import Move


class CorruptedPack:
    """The images of a pack under a condition.

    Args:
        resize: the policy by which the pack's images were resized.
    """

    def __init__(self, pack: ImageSet, condition: Condition, resize: str = "stretch"):
        self.names, self.groups, self.classes = pack.names, pack.groups, pack.classes
        self._pack, self._amount, self._resize = pack, condition.amount, resize
        self._corruption: Any = CORRUPTIONS[condition.kind]

    def rows(self, order: NDArray[np.int64] | Endless, *, native: bool = False) -> Iterator[Row]:
        """Yield corrupted rows; see `Images.rows`."""
        for index, row in zip(copy.deepcopy(order), self._pack.rows(order, native=native), strict=True):
            yield self._corrupted(row, self.names[index])

    def _corrupted(self, row: Row, name: str) -> Row:
        def instances() -> NDArray[Any] | None:
            numbers = row.instances()
            return None if numbers is None else self._moved(numbers, row, name, 0)

        return Row(
            self._image(row, name),
            self._labels(row, name),
            row.original_size,
            lambda: self._moved(row.truth(), row, name, IGNORE_INDEX),
            instances,
        )

    def _image(self, row: Row, name: str) -> NDArray[Any]:
        image = np.array(row.image)
        part = self._inner(row, image.shape[:2])
        inner = np.ascontiguousarray(image[part])
        if self._corruption.moves:
            image[part] = self._move(name).image(inner, self._original(row, inner))
        else:
            scale = min(inner.shape[:2]) / SIDE
            image[part] = self._corruption.function(inner, self._amount, self._draws(name), scale)
        return image

    def _labels(self, row: Row, name: str) -> NDArray[np.uint8]:
        labels = np.array(row.labels)
        part = self._inner(row, labels.shape)
        labels[part] = self._moved(np.ascontiguousarray(labels[part]), row, name, IGNORE_INDEX)
        return labels

    def _moved(self, labels: NDArray[Any], row: Row, name: str, outside: int) -> NDArray[Any]:
        if not self._corruption.moves:
            return labels
        return self._move(name).labels(labels, self._original(row, labels), outside)

    def _original(self, row: Row, array: NDArray[Any]) -> tuple[int, int]:
        """Return the size whose aspect ratio the content has; what was cut to the size of `array` is not stretched."""
        height, width = array.shape[:2] if self._resize == "crop" else row.original_size
        return height, width

    def _move(self, name: str) -> Move:
        return self._corruption.function(self._amount, self._draws(name))

    def _draws(self, name: str) -> np.random.Generator:
        return np.random.default_rng(int(text_hash(f"{self._corruption.name}/{name}")[:16], 16))

    def _inner(self, row: Row, size: tuple[int, ...]) -> tuple[slice, slice]:
        """Return the part of a resized image that isn't padding."""
        (top, left), (height, width) = geometry.inner_box(row.original_size, (size[0], size[1]), self._resize)
        return slice(top, top + height), slice(left, left + width)
