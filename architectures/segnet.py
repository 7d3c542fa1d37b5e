"""SegNet: the decoder puts each value back at the position from which the encoder's max pooling took it.

Badrinarayanan, Kendall, Cipolla 2017, "SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image
Segmentation", arXiv:1511.00561.

As in the paper: VGG16's thirteen convolutions and their mirror image, batch norm and ReLU after each; only the
pooling indices pass from encoder to decoder. The classifier is a 1x1 convolution behind the decoder's 64 channels.

Departures: He initialisation from scratch; with the backbone vgg16 the encoder is keras.applications' (no batch norm
in it, so that its ImageNet weights fit). mobilenet, mobilenet_v2 and resnet50 halve by strided convolutions and have no
pooling indices: their decoder is the same with plain (nearest) upsampling, which is no longer SegNet's idea. Its finest
stage has as many channels as the encoder's first convolution: 32 for the MobileNets.

| stride | 1 | 2 | 4 | 8 | 16 | 32 |
| --- | --- | --- | --- | --- | --- | --- |
| encoder | 2 x 64 | 2 x 128 | 3 x 256 | 3 x 512 | 3 x 512 | (pooled) |
| decoder | 2 x 64 | 128, 64 | 2 x 256, 128 | 2 x 512, 256 | 3 x 512 | |

Parameters without backbone, 21 classes: 29.5 million, as the paper's encoder and decoder of 14.7 million each.
"""

from collections.abc import Sequence
from functools import partial
from os import PathLike
from typing import Any

import keras
from keras import KerasTensor, layers, ops

from bench.architectures.backbones import feature_pyramid, feature_stages
from bench.architectures.layers import conv_norm_relu, head
from bench.architectures.sizes import segnet_levels
from bench.core.errors import BenchError
from bench.plugin import architecture

_FILTERS = (64, 128, 256, 512, 512)  # VGG16's
_CONVS = (2, 2, 3, 3, 3)
_VGG16_TAPS = {
    1: "block1_conv2",
    2: "block2_conv2",
    4: "block3_conv3",
    8: "block4_conv3",
    16: "block5_conv3",
    32: "block5_pool",
}
_MOBILENET_WIDTH = 32  # channels of their first convolution
_conv = partial(conv_norm_relu, kernel_initializer="he_normal")


@architecture(
    name="segnet",
    summary="Encoder and decoder; values go back to where max pooling took them from",
    paper="Badrinarayanan, Kendall, Cipolla 2017, arXiv:1511.00561",
    aliases=("seg_net",),
    backbones=("vgg16", "mobilenet", "mobilenet_v2", "resnet50"),
    size_divisor="bench.architectures.sizes:segnet_divisor",
    help={
        "filters": "channels of each stage, finest first; without backbone",
        "convs": "convolutions of each stage; without backbone",
    },
    most={"convs": 32},
    tiny={"filters": (8, 16, 16), "convs": (1, 1, 2)},
)
def build_segnet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    backbone: str | None = None,
    weights: str | PathLike[str] | None = None,
    filters: Sequence[int] = _FILTERS,
    convs: Sequence[int] = _CONVS,
) -> keras.Model:
    """Build SegNet: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        input_shape: (H, W, C); multiples of 2 ** len(filters), 32 with a backbone.
        backbone: None, or a name of `BACKBONES` as the encoder.
        weights: the backbone's weights: None, "imagenet" or the path of a file.
        filters, convs: channels and convolutions of each stage, finest first (VGG16's); without backbone.
    """
    if backbone is None and weights is not None:
        raise BenchError(f"segnet without a backbone can't take the weights '{weights}'. Give a backbone or neither.")
    levels = segnet_levels(filters, convs)
    inputs = keras.Input(input_shape, name="images")

    # === Encoder ===
    indices: list[KerasTensor | None]
    if backbone is None:
        x, indices = _encode(inputs, levels)  # (B, H/32, W/32, 512)
    elif backbone == "vgg16":
        stages = feature_stages(inputs, backbone, weights=weights, taps=_VGG16_TAPS)
        *features, x = stages.values()  # (B, H/32, W/32, 512)
        indices = [PoolingIndices(name=f"indices{i}")(f) for i, f in enumerate(features)]
    else:
        if backbone.startswith("mobilenet"):
            levels[0] = (_MOBILENET_WIDTH, levels[0][1])
        x, indices = feature_pyramid(inputs, backbone, weights=weights)[32], [None] * 5  # (B, H/32, W/32, C)

    # === Decoder ===
    for level in reversed(range(len(levels))):
        width, count = levels[level]
        if indices[level] is None:
            x = layers.UpSampling2D(2, name=f"decoder{level}_up")(x)  # (B, 2h, 2w, C)
        else:
            x = MaxUnpooling2D(name=f"decoder{level}_unpool")([x, indices[level]])  # (B, 2h, 2w, C)
        for index in range(count):
            is_last = index == count - 1
            x = _conv(x, levels[max(level - 1, 0)][0] if is_last else width, name=f"decoder{level}_{index}")

    # === Head ===
    return keras.Model(inputs, head(x, num_classes), name="segnet")


def _encode(x: KerasTensor, levels: Sequence[tuple[int, int]]) -> tuple[KerasTensor, list[KerasTensor | None]]:
    """Return the deepest pooled features, and the pooling indices of each level, finest first."""
    indices: list[KerasTensor | None] = []
    for level, (width, count) in enumerate(levels):
        for index in range(count):
            x = _conv(x, width, name=f"encoder{level}_{index}")
        indices.append(PoolingIndices(name=f"indices{level}")(x))
        x = layers.MaxPooling2D(2, name=f"encoder{level}_pool")(x)
    return x, indices


@keras.saving.register_keras_serializable(package="segbench")
class PoolingIndices(layers.Layer):  # type: ignore[misc]
    """The position of the maximum in each 2x2 window: (B, H, W, C) -> int32 (B, H/2, W/2, C), 0 to 3 in reading order.

    Keras has no max pooling with indices. Of equal values the first one counts. H and W must be even.
    """

    def call(self, x: Any) -> Any:
        _, height, width, channels = x.shape
        windows = ops.reshape(x, (-1, height // 2, 2, width // 2, 2, channels))
        windows = ops.reshape(ops.transpose(windows, (0, 1, 3, 2, 4, 5)), (-1, height // 2, width // 2, 4, channels))
        return ops.cast(ops.argmax(windows, axis=3), "int32")

    def compute_output_spec(self, x: KerasTensor) -> KerasTensor:
        batch, height, width, channels = x.shape
        return KerasTensor((batch, height // 2, width // 2, channels), "int32")


@keras.saving.register_keras_serializable(package="segbench")
class MaxUnpooling2D(layers.Layer):  # type: ignore[misc]
    """An unpooling of [values (B, h, w, C), indices int (B, h, w, C)] to (B, 2h, 2w, C), 0 except at the indices."""

    def call(self, inputs: Any) -> Any:
        x, indices = inputs
        _, height, width, channels = x.shape
        # One-hot times value is XLA-safe and has a plain gradient; a scatter is slow on a GPU.
        windows = ops.one_hot(indices, 4, axis=3, dtype=x.dtype) * ops.expand_dims(x, 3)  # (B, h, w, 4, C)
        windows = ops.reshape(windows, (-1, height, width, 2, 2, channels))
        return ops.reshape(ops.transpose(windows, (0, 1, 3, 2, 4, 5)), (-1, 2 * height, 2 * width, channels))
