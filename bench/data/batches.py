"""Make batches from a pack as NumPy arrays, uint8; everything else happens on the device."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX
from bench.data.pack import Pack

Batch = tuple[np.ndarray, np.ndarray]  # images (B, H, W, 3), labels (B, H, W)


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


def training(
    pack: Pack, indexes: np.ndarray, batch_size: int, *, seed: int, crop: Crop | None = None
) -> Iterator[Batch]:
    """Yield endless batches of images (B, H, W, 3) and labels (B, H, W), reshuffled each epoch; cropped if `crop`.

    Every batch is full: the images left over from an epoch begin the first batch of the next one, so that each image
    comes equally often and nothing is compiled twice. The order depends only on the seed, not on the crop.
    """
    if len(indexes) == 0:
        raise BenchError("There are no training images to make batches of.")
    batches = _orders(np.asarray(indexes), batch_size, np.random.default_rng(seed))
    if crop is None:
        return ((pack.images[batch], pack.labels[batch]) for batch in batches)
    rng = np.random.default_rng((seed, 1))
    return (_cropped(pack, batch, crop, rng) for batch in batches)


def _orders(indexes: np.ndarray, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the positions of each batch's images, without end."""
    waiting = rng.permutation(indexes)
    while True:
        while len(waiting) < batch_size:
            waiting = np.concatenate([waiting, rng.permutation(indexes)])
        batch, waiting = waiting[:batch_size], waiting[batch_size:]
        yield batch


def _cropped(pack: Pack, batch: np.ndarray, crop: Crop, rng: np.random.Generator) -> Batch:
    parts = [crop.of(pack.images[index], pack.labels[index], rng) for index in batch]
    images, labels = zip(*parts, strict=True)
    return np.stack(images), np.stack(labels)


def evaluation(pack: Pack, indexes: np.ndarray, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
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
