"""Runs of labels: every array comes back as it was, and damage is an error, never other labels."""

import numpy as np
import pytest

from bench.data.packing.runs import Runs, pixels

RNG = np.random.default_rng(0)
ARRAYS = {
    "one pixel": np.array([[7]], np.uint8),
    "one value": np.full((30, 40), 255, np.uint8),
    "noise": RNG.integers(0, 256, (31, 17), np.uint8),
    "a run over the end of a row": np.repeat(np.array([0, 3, 3, 1], np.uint8), 5).reshape(4, 5),
    "a run longer than two bytes": np.zeros((300, 300), np.uint8),
    "columns": np.asfortranarray(np.tile(np.array([0, 0, 2], np.uint8), (6, 5))),
    "numbers": RNG.integers(0, 2**16, (9, 11)).astype(np.uint16),
    "few numbers": np.repeat(np.arange(300, dtype=np.uint16), 40).reshape(100, 120),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_comes_back_as_it_was(name):
    array = ARRAYS[name]
    found = pixels(Runs.of(array).block(), array.shape, array.dtype.type)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("name", [name for name, array in ARRAYS.items() if array.dtype == np.uint8])
def test_the_counts_of_runs_are_those_of_the_pixels(name):
    array = ARRAYS[name]
    np.testing.assert_array_equal(Runs.of(array).counts(), np.bincount(array.ravel(), minlength=256))


@pytest.mark.parametrize("size", [(31, 16), (17, 32), (1, 1)])
def test_runs_of_another_size_are_refused(size):
    with pytest.raises(ValueError, match="another image"):
        pixels(Runs.of(ARRAYS["noise"]).block(), size, np.uint8)


def test_a_damaged_block_is_refused():
    block = Runs.of(ARRAYS["noise"]).block()
    for damaged in (b"", block[:-1], block[:20], b"y" + block[1:]):
        with pytest.raises(ValueError):
            pixels(damaged, (31, 17), np.uint8)


def test_a_mask_of_few_objects_takes_few_bytes():
    mask = np.zeros((768, 768), np.uint8)
    mask[100:140, 200:260] = 1
    assert len(Runs.of(mask).block()) < 200
