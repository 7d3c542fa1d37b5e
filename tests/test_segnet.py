"""SegNet's pooling indices and unpooling, against NumPy and torch; its counts."""

import keras
import numpy as np
import pytest

from bench.architectures.segnet import MaxUnpooling2D, PoolingIndices, build_segnet
from bench.architectures.sizes import check_image_size
from bench.config import catalog
from bench.core.errors import BenchError


def _numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def _features(seed=0):
    return np.random.default_rng(seed).normal(size=(2, 6, 10, 3)).astype(np.float32)


def test_indices_number_a_window_in_reading_order():
    # one channel; two windows side by side: the maximum of the first is below left, of the second above right
    x = np.array([[1, 2, 5, 9], [4, 3, 7, 8]], np.float32).reshape(1, 2, 4, 1)
    assert _numpy(PoolingIndices()(x)).tolist() == [[[[2], [1]]]]


def test_the_first_of_equal_values_counts():
    assert _numpy(PoolingIndices()(np.ones((1, 2, 2, 1), np.float32))).item() == 0


def test_unpooling_puts_values_back():
    values, indices = np.array([5.0, 7.0], np.float32).reshape(1, 1, 2, 1), np.array([3, 0]).reshape(1, 1, 2, 1)
    found = _numpy(MaxUnpooling2D()([values, indices]))
    assert found[0, :, :, 0].tolist() == [[0, 0, 7, 0], [0, 5, 0, 0]]


def _reference(x):
    """Pooled values, put back where they were: by loops."""
    found = np.zeros_like(x)
    for n, y, z, c in np.ndindex(x.shape[0], x.shape[1] // 2, x.shape[2] // 2, x.shape[3]):
        window = x[n, 2 * y : 2 * y + 2, 2 * z : 2 * z + 2, c]
        i, j = np.unravel_index(window.argmax(), (2, 2))
        found[n, 2 * y + i, 2 * z + j, c] = window.max()
    return found


def test_pooling_and_unpooling_are_those_of_a_loop():
    x = _features()
    pooled = keras.layers.MaxPooling2D(2)(x)
    np.testing.assert_array_equal(_numpy(MaxUnpooling2D()([pooled, PoolingIndices()(x)])), _reference(x))


@pytest.mark.needs("torch")
def test_pooling_and_unpooling_are_those_of_torch():
    import torch

    x, other = _features(), _features(1)[:, :3, :5]
    pooled, indices = torch.nn.functional.max_pool2d(
        torch.from_numpy(x.transpose(0, 3, 1, 2).copy()), 2, return_indices=True
    )
    for values in (pooled, torch.from_numpy(other.transpose(0, 3, 1, 2).copy())):
        wanted = torch.nn.functional.max_unpool2d(values, indices, 2).numpy().transpose(0, 2, 3, 1)
        given = values.numpy().transpose(0, 2, 3, 1)
        np.testing.assert_array_equal(_numpy(MaxUnpooling2D()([given, PoolingIndices()(x)])), wanted)


@pytest.mark.slow  # 29 million weights
def test_a_published_count_is_met():
    # the paper: 14.7 million in the encoder (VGG16's convolutions), as many in the decoder
    model = build_segnet((32, 32, 3), 21)
    encoder = [layer for layer in model.layers if layer.name.startswith("encoder") and layer.name.endswith("_conv")]
    assert sum(layer.count_params() for layer in encoder) == 14_714_688
    # decoder: VGG16's in reverse, 3 to 64 channels replaced by 64 to 64: 9 * (64 - 3) * 64 more
    decoder = [layer for layer in model.layers if layer.name.startswith("decoder") and layer.name.endswith("_conv")]
    weights = sum(int(np.prod(layer.kernel.shape)) for layer in decoder)
    assert weights == sum(int(np.prod(layer.kernel.shape)) for layer in encoder) + 9 * (64 - 3) * 64


@pytest.mark.slow
def test_a_vgg16_encoder_passes_its_own_indices():
    model = build_segnet((32, 32, 3), 2, backbone="vgg16")
    for level, layer in enumerate(("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3")):
        assert model.get_layer(f"indices{level}").input is model.get_layer(f"backbone_{layer}").output


def test_bad_options_are_said():
    with pytest.raises(BenchError, match="without a backbone can't take the weights 'imagenet'"):
        build_segnet((32, 32, 3), 2, weights="imagenet")
    with pytest.raises(BenchError, match="as many of each"):
        build_segnet((32, 32, 3), 2, filters=[8, 16], convs=[2])
    spec = catalog.architectures().get("segnet")
    with pytest.raises(BenchError, match="with a backbone has no parameter 'convs'"):
        check_image_size(spec, (32, 32), "vgg16", {"convs": [1]})
    with pytest.raises(BenchError, match=" fits is 36x36"):
        check_image_size(spec, (33, 36), None, {"filters": [8, 8], "convs": [1, 1]})
