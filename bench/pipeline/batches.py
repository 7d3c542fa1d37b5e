"""Batches of a pack as NumPy arrays, uint8: the rest happens on the device."""

from collections.abc import Iterator

import numpy as np

from bench.errors import BenchError
from bench.pipeline.pack import Pack
from bench.spec import IGNORE_INDEX


def training(pack: Pack, indexes: np.ndarray, batch_size: int, *, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Endless batches of images (B, H, W, 3) and labels (B, H, W), reshuffled each epoch.

    Every batch is whole: what an epoch leaves over starts the next one's first batch, so each image
    comes equally often and nothing is compiled twice. The order depends on the seed alone.
    """
    if len(indexes) == 0:
        raise BenchError("There are no training images to make batches of.")
    return _training(pack, np.asarray(indexes), batch_size, np.random.default_rng(seed))


def _training(
    pack: Pack, indexes: np.ndarray, batch_size: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    waiting = rng.permutation(indexes)
    while True:
        while len(waiting) < batch_size:
            waiting = np.concatenate([waiting, rng.permutation(indexes)])
        batch, waiting = waiting[:batch_size], waiting[batch_size:]
        yield pack.images[batch], pack.labels[batch]


def evaluation(pack: Pack, indexes: np.ndarray, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Batches in order, each with its count of valid rows.

    The last one is padded to `batch_size` with black images labelled IGNORE_INDEX.
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
