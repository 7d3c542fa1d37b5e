"""A pretrained first convolution adapted to other bands computes what the three-band network does on repeated input."""

import keras
import numpy as np
import pytest

from bench.architectures.backbones import adapted, feature_pyramid
from bench.architectures.networks import NETWORKS


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


@pytest.mark.slow
@pytest.mark.parametrize("name", list(NETWORKS))
def test_a_backbone_computes_on_repeated_bands_what_it_does_on_three(name, tmp_path):
    """Compare features with the same weights; convolutions, normalisation and the order of colours are repeated."""
    keras.utils.set_random_seed(0)
    path = str(tmp_path / "pretrained.weights.h5")
    network = NETWORKS[name].build(
        weights=None, include_top=False, input_shape=(96, 96, 3)
    )  # Xception takes 71 or more
    for variable in network.weights:  # moving statistics of 0 and 1 would hide a wrong order
        if "moving_mean" in variable.path:
            variable.assign(np.random.default_rng(0).normal(0, 0.1, variable.shape))
    network.save_weights(path)
    image = np.random.default_rng(1).random((1, 96, 96, 3)).astype(np.float32)
    three, six = (_features(name, path, bands) for bands in (3, 6))
    expected = keras.ops.convert_to_numpy(three(image))
    found = keras.ops.convert_to_numpy(six(np.tile(image, (1, 1, 1, 2))))
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert keras.ops.convert_to_numpy(_features(name, path, 1)(image[..., :1])).shape == expected.shape


def _features(name, path, bands):
    inputs = keras.Input((96, 96, bands))
    pyramid = feature_pyramid(inputs, name, weights=path)
    return keras.Model(inputs, pyramid[min(pyramid)])
