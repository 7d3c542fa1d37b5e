"""DeepLabV3 and V3+: features at several dilations (ASPP), which V3+ refines with a light decoder at stride 4.

V3: Chen, Papandreou, Schroff, Adam 2017, "Rethinking Atrous Convolution for Semantic Image Segmentation",
arXiv:1706.05587. V3+: Chen, Zhu, Papandreou, Schroff, Adam 2018, "Encoder-Decoder with Atrous Separable Convolution for
Semantic Image Segmentation", arXiv:1802.02611.

Departures: the backbones are keras.applications' (the papers' are ResNet-50, ResNet-101 and a modified Xception; the
authors' MobileNetV2 leaves out pyramid pooling and decoder), ResNets have no multi-grid; batch norm has Keras's
momentum. As in the papers: rates 6, 12, 18 at output stride 16, doubled at 8; V3's logits trained at the image's size;
in V3+ batch norm and ReLU after the depthwise and after the pointwise half of a separable convolution, 48 channels from
stride 4, two 3x3 convolutions.

| stride | features | mobilenet_v2 | resnet50 |
| --- | --- | --- | --- |
| 16 (or 8) | backbone | 320 | 2048 |
| 16 (or 8) | five branches of ASPP, joined | 5 x 256 -> 256 | the same |
| 1 | V3: logits, bilinear | classes | classes |
| 4 | V3+: backbone | 144 -> 48 | 256 -> 48 |
| 4 | V3+: decoder | 304 -> 256 -> 256 -> classes | the same |
| 1 | V3+: logits, bilinear | classes | classes |

Trainable parameters beside published implementations, 21 classes (tests/test_reference_params.py counts each reason):

| ours | theirs | because |
| --- | --- | --- |
| V3 resnet50: 39,075,093 | torchvision 42,004,074 | its auxiliary head and 3x3 convolution; our biases |
| | segmentation_models.pytorch 39,638,869 | a 3x3 convolution behind its pooling; our ResNet50 has biases |
| V3+ resnet50: 26,722,693 | segmentation_models.pytorch 26,682,725 | batch norm behind depthwise halves; biases |
| V3+ mobilenet_v2: 2,725,573 | segmentation_models.pytorch 4,383,653 | as above; it pools 1280 channels, ours 320 |
| V3+ resnet50, plain convolutions | keras-hub 39,139,232 | one 1x1 convolution in its decoder, ours has two 3x3 |
"""

from collections.abc import Callable
from functools import partial
from os import PathLike
from typing import Any

import keras
from keras import KerasTensor, layers

from bench.architectures.backbones import feature_pyramid
from bench.architectures.layers import conv_norm_relu, head, upsample
from bench.core.errors import BenchError
from bench.plugin import architecture

_OUTPUT_STRIDES = (16, 8)  # Chen 2018, section 3.1
_BACKBONES = (
    *("mobilenet_v2", "mobilenet", "mobilenet_v3_small", "mobilenet_v3_large", "resnet50", "resnet101", "resnet50_vd"),
    *("efficientnet_b0", "efficientnet_b4", "efficientnet_v2_b0", "efficientnet_v2_s"),
)
_LOW_LEVEL_FILTERS = 48  # table 1 of the paper


