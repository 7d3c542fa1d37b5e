"""Make batches of images as NumPy arrays, uint8 or uint16; everything else happens on the device."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX
from bench.data.loading.images import Images, ImageSet, Row

Batch = tuple[np.ndarray, np.ndarray]  # images (B, H, W, C), labels (B, H, W)


@dataclass(frozen=True)
class Crop:
    """A rule for cropping a random part from each image.

    With probability `foreground` the crop is centred on a random foreground pixel (neither class 0 nor ignored), and
    moved inside if it would cross the border. Otherwise, and in images without foreground, it lies anywhere.
    """

    size: tuple[int, int]  # height, width in pixels; at most the image's
    foreground: float = 0.0  # probability that the crop is centred on the foreground

    def of(self, image: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> Batch:
        """Return views of the crop of an image (H, W, C) and its labels (H, W); only this part is read from disk."""
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


class Order(Iterator[int]):
    """Endless row numbers: each of `indexes` once an epoch, reshuffled each epoch. They depend only on the seed."""

    def __init__(self, indexes: np.ndarray, seed: int):
        self._indexes, self._waiting = np.asarray(indexes), np.asarray(indexes)[:0]
        self._shuffled = np.random.default_rng(seed)

    def __next__(self) -> int:
        return int(self.take(1)[0])

    def take(self, count: int) -> np.ndarray:
        """Return the next `count` row numbers, (count,)."""
        while len(self._waiting) < count:
            self._waiting = np.concatenate([self._waiting, self._shuffled.permutation(self._indexes)])
        taken, self._waiting = np.split(self._waiting, [count])
        return taken

    def state(self) -> dict[str, Any]:
        """Return the place in the order, as values that JSON can hold."""
        return {"order": self._shuffled.bit_generator.state, "waiting": self._waiting.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned; the row numbers and the seed must be the same."""
        self._shuffled.bit_generator.state = state["order"]
        self._waiting = np.array(state["waiting"], self._indexes.dtype)


class TrainingBatches(Iterator[Batch]):
    """Batches of images (B, H, W, C) and labels (B, H, W), reshuffled each epoch; cropped if `crop`.

    Every batch is full: the images left over from an epoch begin the first batch of the next one, so that each image
    comes equally often and nothing is compiled twice. The order depends only on the seed, not on the crop.

    Args:
        most: the number of batches; None for endless ones, which may be read ahead.
    """

    def __init__(
        self,
        data: Images,
        indexes: np.ndarray,
        batch_size: int,
        *,
        seed: int,
        crop: Crop | None = None,
        most: int | None = None,
    ):
        if len(indexes) == 0:
            raise BenchError("There are no training images to make batches of.")
        self._data, self._batch_size, self._crop, self._most = data, batch_size, crop, most
        self._order, self._crops = Order(indexes, seed), np.random.default_rng((seed, 1))
        self._rows: Iterator[Row] | None = None  # begun with the first batch, since a checkpoint may come before

    def __next__(self) -> Batch:
        if self._rows is None:
            ahead = copy.deepcopy(self._order)  # what reads ahead must not move our place
            self._rows = self._data.rows(ahead if self._most is None else ahead.take(self._most * self._batch_size))
        rows = list(islice(self._rows, self._batch_size))
        if not rows:
            raise StopIteration
        self._order.take(self._batch_size)
        parts = [self._crop.of(row.image, row.labels, self._crops) if self._crop else (row.image, row.labels)
                 for row in rows]  # fmt: skip
        images, labels = zip(*parts, strict=True)
        return np.stack(images), np.stack(labels)

    @property
    def ready(self) -> int:
        """The most images that may be decoded before anybody asks for them."""
        return self._data.ready

    def state(self) -> dict[str, Any]:
        """Return the place in the order of batches, as values that JSON can hold."""
        return {**self._order.state(), "crops": self._crops.bit_generator.state}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned; the images and the seed must be the same."""
        self._order.restore(state)
        self._crops.bit_generator.state = state["crops"]
        self._rows = None


@dataclass(frozen=True)
class EvaluationBatch:
    """Images in order, padded to the batch size with black ones labelled IGNORE_INDEX."""

    images: np.ndarray  # uint8 or uint16 (B, H, W, C)
    labels: np.ndarray  # uint8 (B, H, W)
    rows: Sequence[Row]  # the images that are no padding


def evaluation(
    data: ImageSet, indexes: np.ndarray, batch_size: int, *, native: bool = False
) -> Iterator[EvaluationBatch]:
    """Yield batches in order, of which the last may be padded.

    Args:
        native: whether labels or objects at native size will be asked for.
    """
    found = data.rows(np.asarray(indexes), native=native)
    while rows := list(islice(found, batch_size)):
        images, labels = np.stack([row.image for row in rows]), np.stack([row.labels for row in rows])
        if missing := batch_size - len(rows):
            images = np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0)))
            labels = np.pad(labels, ((0, missing), (0, 0), (0, 0)), constant_values=IGNORE_INDEX)
        yield EvaluationBatch(images, labels, rows)
