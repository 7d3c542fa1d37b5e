"""Pyramid Attention Network: its two attentions by hand, and the sizes of maps that don't halve three times."""

import keras
import numpy as np
import pytest
from architecture_contract import zero_initializers

from bench.api import build_model
from bench.architectures.pan import _attention_upsample, _pyramid_attention
from bench.core.errors import BenchError

pytestmark = pytest.mark.filterwarnings(
    # Keras 3.15's variables and torch's tensors have no copy keyword in __array__ yet
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
NORM = 1 / np.sqrt(1 + 1e-3)  # an untrained batch norm divides by the root of 1 + its epsilon


def _numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_finer_features_are_weighed_by_the_whole_coarser_map_and_added_to_it():
    fine, coarse = keras.Input((4, 6, 3)), keras.Input((2, 3, 2))
    model = keras.Model([fine, coarse], _attention_upsample(fine, coarse, 2, name="up"))
    rng = np.random.default_rng(0)
    reduce, mix = rng.normal(size=(3, 3, 3, 2)), rng.normal(size=(1, 1, 2, 2))
    model.get_layer("up_fine_conv").kernel.assign(reduce)
    model.get_layer("up_weight_conv").kernel.assign(mix)
    x, y = rng.normal(size=(1, 4, 6, 3)), rng.normal(size=(1, 2, 3, 2))

    padded = np.pad(x[0], ((1, 1), (1, 1), (0, 0)))
    wide = np.array([[np.tensordot(padded[i : i + 3, j : j + 3], reduce, 3) for j in range(6)] for i in range(4)])
    weight = np.maximum(0, y[0].mean(axis=(0, 1)) @ mix[0, 0] * NORM)
    columns = np.array([[0.75, 0.25, 0], [0.25, 0.75, 0], [0, 0.75, 0.25], [0, 0.25, 0.75]])  # not the border's
    up = np.einsum("oh,hwc->owc", [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]], y[0])
    up = np.concatenate([up[:, :1], np.einsum("pw,owc->opc", columns[[0, 1, 2, 3]], up), up[:, -1:]], axis=1)
    wanted = up + np.maximum(0, wide * NORM) * weight
    found = model([x.astype(np.float32), y.astype(np.float32)])
    np.testing.assert_allclose(_numpy(found)[0], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (5, 3), (2, 7), (1, 1)])
def test_constant_features_are_weighed_by_a_constant_at_any_size(height, width):
    """Every level is pooled from equal values and enlarged from equal ones, so no border shows."""
    inputs = keras.Input((height, width, 2))
    model = keras.Model(inputs, _pyramid_attention(inputs, 3))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel = np.zeros(layer.kernel.shape, np.float32)
            kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] = 0.5  # looks at its own pixel alone
            layer.kernel.assign(kernel)
    found = _numpy(model(np.full((1, height, width, 2), 4.0, np.float32)))
    down7 = 4.0 * NORM  # two channels, a half each
    down5 = down7 / 2 * NORM
    across7, across5, across3 = (x / 2 * NORM for x in (down7, down5, down5 / 2 * NORM))
    assert found.shape == (1, height, width, 3)
    np.testing.assert_allclose(found, 4.0 * NORM * (across7 + across5 + across3) + 4.0 * NORM, rtol=1e-4)


@pytest.mark.parametrize(("size", "output_stride"), [((16, 48), 16), ((224, 112), 16), ((96, 32), 32)])
def test_any_multiple_of_the_output_stride_is_accepted(size, output_stride):
    with zero_initializers():
        model = build_model(
            "pan",
            input_shape=(*size, 3),
            num_classes=2,
            backbone="mobilenet_v3_small",
            output_stride=output_stride,
        )
    assert model.output.shape == (None, *size, 2)


def test_another_size_names_the_next_that_fits():
    with pytest.raises(BenchError, match=r"pan.* can't take images of 40x64 .* multiples of 16.* fits is 48x64"):
        build_model("pan", input_shape=(40, 64, 3), num_classes=2, backbone="mobilenet_v2")
