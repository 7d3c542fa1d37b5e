"""Fully convolutional networks: class scores at strides 32, 16 and 8, fused from coarse to fine.

Long, Shelhamer, Darrell 2015, "Fully Convolutional Networks for Semantic Segmentation", arXiv:1411.4038. FCN-32s
enlarges the scores of the deepest features, FCN-16s adds those of pool4 on the way, and FCN-8s also those of pool3.

As in the paper: VGG16 with fc6 and fc7 as convolutions, scores that start at zero, transposed 4x4 convolutions between
the strides that start as bilinear interpolation and are trained, fixed bilinear interpolation to the image.

Departures: convolutions are padded "same" (the paper pads the image by 100 pixels and crops the scores), so the last
interpolation repeats the border instead of fading to zero; fc6 and fc7 start at random (keras.applications' weights
"without top" lack them); one training from scratch instead of 32s, then 16s, then 8s. Backbones other than VGG16 have
no fc6 and fc7: their deepest features are already wide or meant to be scored.

| stride | vgg16 | mobilenet | mobilenet_v2 | resnet50 |
| --- | --- | --- | --- | --- |
| 8 (pool3) | 256 -> classes | 256 | 192 | 512 |
| 16 (pool4) | 512 -> classes | 512 | 576 | 1024 |
| 32 (pool5) | 512 -> 4096 -> 4096 -> classes | 1024 | 320 | 2048 |

Parameters: FCN-8s VGG16 with 21 classes has 134.4 million; the paper's table 1 says 134. pytorch-fcn's FCN8s has
112,896 more: its last, fixed transposed convolution (16 x 16 x 21 x 21) counts there and has no weights here.
torchvision's fcn_resnet50 (32,957,013) is another net: no skips, one head with a 3x3 convolution to 512 channels at
stride 8; tests/test_reference_params.py counts the difference.
"""

from collections.abc import Callable
from os import PathLike

import keras
import numpy as np
from keras import KerasTensor, layers

from bench.architectures.backbones import feature_stages
from bench.architectures.layers import conv_norm_relu, upsample
from bench.plugin import Function, architecture

_VGG16_TAPS = {8: "block3_pool", 16: "block4_pool", 32: "block5_pool"}

Weights = str | PathLike[str] | None


def _fcn(stride: int) -> Callable[[Function], Function]:
    """Register the builder whose finest scores are at `stride`."""
    return architecture(
        name=f"fcn{stride}",
        summary=f"Class scores from stride 32 to {stride}, fused from coarse to fine",
        paper="Long, Shelhamer, Darrell 2015, arXiv:1411.4038",
        aliases=(f"fcn_{stride}", f"fcn{stride}s", f"fcn-{stride}s"),
        backbones=("vgg16", "mobilenet", "mobilenet_v2", "resnet50"),
        default_backbone="vgg16",
        needs_backbone=True,
        size_divisor="bench.architectures.sizes:fcn_divisor",
        help={
            "fc_filters": "channels of fc6 and fc7; with vgg16",
            "dropout": "rate behind fc6 and fc7, of other backbones on the deepest features",
        },
    )


@_fcn(32)
def build_fcn32(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    backbone: str | None = None,
    weights: Weights = None,
    fc_filters: int = 4096,
    dropout: float = 0.5,
) -> keras.Model:
    """Build FCN-32s; see `_build`."""
    return _build("fcn32", 32, input_shape, num_classes, backbone, weights, fc_filters, dropout)


@_fcn(16)
def build_fcn16(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    backbone: str | None = None,
    weights: Weights = None,
    fc_filters: int = 4096,
    dropout: float = 0.5,
) -> keras.Model:
    """Build FCN-16s; see `_build`."""
    return _build("fcn16", 16, input_shape, num_classes, backbone, weights, fc_filters, dropout)


@_fcn(8)
def build_fcn8(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    backbone: str | None = None,
    weights: Weights = None,
    fc_filters: int = 4096,
    dropout: float = 0.5,
) -> keras.Model:
    """Build FCN-8s; see `_build`."""
    return _build("fcn8", 8, input_shape, num_classes, backbone, weights, fc_filters, dropout)


def _build(
    name: str,
    finest: int,
    input_shape: tuple[int, int, int],
    num_classes: int,
    backbone: str | None,
    weights: Weights,
    fc_filters: int,
    dropout: float,
) -> keras.Model:
    """Build an FCN: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        finest: 32, 16 or 8, the finest stride that is scored.
        input_shape: (H, W, C); multiples of 32.
        backbone: a name of `BACKBONES`; None is vgg16.
        weights: the backbone's weights: None, "imagenet" or the path of a file.
        fc_filters: channels of fc6 and fc7 (VGG16's 4096); with vgg16.
        dropout: rate behind fc6 and fc7 (0.5 in the authors' code); with other backbones, on the deepest features.
    """
    backbone = backbone or "vgg16"
    inputs = keras.Input(input_shape, name="images")

    # === Encoder ===
    taps = _VGG16_TAPS if backbone == "vgg16" else None
    stages = feature_stages(inputs, backbone, weights=weights, taps=taps)
    x = stages[32]  # (B, H/32, W/32, C)
    if backbone == "vgg16":
        x = _fully_connected(x, fc_filters, 7, dropout, name="fc6")  # (B, H/32, W/32, 4096)
        x = _fully_connected(x, fc_filters, 1, dropout, name="fc7")
    else:
        x = layers.Dropout(dropout, name="dropout")(x)

    # === Decoder ===
    x = _score(x, num_classes, name="score32")  # (B, H/32, W/32, classes)
    for stride in (16, 8):
        if stride >= finest:
            x = _double(x, num_classes, name=f"double{stride}")  # (B, H/stride, W/stride, classes)
            skip = _score(stages[stride], num_classes, name=f"score{stride}")
            x = layers.Add(name=f"fuse{stride}", dtype="float32")([x, skip])

    # === Head ===
    return keras.Model(inputs, upsample(x, finest, name="logits"), name=name)


def _fully_connected(x: KerasTensor, filters: int, kernel_size: int, dropout: float, *, name: str) -> KerasTensor:
    """Apply a fully connected layer of VGG16 as a convolution, with its ReLU and dropout."""
    x = conv_norm_relu(x, filters, kernel_size, batch_norm=False, kernel_initializer="he_normal", name=name)
    return layers.Dropout(dropout, name=f"{name}_dropout")(x)


def _score(x: KerasTensor, num_classes: int, *, name: str) -> KerasTensor:
    """Compute class scores by a 1x1 convolution that starts at zero (section 4.3); float32, since they are logits."""
    return layers.Conv2D(num_classes, 1, kernel_initializer="zeros", dtype="float32", name=name)(x)


def _double(x: KerasTensor, num_classes: int, *, name: str) -> KerasTensor:
    """Double height and width by a transposed convolution that starts as bilinear interpolation of each class."""
    layer = layers.Conv2DTranspose(
        num_classes, 4, strides=2, padding="same", use_bias=False, dtype="float32", name=name
    )
    x = layer(x)
    side = np.array([0.25, 0.75, 0.75, 0.25], np.float32)
    layer.kernel.assign(np.einsum("h,w,oi->hwoi", side, side, np.eye(num_classes, dtype=np.float32)))
    return x
