"""Operations by hand, and the analytic counts of the families that are published models."""

import keras
import pytest
from keras import layers

from bench.api import build_model
from bench.profiling.flops import flops_by_layer, forward_flops


def test_layers_by_hand():
    inputs = keras.Input((8, 6, 4))
    x = layers.Conv2D(10, 3, strides=2, padding="same", name="conv")(inputs)  # 4 x 3
    x = layers.Conv2D(10, 3, padding="same", groups=2, name="grouped")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.SeparableConv2D(6, 3, padding="same", name="separable")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2DTranspose(5, 2, strides=2, name="transposed")(x)  # 8 x 6
    x = layers.Dense(7, name="dense")(x)
    assert flops_by_layer(keras.Model(inputs, x)) == {
        "conv": 2 * 4 * 3 * 10 * 9 * 4,
        "grouped": 2 * 4 * 3 * 10 * 9 * 5,
        "depthwise": 2 * 4 * 3 * 10 * 9,
        "separable": 2 * 4 * 3 * (10 * 9 + 10 * 6),
        "transposed": 2 * 4 * 3 * 6 * 4 * 5,  # each of the 4 x 3 inputs meets the whole kernel
        "dense": 2 * 8 * 6 * 5 * 7,
    }


def test_a_shared_layer_counts_at_each_call_and_an_unused_one_not():
    inputs = keras.Input((4, 4, 2))
    shared = layers.Conv2D(2, 1, name="shared")
    x = shared(shared(inputs))
    layers.Conv2D(64, 3)(x)
    assert forward_flops(keras.Model(inputs, x)) == 2 * (2 * 4 * 4 * 2 * 2)


def test_nested_models_count():
    inputs = keras.Input((4, 4, 2))
    stem = keras.Sequential([layers.Conv2D(3, 2, strides=2), layers.LayerNormalization()], name="stem")
    assert flops_by_layer(keras.Model(inputs, stem(inputs))) == {"stem": 2 * 2 * 2 * 3 * 4 * 2}


# GFLOP of a forward pass at 256 x 256 with 3 classes, counted by hand from the papers' tables of layers
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "gflop"),
    [
        ("unet", {}, 96.4),  # 64..1024, two convolutions a block, 2x2 transposed convolutions
        ("fcn8", {"backbone": "vgg16"}, 55.4),
        ("segnet", {}, 84.8),
        ("pspnet", {"backbone": "resnet50", "output_stride": 32}, 12.7),
    ],
)
def test_published_models(name, options, gflop):
    model = build_model(name, input_shape=(256, 256, 3), num_classes=3, **options)
    assert forward_flops(model) / 1e9 == pytest.approx(gflop, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "separable", "gflop"),
    [("resnet50", False, 34.2), ("resnet50", True, 18.4), ("mobilenet_v2", False, 13.2), ("mobilenet_v2", True, 2.8)],
)
def test_deeplab_v3_plus(backbone, separable, gflop):
    # A count of 22.8 (ResNet50) and 13.5 (MobileNetV2) is in use too; neither variant of the paper's decoder gives it.
    model = build_model("deeplab", input_shape=(256, 256, 3), num_classes=3, backbone=backbone, separable=separable)
    assert forward_flops(model) / 1e9 == pytest.approx(gflop, rel=0.01)
