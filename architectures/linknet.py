"""LinkNet: a light decoder of transposed convolutions, to whose blocks the encoder's features are added.

Chaurasia, Culurciello 2017, "LinkNet: Exploiting Encoder Representations for Efficient Semantic Segmentation",
arXiv:1707.03718.

As in the paper: a block is a 1x1 convolution to a quarter of its channels, a 3x3 transposed convolution that doubles
the size and a 1x1 convolution to the channels of the encoder's features, which are added; the block at stride 4 keeps
the size; a 3x3 transposed convolution to 32 channels, a 3x3 convolution and a 2x2 transposed convolution to the classes
lead to the image's size. Batch norm and ReLU behind every convolution but the last.

Departures: the paper's encoder is ResNet-18, ours are keras.applications' networks. Its blocks' channels are those of
ResNet-18 (512, 256, 128, 64); ours are those of the backbone's features.

| stride | block, resnet50 | added |
| --- | --- | --- |
| 16 | 2048 -> 512 -> 1024 | 1024 |
| 8 | 1024 -> 256 -> 512 | 512 |
| 4 | 512 -> 128 -> 256 | 256 |
| 4 | 256 -> 64 -> 64 | |
| 2 | 32, 32 | |
| 1 | classes | |

Trainable parameters, 21 classes: resnet50 28,790,933, segmentation_models.pytorch's Linknet 31,178,437; mobilenet_v2
2,338,325, theirs 4,320,519. Its transposed convolutions are 4x4, its fourth block goes on to stride 2 with the
features there, and its encoder has no biases (tests/test_reference_params.py counts each).
"""

from os import PathLike
from typing import Any

import keras
from keras import KerasTensor, layers

from bench.architectures import BACKBONES
from bench.architectures.backbones import feature_pyramid
from bench.architectures.layers import conv_norm_relu
from bench.plugin import architecture


@architecture(
    name="linknet",
    summary="A light decoder of transposed convolutions, to which the encoder's features are added",
    paper="Chaurasia, Culurciello 2017, arXiv:1707.03718",
    aliases=("link_net",),
    backbones=tuple(backbone.name for backbone in BACKBONES),
    default_backbone="resnet50",
    needs_backbone=True,
    size_divisor=32,
    help={"filters": "channels at stride 2"},
    tiny={"filters": 16},
)
def build_linknet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    backbone: str | None = None,
    weights: str | PathLike[str] | None = None,
    filters: int = 32,
) -> keras.Model:
    """Build LinkNet: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        input_shape: (H, W, C); H and W are multiples of 32.
        backbone: a name of `BACKBONES`; None is resnet50.
        weights: the backbone's weights: None, "imagenet" or the path of a file.
        filters: channels of the two convolutions at stride 2 (32 in the paper's figure 1).
    """
    inputs = keras.Input(input_shape, name="images")

    # === Encoder ===
    pyramid = feature_pyramid(inputs, backbone or "resnet50", weights=weights)

    # === Decoder ===
    x = pyramid[32]
    for stride in (16, 8, 4):
        x = _block(x, pyramid[stride].shape[-1], 2, name=f"decoder{stride}")  # (B, H/stride, W/stride, C of the skip)
        x = layers.Add(name=f"decoder{stride}_add")([x, pyramid[stride]])
    x = _block(x, pyramid[min(pyramid)].shape[-1], 1, name="decoder_last")  # (B, H/4, W/4, C)

    # === Head ===
    x = _norm_relu(_transposed(x, filters, 3, 2, name="final0"), name="final0")  # (B, H/2, W/2, 32)
    x = conv_norm_relu(x, filters, use_bias=False, name="final1")
    logits = layers.Conv2DTranspose(num_classes, 2, strides=2, dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name="linknet")


def _block(x: KerasTensor, filters: int, strides: int, *, name: str) -> KerasTensor:
    """Apply a decoder block: (B, h, w, C) -> (B, strides h, strides w, filters)."""
    quarter = max(1, x.shape[-1] // 4)
    x = conv_norm_relu(x, quarter, 1, use_bias=False, name=f"{name}_reduce")
    x = _norm_relu(_transposed(x, quarter, 3, strides, name=f"{name}_up"), name=f"{name}_up")
    return conv_norm_relu(x, filters, 1, use_bias=False, name=f"{name}_expand")


def _transposed(x: KerasTensor, filters: int, kernel_size: int, strides: int, *, name: str) -> Any:
    options = {"strides": strides, "padding": "same", "use_bias": False}
    return layers.Conv2DTranspose(filters, kernel_size, name=f"{name}_conv", **options)(x)


def _norm_relu(x: KerasTensor, *, name: str) -> KerasTensor:
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_norm")(x))
