"""U-Net: encoder and decoder joined by a skip connection at every stride.

Ronneberger, Fischer, Brox 2015, "U-Net: Convolutional Networks for Biomedical Image Segmentation", arXiv:1505.04597.

Departures: convolutions are padded, so that logits have the image's size (the paper loses a border of 92 pixels and
crops the skips); batch norm after each convolution (the paper has none); dropout is an option (the paper has it at the
end of the encoder). As in the paper: 2x2 transposed convolutions, bias in every convolution, He initialisation.

| stride | 1 | 2 | 4 | 8 | 16 | 32 |
| --- | --- | --- | --- | --- | --- | --- |
| channels | 64 | 128 | 256 | 512 | 1024 | |
| decoder with a backbone | 16 | 32 | 64 | 128 | 256 | (the backbone's) |

With a backbone the encoder is its feature pyramid at strides 2 to 32, and the decoder goes on to stride 1 without a
skip, with the channels of segmentation_models.pytorch's Unet. That Unet has no biases in front of its batch norms, a
3x3 head, nearest upsampling and other skips from MobileNetV2; tests/test_reference_params.py counts each.

TensorFlow's segmentation tutorial is backbone mobilenet_v2, upsampling "pix2pix", decoder_filters [512, 256, 128, 64],
convs_per_decoder_block 0. It takes MobileNetV2's last features in front of their batch norm; ours are behind it (1,280
parameters more).
"""

from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from typing import Any

import keras
from keras import KerasTensor, layers

from bench.architectures import BACKBONES
from bench.architectures.backbones import feature_pyramid
from bench.architectures.layers import conv_norm_relu, head, upsample
from bench.architectures.sizes import MOST_LEVELS, unet_levels
from bench.core.errors import BenchError
from bench.plugin import architecture

_FILTERS = (64, 128, 256, 512, 1024)  # Ronneberger 2015, figure 1
_DECODER_FILTERS = (256, 128, 64, 32, 16)  # segmentation_models.pytorch's Unet, decoder_channels
_UPSAMPLING = ("transposed", "bilinear", "nearest", "pix2pix")


