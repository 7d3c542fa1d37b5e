"""Reading a pack from the page cache: 32 images of 256 x 256 pixels a batch."""

from dataclasses import dataclass

import numpy as np
import pytest

from bench.data import batches
from bench.data.loading.images import Row

COUNT, SIZE, BATCH = 256, 256, 32


@dataclass
class Rows:
    """The part of a pack that batches read, without a data set behind it."""

    images: np.ndarray
    labels: np.ndarray

    def rows(self, order, *, native=False):
        return (Row(self.images[i], self.labels[i], (SIZE, SIZE), lambda: None, lambda: None) for i in order)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pack")
    arrays = {}
    for name, shape in (("images", (COUNT, SIZE, SIZE, 3)), ("labels", (COUNT, SIZE, SIZE))):
        np.zeros(shape, np.uint8).tofile(folder / name)
        arrays[name] = np.memmap(folder / name, np.uint8, "r", shape=shape)
    return Rows(**arrays)


def test_training_batch(benchmark, rows):
    stream = batches.TrainingBatches(rows, np.arange(COUNT), BATCH, seed=0)
    images, labels = benchmark(next, stream)
    assert images.shape == (BATCH, SIZE, SIZE, 3)
    assert labels.shape == (BATCH, SIZE, SIZE)


def test_evaluation_pass(benchmark, rows):
    counts = benchmark(lambda: [len(batch.rows) for batch in batches.evaluation(rows, np.arange(COUNT - 1), BATCH)])
    assert sum(counts) == COUNT - 1
