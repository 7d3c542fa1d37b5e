"""Make batches from a pack as NumPy arrays, uint8; everything else happens on the device."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX
from bench.data.pack import Pack

Batch = tuple[np.ndarray, np.ndarray]  # images (B, H, W, 3), labels (B, H, W)


class Rows(Protocol):
    """An array, or something that computes its rows when they are read."""

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray: ...


class ImageSet(Protocol):
    """Images that a model can be scored on: a pack, or a view of one."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def groups(self) -> tuple[str, ...]: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def images(self) -> Rows: ...

    @property
    def labels(self) -> Rows: ...

    def truth(self, index: int) -> np.ndarray:
        """Return the labels of one row at native size."""

    def instances(self, index: int) -> np.ndarray | None:
        """Return the numbered objects of one row at native size; None if they are unknown."""


@dataclass(frozen=True)
class Crop:
    """A rule for cropping a random part from each image.

    With probability `foreground` the crop is centred on a random foreground pixel (neither class 0 nor ignored), and
    moved inside if it would cross the border. Otherwise, and in images without foreground, it lies anywhere.
    """

    size: tuple[int, int]  # height, width in pixels; at most the image's
    foreground: float = 0.0  # probability that the crop is centred on the foreground

    def of(self, image: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> Batch:
        """Return views of the crop of an image (H, W, 3) and its labels (H, W); only this part is read from disk."""
        top, left = self._corner(labels, rng)
        part = np.s_[top : top + self.size[0], left : left + self.size[1]]
        return image[part], labels[part]

    def _corner(self, labels: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
        room = np.subtract(labels.shape, self.size)
        if rng.random() < self.foreground:
            pixels = np.flatnonzero((labels != 0) & (labels != IGNORE_INDEX))
            if len(pixels):
                y, x = divmod(int(rng.choice(pixels)), labels.shape[1])
                centred = np.subtract((y, x), np.floor_divide(self.size, 2))
                return tuple(np.clip(centred, 0, room).tolist())
        return tuple(rng.integers(0, room + 1).tolist())


class TrainingBatches(Iterator[Batch]):
    """Endless batches of images (B, H, W, 3) and labels (B, H, W), reshuffled each epoch; cropped if `crop`.

    Every batch is full: the images left over from an epoch begin the first batch of the next one, so that each image
    comes equally often and nothing is compiled twice. The order depends only on the seed, not on the crop.
    """

    def __init__(self, pack: Pack, indexes: np.ndarray, batch_size: int, *, seed: int, crop: Crop | None = None):
        if len(indexes) == 0:
            raise BenchError("There are no training images to make batches of.")
        self._pack, self._indexes, self._batch_size, self._crop = pack, np.asarray(indexes), batch_size, crop
        self._waiting = self._indexes[:0]  # shuffled, and not in a batch yet
        self._order, self._crops = np.random.default_rng(seed), np.random.default_rng((seed, 1))

    def __next__(self) -> Batch:
        while len(self._waiting) < self._batch_size:
            self._waiting = np.concatenate([self._waiting, self._order.permutation(self._indexes)])
        batch, self._waiting = np.split(self._waiting, [self._batch_size])
        if self._crop is None:
            return self._pack.images[batch], self._pack.labels[batch]
        return _cropped(self._pack, batch, self._crop, self._crops)

    def state(self) -> dict[str, Any]:
        """Return the place in the order of batches, as values that JSON can hold."""
        generators = {"order": self._order.bit_generator.state, "crops": self._crops.bit_generator.state}
        return {**generators, "waiting": self._waiting.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned; the images and the seed must be the same."""
        self._order.bit_generator.state, self._crops.bit_generator.state = state["order"], state["crops"]
        self._waiting = np.array(state["waiting"], self._indexes.dtype)


def _cropped(pack: Pack, batch: np.ndarray, crop: Crop, rng: np.random.Generator) -> Batch:
    parts = [crop.of(pack.images[index], pack.labels[index], rng) for index in batch]
    images, labels = zip(*parts, strict=True)
    return np.stack(images), np.stack(labels)


def evaluation(pack: ImageSet, indexes: np.ndarray, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Yield batches in order, each with its number of valid images.

    The last batch is padded to `batch_size` with black images labelled IGNORE_INDEX.
    """
    indexes = np.asarray(indexes)
    for start in range(0, len(indexes), batch_size):
        batch = indexes[start : start + batch_size]
        images, labels, count = pack.images[batch], pack.labels[batch], len(batch)
        if count < batch_size:
            rows = (0, batch_size - count)
            images = np.pad(images, (rows, (0, 0), (0, 0), (0, 0)))
            labels = np.pad(labels, (rows, (0, 0), (0, 0)), constant_values=IGNORE_INDEX)
        yield images, labels, count
