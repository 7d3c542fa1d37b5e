"""U-Net++: a U-Net whose skip connections pass through nested, densely joined convolutions.

Zhou, Rahman Siddiquee, Tajbakhsh, Liang 2018, "UNet++: A Nested U-Net Architecture for Medical Image Segmentation",
arXiv:1807.10165.

Node X(i, j) of level i joins X(i, 0) to X(i, j - 1) of its level and, enlarged, the node X(i + 1, j - 1) below.
As in the paper: the X(i, 0) are the encoder, each node is two 3x3 convolutions to 32 * 2 ** i channels, and a 1x1
convolution classifies X(0, 4). As in the authors' code: 2x2 transposed convolutions, bias in every convolution, He
initialisation.

Departures: batch norm after each convolution (the authors' code has none, and dropout 0.5). Deep supervision is an
option and off, as in the authors' code and in segmentation_models.pytorch. With it X(0, 1) to X(0, 3) are classified
too, in training only (the paper's "fast mode" at full depth); each of their losses counts 0.4, where the paper weighs
all alike.

| stride | 1 | 2 | 4 | 8 | 16 | 32 |
| --- | --- | --- | --- | --- | --- | --- |
| nodes x channels | 5 x 32 | 4 x 64 | 3 x 128 | 2 x 256 | 1 x 512 | |
| last node, with a backbone | 16 | 32 | 64 | 128 | 256 | (the backbone's) |
| nodes before it, with a backbone | | 4 | 3 | 2 | 1 | 1 |

With a backbone level 0 is its stride 2 (ConvNeXt: 4), and the nodes before the last have its channels at their stride;
the last node has those of segmentation_models.pytorch, and two convolutions without a skip lead to stride 1.

Parameters without backbone, for one class: 9,056,769, of which 14,592 are of batch norm; the paper's table 3 says 9.04
million. segmentation_models.pytorch's UnetPlusPlus has no biases in front of its batch norms, a 3x3 head, and other
features of MobileNetV2; tests/test_reference_params.py counts each.
"""

from collections.abc import Sequence
from os import PathLike

import keras
from keras import KerasTensor, layers

from bench.architectures import BACKBONES
from bench.architectures.backbones import feature_pyramid
from bench.architectures.layers import conv_norm_relu, head, upsample
from bench.architectures.sizes import unet_levels
from bench.core.errors import BenchError
from bench.plugin import architecture

_FILTERS = (32, 64, 128, 256, 512)  # section 3: 32 * 2 ** i
_DECODER_FILTERS = (256, 128, 64, 32, 16)  # segmentation_models.pytorch's UnetPlusPlus, decoder_channels
_UPSAMPLING = ("transposed", "bilinear")