@architecture(
    name="unet",
    summary="Encoder and decoder with a skip connection at every stride",
    paper="Ronneberger, Fischer, Brox 2015, arXiv:1505.04597",
    aliases=("u_net",),
    backbones=tuple(backbone.name for backbone in BACKBONES),
    size_divisor="bench.architectures.sizes:unet_divisor",
    help={
        "filters": "channels of each level, finest first; without backbone",
        "depth": "halvings of the image; cuts `filters` or doubles on; without backbone",
        "decoder_filters": "channels at strides 16 to 1, or to 2; with a backbone",
        "kernel_size": "of the convolutions in the blocks",
        "convs_per_block": "convolutions a block down; without backbone",
        "convs_per_decoder_block": "convolutions a block up, 0 for none",
        "upsampling": "to the next level's size",
        "dropout": "rate after the first convolution of each block",
        "batch_norm": "after each convolution, the backbone's own aside",
    },
    choices={"upsampling": _UPSAMPLING},
    most={"depth": MOST_LEVELS, "kernel_size": 63, "convs_per_block": 32, "convs_per_decoder_block": 32},
    tiny={"filters": (8, 16, 32)},
)
def build_unet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    backbone: str | None = None,
    weights: str | PathLike[str] | None = None,
    filters: Sequence[int] = _FILTERS,
    depth: int | None = None,
    decoder_filters: Sequence[int] = _DECODER_FILTERS,
    kernel_size: int = 3,
    convs_per_block: int = 2,
    convs_per_decoder_block: int = 2,
    upsampling: str = "transposed",
    dropout: float = 0.0,
    batch_norm: bool = True,
) -> keras.Model:
    """Build U-Net: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        input_shape: (H, W, C); multiples of 2 ** depth, or of 32 with a backbone.
        backbone: None, or a name of `BACKBONES` as the encoder.
        weights: the backbone's weights: None, "imagenet" or the path of a file.
        filters: channels of each level, finest first (figure 1 of the paper); without backbone.
        depth: how often the image is halved; it cuts `filters` or continues by doubling the last. None: all of
            `filters`.
        decoder_filters: channels at strides 16, 8, 4, 2, 1; with a backbone. Without the last one, the classifier is
            a 3x3 transposed convolution from stride 2 to 1.
        convs_per_block, convs_per_decoder_block, kernel_size, upsampling: two 3x3 convolutions a block and 2x2
            transposed convolutions that bring the channels to the level's (the paper). "bilinear" and "nearest" keep
            the channels; "pix2pix" is a 3x3 transposed convolution with batch norm and ReLU (Isola 2016,
            arXiv:1611.07004, as TensorFlow's tutorials have it).
        dropout: rate after the first convolution of each block; 0 for none.
    """
    if upsampling not in _UPSAMPLING:
        raise BenchError(f"unet can't have the upsampling '{upsampling}'. Accepted: {', '.join(_UPSAMPLING)}.")
    block = partial(_block, kernel_size=kernel_size, dropout=dropout, batch_norm=batch_norm)
    inputs = keras.Input(input_shape, name="images")

    # === Encoder ===
    skips: list[KerasTensor | None]
    if backbone:
        widths = list(decoder_filters)
        if len(widths) not in (4, 5):
            raise BenchError(f"unet needs 5 decoder_filters (strides 16, 8, 4, 2, 1) or the first 4, not {widths}.")
        pyramid = feature_pyramid(inputs, backbone, weights=weights)
        x = pyramid[32]  # (B, H/32, W/32, C)
        skips = [pyramid.get(stride) for stride in (16, 8, 4, 2, 1)[: len(widths)]]  # ConvNeXt: none at 2; none at 1
    else:
        if weights is not None:
            raise BenchError(f"unet without a backbone can't take the weights '{weights}'. Give a backbone or neither.")
        levels = unet_levels(filters, depth)
        x, skips = _encode(inputs, levels, partial(block, convs=convs_per_block))  # (B, H/2^depth, W/2^depth, C)
        widths = levels[-2::-1]

    # === Decoder ===
    for index, (skip, width) in enumerate(zip(skips, widths, strict=True), start=1):
        x = _upsample(x, width, upsampling, name=f"decoder{index}_up")  # (B, 2h, 2w, C)
        if skip is not None:
            x = layers.Concatenate(name=f"decoder{index}_concat")([skip, x])
        x = block(x, width, convs=convs_per_decoder_block, name=f"decoder{index}")  # (B, 2h, 2w, width)

    # === Head ===
    doubles = backbone and len(widths) == 4
    logits = _transposed(x, num_classes, name="logits", dtype="float32") if doubles else head(x, num_classes)
    return keras.Model(inputs, logits, name="unet")


def _encode(x: KerasTensor, levels: Sequence[int], block: Callable[..., Any]) -> tuple[KerasTensor, list[KerasTensor]]:
    """Return the deepest features, and those of the levels above, deepest first."""
    features = []
    for index, width in enumerate(levels):
        if index:
            x = layers.MaxPooling2D(2, name=f"encoder{index}_pool")(x)
        x = block(x, width, name=f"encoder{index}")
        features.append(x)
    return x, features[-2::-1]


def _block(
    x: KerasTensor, filters: int, *, convs: int, kernel_size: int, dropout: float, batch_norm: bool, name: str
) -> KerasTensor:
    """Apply the convolutions of one level: (B, H, W, C) -> (B, H, W, filters)."""
    for index in range(convs):
        x = conv_norm_relu(
            x,
            filters,
            kernel_size,
            batch_norm=batch_norm,
            kernel_initializer="he_normal",  # the paper, section 3: std sqrt(2 / N)
            name=f"{name}_{index}",
        )
        if dropout and index == 0:
            x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return x


def _upsample(x: KerasTensor, filters: int, upsampling: str, *, name: str) -> KerasTensor:
    """Double the height and width; with `filters` channels if transposed or pix2pix, else with the same."""
    if upsampling == "transposed":
        return layers.Conv2DTranspose(filters, 2, strides=2, kernel_initializer="he_normal", name=name)(x)
    if upsampling == "nearest":
        return layers.UpSampling2D(2, name=name)(x)
    if upsampling == "pix2pix":
        x = _transposed(x, filters, name=name, use_bias=False)
        x = layers.BatchNormalization(name=f"{name}_norm")(x)
        return layers.ReLU(name=f"{name}_relu")(x)
    return upsample(x, 2, name=name)


def _transposed(x: KerasTensor, filters: int, *, name: str, **options: Any) -> KerasTensor:
    """Apply a 3x3 transposed convolution that doubles the height and width."""
    return layers.Conv2DTranspose(filters, 3, strides=2, padding="same", name=name, **options)(x)
