"""The effects of U-Net's parameters."""

import keras
import numpy as np
import pytest

from bench.architectures.unet import build_unet
from bench.core.errors import BenchError

pytestmark = pytest.mark.filterwarnings(
    # Keras 3.15 variables and torch's tensors have no copy keyword in __array__ yet
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def _params(**options):
    model = build_unet((16, 16, 3), 2, **{"filters": [4, 8], **options})
    assert model.output.shape == (None, 16, 16, 2)
    return model.count_params()


def test_a_published_count_is_met():
    # the 64..1024 U-Net of a well-known Carvana notebook: UpSampling + concat, three convolutions a block up
    model = build_unet((128, 128, 3), 1, convs_per_decoder_block=3, upsampling="nearest")
    assert model.count_params() == 34_540_737
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == 34_527_041


def test_counts_by_hand():
    # a convolution k x k from a to b channels: k k a b + b
    down = (9 * 3 * 4 + 4) + (9 * 4 * 4 + 4) + (9 * 4 * 8 + 8) + (9 * 8 * 8 + 8)
    head = 4 * 2 + 2
    up = (9 * 8 * 4 + 4) + (9 * 4 * 4 + 4)  # after the transposed convolution to 4 and the concat with 4
    transposed = 2 * 2 * 8 * 4 + 4
    norms = 4 * (4 + 4 + 8 + 8 + 4 + 4)
    assert _params() == down + transposed + up + head + norms
    assert _params(batch_norm=False) == down + transposed + up + head
    wide_up = (9 * (8 + 4) * 4 + 4) + (9 * 4 * 4 + 4)  # bilinear keeps the 8 channels
    assert _params(upsampling="bilinear", batch_norm=False) == down + wide_up + head
    assert _params(convs_per_decoder_block=1, batch_norm=False) == down + transposed + (9 * 8 * 4 + 4) + head
    assert _params(kernel_size=1, batch_norm=False) == (
        (3 * 4 + 4) + (4 * 4 + 4) + (4 * 8 + 8) + (8 * 8 + 8) + transposed + (8 * 4 + 4) + (4 * 4 + 4) + head
    )


def test_depth_cuts_the_filters_or_doubles_on():
    assert _params(filters=[4, 8, 16, 32], depth=1) == _params(filters=[4, 8])
    assert _params(filters=[4], depth=3) == _params(filters=[4, 8, 16, 32])


def test_pix2pix_upsampling_by_hand():
    block = (9 * 8 * 4 + 4) + (9 * 4 * 4 + 4)
    transposed = _params(batch_norm=False) - (2 * 2 * 8 * 4 + 4)
    assert _params(batch_norm=False, upsampling="pix2pix") == transposed + 9 * 8 * 4 + 4 * 4
    no_block = {"batch_norm": False, "convs_per_decoder_block": 0}
    assert _params(**no_block) == _params(batch_norm=False) - block + 4 * 2  # the head sees the skip as well


@pytest.mark.parametrize("upsampling", ["transposed", "bilinear", "nearest", "pix2pix"])
def test_every_upsampling_is_another_function_of_the_same_size(upsampling):
    keras.utils.set_random_seed(0)
    model = build_unet((8, 24, 3), 2, filters=[4, 8], upsampling=upsampling)
    assert tuple(model(np.zeros((1, 8, 24, 3), np.float32)).shape) == (1, 8, 24, 2)


def test_dropout_acts_in_training_only():
    model = build_unet((8, 8, 3), 2, filters=[4, 8], dropout=0.5, batch_norm=False)
    images = np.ones((1, 8, 8, 3), np.float32)
    at_inference = [keras.ops.convert_to_numpy(model(images, training=False)) for _ in range(2)]
    in_training = [keras.ops.convert_to_numpy(model(images, training=True)) for _ in range(2)]
    np.testing.assert_array_equal(*at_inference)
    assert np.abs(in_training[0] - in_training[1]).max() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"upsampling": "cubic"}, "can't have the upsampling 'cubic'.*transposed, bilinear, nearest"),
        ({"weights": "imagenet"}, "without a backbone can't take the weights 'imagenet'"),
        ({"filters": [16]}, "depth of 1 or more"),
        (
            {"backbone": "mobilenet_v2", "decoder_filters": [8, 8]},
            r"needs 5 decoder_filters .* or the first 4, not \[8, 8\]",
        ),
    ],
)
def test_bad_options_are_said(options, message):
    with pytest.raises(BenchError, match=message):
        build_unet((64, 64, 3), 2, **options)
