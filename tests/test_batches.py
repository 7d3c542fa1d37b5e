"""Batches: every image equally often, whole batches, the same order from the same seed."""

from collections import Counter
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pytest

from bench.errors import BenchError
from bench.pipeline import batches
from bench.spec import IGNORE_INDEX


@dataclass
class FakePack:
    """Ten images of 2 x 3 pixels; image and label i hold the value i."""

    images: np.ndarray
    labels: np.ndarray


@pytest.fixture
def pack():
    numbers = np.arange(10, dtype=np.uint8)
    return FakePack(
        np.broadcast_to(numbers[:, None, None, None], (10, 2, 3, 3)),
        np.broadcast_to(numbers[:, None, None], (10, 2, 3)),
    )


def drawn(pack, indexes, batch_size, seed, count):
    """The image numbers in the first `count` batches."""
    return [
        images[:, 0, 0, 0].tolist()
        for images, _ in islice(batches.training(pack, np.array(indexes), batch_size, seed=seed), count)
    ]


def test_training_batches_are_whole_bytes_and_belong_together(pack):
    for images, labels in islice(batches.training(pack, np.arange(10), 4, seed=0), 6):
        assert images.shape == (4, 2, 3, 3)
        assert labels.shape == (4, 2, 3)
        assert images.dtype == labels.dtype == np.uint8
        np.testing.assert_array_equal(images[..., 0], labels)


def test_each_epoch_has_every_image_once_and_the_rest_is_carried_over(pack):
    order = [number for batch in drawn(pack, range(10), 4, 0, 10) for number in batch]  # 40 images: 4 epochs of 10
    epochs = [order[i : i + 10] for i in range(0, 40, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_a_batch_larger_than_the_data_set_repeats_evenly(pack):
    (batch,) = drawn(pack, [2, 5, 7], 7, 0, 1)
    assert set(batch) == {2, 5, 7}
    assert sorted(Counter(batch).values()) == [2, 2, 3]


def test_the_seed_decides_the_order(pack):
    assert drawn(pack, range(10), 4, 1, 5) == drawn(pack, range(10), 4, 1, 5)
    assert drawn(pack, range(10), 4, 1, 5) != drawn(pack, range(10), 4, 2, 5)


def test_batches_are_copies(pack):
    images, _ = next(batches.training(pack, np.arange(10), 10, seed=0))
    images[:] = 200
    assert pack.images.max() == 9


def test_no_training_images_is_an_error(pack):
    with pytest.raises(BenchError, match="no training images"):
        batches.training(pack, np.array([], np.int64), 4, seed=0)


def test_evaluation_keeps_the_order_and_pads_the_last_batch(pack):
    given = list(batches.evaluation(pack, np.arange(1, 10), 4))

    assert [count for _, _, count in given] == [4, 4, 1]
    assert {images.shape for images, _, _ in given} == {(4, 2, 3, 3)}
    assert [images[:count, 0, 0, 0].tolist() for images, _, count in given] == [[1, 2, 3, 4], [5, 6, 7, 8], [9]]
    images, labels, _ = given[-1]
    assert (images[1:] == 0).all()
    assert (labels[0] == 9).all()
    assert (labels[1:] == IGNORE_INDEX).all()


def test_evaluation_of_whole_batches_pads_nothing(pack):
    assert [count for _, _, count in batches.evaluation(pack, np.arange(8), 4)] == [4, 4]
