"""A pretrained first convolution adapted to other bands computes what the three-band network does on repeated input."""

import numpy as np
import pytest

from bench.architectures.backbones import adapted


@pytest.mark.parametrize("repeats", [2, 3, 10])
def test_repeated_bands_give_the_sum_of_the_three_band_network(repeats):
    rng = np.random.default_rng(0)
    kernel, pixels = rng.normal(size=(3, 3, 3, 5)).astype(np.float32), rng.random((3, 3, 3)).astype(np.float32)
    expected = np.einsum("hwc,hwcf->f", pixels, kernel)
    many = np.tile(pixels, (1, 1, repeats))
    np.testing.assert_allclose(
        np.einsum("hwc,hwcf->f", many, adapted(kernel, 3 * repeats)), expected, rtol=1e-5, atol=1e-6
    )


def test_one_band_gives_what_three_equal_bands_do():
    rng = np.random.default_rng(1)
    kernel, grey = rng.normal(size=(3, 3, 3, 5)).astype(np.float32), rng.random((3, 3, 1)).astype(np.float32)
    expected = np.einsum("hwc,hwcf->f", np.repeat(grey, 3, axis=2), kernel)
    np.testing.assert_allclose(np.einsum("hwc,hwcf->f", grey, adapted(kernel, 1)), expected, rtol=1e-5, atol=1e-6)


def test_four_bands_get_the_first_kernel_again_and_three_quarters_of_each():
    kernel = np.arange(3, dtype=np.float32).reshape(1, 1, 3, 1)
    assert adapted(kernel, 4).ravel().tolist() == [0.0, 0.75, 1.5, 0.0]