@architecture(
    name="unet_plus_plus",
    summary="U-Net with nested, densely joined skip connections; deep supervision as an option",
    paper="Zhou, Rahman Siddiquee, Tajbakhsh, Liang 2018, arXiv:1807.10165",
    aliases=("unet++", "unetplusplus", "nested_unet"),
    backbones=tuple(backbone.name for backbone in BACKBONES),
    size_divisor="bench.architectures.sizes:unet_divisor",
    help={
        "filters": "channels of each level, finest first; without backbone",
        "decoder_filters": "channels of the last node at strides 16 to 1; with a backbone",
        "upsampling": "to the next level's size",
        "deep_supervision": "train with a head on each node of the finest level, its loss times 0.4",
    },
    choices={"upsampling": _UPSAMPLING},
    tiny={"filters": (8, 16, 32)},
)
def build_unet_plus_plus(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    backbone: str | None = None,
    weights: str | PathLike[str] | None = None,
    filters: Sequence[int] = _FILTERS,
    decoder_filters: Sequence[int] = _DECODER_FILTERS,
    upsampling: str = "transposed",
    deep_supervision: bool = False,
) -> keras.Model:
    """Build U-Net++: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        input_shape: (H, W, C); multiples of 2 ** (len(filters) - 1), or of 32 with a backbone.
        backbone: None, or a name of `BACKBONES` as the encoder.
        weights: the backbone's weights: None, "imagenet" or the path of a file.
        filters: channels of each level, finest first (section 3 of the paper); without backbone.
        decoder_filters: channels of the last node at strides 16, 8, 4, 2, 1; with a backbone.
        upsampling: "transposed" convolutions that bring the channels to the node's (the authors' code), or "bilinear".
        deep_supervision: whether training has heads on the other nodes of the finest level (section 3.2).
    """
    if upsampling not in _UPSAMPLING:
        raise BenchError(
            f"unet_plus_plus can't have the upsampling '{upsampling}'. Accepted: {', '.join(_UPSAMPLING)}."
        )
    inputs = keras.Input(input_shape, name="images")

    # === Encoder ===
    if backbone:
        if len(decoder_filters) != 5:
            raise BenchError(f"unet_plus_plus needs 5 decoder_filters (strides 16 to 1), not {list(decoder_filters)}.")
        pyramid = feature_pyramid(inputs, backbone, weights=weights)
        features = list(pyramid.values())  # (B, H/2, W/2, C) to (B, H/32, W/32, C); ConvNeXt's from H/4
        last, rest = decoder_filters[len(features) - 2 :: -1], decoder_filters[len(features) - 1 :]
    else:
        if weights is not None:
            raise BenchError(f"unet_plus_plus without a backbone can't take the weights '{weights}'. Give a backbone.")
        last, rest = unet_levels(filters), ()
        features = _encode(inputs, last)  # (B, H, W, 32) to (B, H/16, W/16, 512)

    # === Nested decoder ===
    levels = [[x] for x in features]  # levels[i][j] is X(i, j)
    depth = len(levels) - 1
    for j in range(1, depth + 1):
        for i in range(depth + 1 - j):
            width = last[i] if i + j == depth else features[i].shape[-1]
            up = _upsample(levels[i + 1][j - 1], width, upsampling, name=f"x{i}{j}_up")
            joined = layers.Concatenate(name=f"x{i}{j}_concat")([*levels[i], up])
            levels[i].append(_convs(joined, width, name=f"x{i}{j}"))  # as levels[i][0], `width` channels
    *others, x = levels[0][1:]  # each (B, H, W, 32); with a backbone at half the size
    for index, width in enumerate(rest):
        x = _convs(_upsample(x, width, upsampling, name=f"final{index}_up"), width, name=f"final{index}")

    # === Head ===
    model = keras.Model(inputs, head(x, num_classes), name="unet_plus_plus")
    if deep_supervision:
        model.auxiliary_logits = [
            head(node, num_classes, stride=2 ** len(rest), name=f"auxiliary{j}_logits")
            for j, node in enumerate(others, 1)
        ]
    return model


def _encode(x: KerasTensor, filters: Sequence[int]) -> list[KerasTensor]:
    """Return the features of each level, finest first: X(i, 0)."""
    features: list[KerasTensor] = []
    for i, width in enumerate(filters):
        if i:
            x = layers.MaxPooling2D(2, name=f"x{i}0_pool")(x)
        x = _convs(x, width, name=f"x{i}0")
        features.append(x)
    return features


def _convs(x: KerasTensor, filters: int, *, name: str) -> KerasTensor:
    """Apply two 3x3 convolutions: (B, H, W, C) -> (B, H, W, filters)."""
    for index in range(2):
        x = conv_norm_relu(x, filters, kernel_initializer="he_normal", name=f"{name}_{index}")
    return x


def _upsample(x: KerasTensor, filters: int, upsampling: str, *, name: str) -> KerasTensor:
    """Double the height and width; with `filters` channels if transposed, else with the same."""
    if upsampling == "bilinear":
        return upsample(x, 2, name=name)
    return layers.Conv2DTranspose(filters, 2, strides=2, kernel_initializer="he_normal", name=name)(x)
