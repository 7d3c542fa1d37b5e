"""Batches of 16 bits give on every backend what the same values in 8 bits do."""

import numpy as np
import pytest
from keras import ops

from bench.training import augment


def converted(images):
    return ops.convert_to_numpy(augment.to_float(ops.convert_to_tensor(images)))


def test_all_values_of_16_bits_arrive():
    """Backends without uint16 compute with wider numbers, never with signed ones of 16 bits."""
    images = np.array([0, 1, 255, 32767, 32768, 65534, 65535], "<u2").reshape(1, 1, 7, 1)
    np.testing.assert_allclose(converted(images), images / 65535, rtol=1e-6)


@pytest.mark.parametrize("preset", ["none", "standard", "strong"])
@pytest.mark.parametrize("bands", [1, 3, 6])
def test_sixteen_bits_are_augmented_as_the_same_values_in_eight(preset, bands):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 8, 12, bands), np.uint8)
    labels, draws = rng.integers(0, 3, (3, 8, 12), np.uint8), augment.draw(preset, rng, 3)
    found = []
    for given in (images, images.astype("<u2") * 257):  # 65535 = 257 * 255
        made = augment.apply(*map(ops.convert_to_tensor, (given, labels, draws)))
        found.append([ops.convert_to_numpy(part) for part in made])
    (shallow, shallow_labels), (deep, deep_labels) = found
    np.testing.assert_allclose(deep, shallow, atol=2e-6)
    np.testing.assert_array_equal(deep_labels, shallow_labels)
