"""Batches: every image equally often, only full batches, the same order for the same seed."""

from collections import Counter
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX
from bench.data import batches
from bench.data.packing.packed import Pack


@dataclass
class FakePack:
    """Ten images of 2 x 3 pixels; image and label i hold the value i."""

    images: np.ndarray
    labels: np.ndarray
    truth = instances = lambda self, index: None
    original_sizes = [(0, 0)] * 10
    rows = Pack.rows


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
        for images, _ in islice(batches.TrainingBatches(pack, np.array(indexes), batch_size, seed=seed), count)
    ]


def test_training_batches_are_whole_bytes_and_belong_together(pack):
    for images, labels in islice(batches.TrainingBatches(pack, np.arange(10), 4, seed=0), 6):
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
    images, _ = next(batches.TrainingBatches(pack, np.arange(10), 10, seed=0))
    images[:] = 200
    assert pack.images.max() == 9


def test_no_training_images_is_an_error(pack):
    with pytest.raises(BenchError, match="no training images"):
        batches.TrainingBatches(pack, np.array([], np.int64), 4, seed=0)


def test_evaluation_keeps_the_order_and_pads_the_last_batch(pack):
    given = list(batches.evaluation(pack, np.arange(1, 10), 4))

    assert [len(batch.rows) for batch in given] == [4, 4, 1]
    assert {batch.images.shape for batch in given} == {(4, 2, 3, 3)}
    assert [[int(row.image[0, 0, 0]) for row in batch.rows] for batch in given] == [[1, 2, 3, 4], [5, 6, 7, 8], [9]]
    images, labels = given[-1].images, given[-1].labels
    assert (images[1:] == 0).all()
    assert (labels[0] == 9).all()
    assert (labels[1:] == IGNORE_INDEX).all()


def test_evaluation_of_whole_batches_pads_nothing(pack):
    assert [len(batch.rows) for batch in batches.evaluation(pack, np.arange(8), 4)] == [4, 4]


# ---------------------------------------------------------------- parts of images


@pytest.fixture
def large():
    """Six images of 20 x 30 whose pixels tell where they lie; one pixel of foreground each, but none in the last."""
    y, x = np.mgrid[:20, :30]
    images = np.stack([np.stack([y, x, np.full_like(y, i)], axis=-1) for i in range(6)]).astype(np.uint8)
    labels = np.zeros((6, 20, 30), np.uint8)
    labels[np.arange(5), [0, 10, 19, 7, 3], [0, 15, 29, 2, 28]] = 1
    labels[:, 12, :] = IGNORE_INDEX  # not the foreground
    return FakePack(images, labels)


def corners(large, crop, count=50, seed=0):
    """(image, top, left) of the parts in `count` batches of 6."""
    found = []
    for images, labels in islice(batches.TrainingBatches(large, np.arange(6), 6, seed=seed, crop=crop), count):
        assert images.shape == (6, *crop.size, 3)
        assert labels.shape == (6, *crop.size)
        for image, part in zip(images, labels, strict=True):
            top, left, number = image[0, 0].tolist()
            here = np.s_[number, top : top + crop.size[0], left : left + crop.size[1]]
            np.testing.assert_array_equal(image, large.images[here])  # one rectangle, of image and labels alike
            np.testing.assert_array_equal(part, large.labels[here])
            found.append((number, top, left))
    return found


def test_parts_lie_anywhere_and_belong_together(large):
    found = corners(large, batches.Crop((8, 10)))
    assert {top for _, top, _ in found} == set(range(13))  # 20 - 8 and 30 - 10 are the last corners
    assert {left for _, _, left in found} == set(range(21))


def test_parts_are_centred_on_the_foreground_where_there_is_some(large):
    found = corners(large, batches.Crop((8, 10), foreground=1.0))
    expected = {0: (0, 0), 1: (6, 10), 2: (12, 20), 3: (3, 0), 4: (0, 20)}  # the pixel less (4, 5), inside the image
    for number, corner in expected.items():
        assert {tuple(place) for i, *place in found if i == number} == {corner}
    assert len({tuple(place) for i, *place in found if i == 5}) > 20  # without foreground: anywhere


def test_the_chance_of_the_foreground_is_kept(large):
    found = corners(large, batches.Crop((8, 10), foreground=0.5), count=200)
    share = np.mean([place == [6, 10] for i, *place in found if i == 1])
    assert share == pytest.approx(0.5, abs=0.1)


def test_the_seed_decides_the_parts_and_the_order_is_that_without(large):
    crop = batches.Crop((8, 10), foreground=0.5)
    assert corners(large, crop, 5) == corners(large, crop, 5)
    assert corners(large, crop, 5) != corners(large, crop, 5, seed=1)
    whole = islice(batches.TrainingBatches(large, np.arange(6), 6, seed=0), 5)
    assert [i for i, *_ in corners(large, crop, 5)] == [i for images, _ in whole for i in images[:, 0, 0, 2].tolist()]