@architecture(
    name="deeplab",
    summary="DeepLabV3+: dilated pyramid pooling and a light decoder at stride 4",
    paper="Chen, Zhu, Papandreou, Schroff, Adam 2018, arXiv:1802.02611",
    aliases=("deeplab_v3_plus", "deeplabv3plus", "deeplabv3+"),
    backbones=_BACKBONES,
    default_backbone="mobilenet_v2",
    needs_backbone=True,
    size_divisor="output_stride",
    help={
        "output_stride": "stride of the encoder's features",
        "aspp_filters": "channels of each branch of the pyramid pooling",
        "decoder_filters": "channels of the decoder's two convolutions",
        "separable": "depthwise separable 3x3 convolutions in pyramid pooling and decoder",
        "dropout": "rate before the decoder",
    },
    choices={"output_stride": _OUTPUT_STRIDES},
    tiny={"aspp_filters": 32, "decoder_filters": 32},
)
def build_deeplab(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    backbone: str | None = None,
    weights: str | PathLike[str] | None = None,
    output_stride: int = 16,
    aspp_filters: int = 256,
    decoder_filters: int = 256,
    separable: bool = True,
    dropout: float = 0.1,
) -> keras.Model:
    """Build DeepLabV3+: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        input_shape: (H, W, C); multiples of output_stride.
        backbone: a name of `BACKBONES`; None is mobilenet_v2.
        weights: the backbone's weights: None, "imagenet" or the path of a file.
        output_stride: 16 or 8, stride of the encoder's features (section 3.1).
        aspp_filters, decoder_filters: 256 channels (section 3.1, table 2).
        separable: depthwise separable 3x3 convolutions in ASPP and decoder (section 3.1); False for plain ones.
        dropout: rate on the encoder's features; 0.1 as in the authors' code (keep_prob 0.9).
    """
    if output_stride not in _OUTPUT_STRIDES:
        raise BenchError(f"deeplab can't have the output_stride {output_stride}. Accepted: 16, 8.")
    conv = _separable if separable else partial(conv_norm_relu, use_bias=False)
    inputs = keras.Input(input_shape, name="images")

    # === Encoder ===
    pyramid = feature_pyramid(inputs, backbone or "mobilenet_v2", weights=weights, output_stride=output_stride)
    x = _aspp(pyramid[output_stride], aspp_filters, output_stride, conv)  # (B, H/16, W/16, 256)
    x = layers.Dropout(dropout, name="dropout")(x)

    # === Decoder ===
    x = upsample(x, output_stride // 4, name="encoder_up")  # (B, H/4, W/4, 256)
    low = conv_norm_relu(pyramid[4], _LOW_LEVEL_FILTERS, 1, use_bias=False, name="low_level")  # (B, H/4, W/4, 48)
    x = layers.Concatenate(name="decoder_concat")([x, low])  # (B, H/4, W/4, 304)
    x = conv(x, decoder_filters, name="decoder0")  # (B, H/4, W/4, 256)
    x = conv(x, decoder_filters, name="decoder1")

    # === Head ===
    return keras.Model(inputs, head(x, num_classes, stride=4), name="deeplab")


@architecture(
    name="deeplab_v3",
    summary="Dilated pyramid pooling, no decoder",
    paper="Chen, Papandreou, Schroff, Adam 2017, arXiv:1706.05587",
    aliases=("deeplabv3",),
    backbones=_BACKBONES,
    default_backbone="resnet50",
    needs_backbone=True,
    size_divisor="output_stride",
    help={
        "output_stride": "stride of the features",
        "aspp_filters": "channels of each branch of the pyramid pooling",
        "dropout": "rate in front of the classifier",
    },
    choices={"output_stride": _OUTPUT_STRIDES},
    tiny={"aspp_filters": 32},
)
def build_deeplab_v3(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    backbone: str | None = None,
    weights: str | PathLike[str] | None = None,
    output_stride: int = 16,
    aspp_filters: int = 256,
    dropout: float = 0.1,
) -> keras.Model:
    """Build DeepLabV3: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        input_shape: (H, W, C); multiples of output_stride.
        backbone: a name of `BACKBONES`; None is resnet50.
        weights: the backbone's weights: None, "imagenet" or the path of a file.
        output_stride: 16 or 8, stride of the features (section 3.3).
        aspp_filters: 256 channels (section 3.3).
        dropout: rate in front of the classifier; 0.1 as in the authors' code (keep_prob 0.9).
    """
    if output_stride not in _OUTPUT_STRIDES:
        raise BenchError(f"deeplab_v3 can't have the output_stride {output_stride}. Accepted: 16, 8.")
    inputs = keras.Input(input_shape, name="images")

    # === Encoder ===
    pyramid = feature_pyramid(inputs, backbone or "resnet50", weights=weights, output_stride=output_stride)
    plain = partial(conv_norm_relu, use_bias=False)
    x = _aspp(pyramid[output_stride], aspp_filters, output_stride, plain)  # (B, H/16, W/16, 256)
    x = layers.Dropout(dropout, name="dropout")(x)

    # === Head ===
    return keras.Model(inputs, head(x, num_classes, stride=output_stride), name="deeplab_v3")


def _aspp(x: KerasTensor, filters: int, output_stride: int, conv: Callable[..., Any]) -> KerasTensor:
    """Apply atrous spatial pyramid pooling: (B, h, w, C) -> (B, h, w, filters)."""
    rates = [rate * 16 // output_stride for rate in (6, 12, 18)]
    pointwise = partial(conv_norm_relu, filters=filters, kernel_size=1, use_bias=False)
    branches = [pointwise(x, name="aspp_1x1")]
    branches += [conv(x, filters, dilation_rate=rate, name=f"aspp_rate{rate}") for rate in rates]
    pooled = layers.GlobalAveragePooling2D(keepdims=True, name="aspp_pool")(x)  # (B, 1, 1, C)
    pooled = pointwise(pooled, name="aspp_image")
    # Enlarging one pixel, bilinear and nearest give the same; nearest only repeats it.
    branches.append(layers.UpSampling2D(x.shape[1:3], name="aspp_image_up")(pooled))
    return pointwise(layers.Concatenate(name="aspp_concat")(branches), name="aspp_project")


def _separable(x: KerasTensor, filters: int, *, dilation_rate: int = 1, name: str) -> KerasTensor:
    """Apply a depthwise 3x3 and a pointwise 1x1 convolution, each with batch norm and ReLU."""
    depthwise = layers.DepthwiseConv2D(
        3, padding="same", dilation_rate=dilation_rate, use_bias=False, name=f"{name}_depthwise"
    )
    x = layers.BatchNormalization(name=f"{name}_depthwise_norm")(depthwise(x))
    x = layers.ReLU(name=f"{name}_depthwise_relu")(x)
    return conv_norm_relu(x, filters, 1, use_bias=False, name=f"{name}_pointwise")
