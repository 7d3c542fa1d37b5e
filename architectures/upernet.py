"""UPerNet: pyramid pooling on the deepest features, a top-down pyramid, and all its levels joined at stride 4.

Xiao, Liu, Zhou, Jiang, Sun 2018, "Unified Perceptual Parsing for Scene Understanding", arXiv:1807.10221; here its
object head alone, as it is used for semantic segmentation.

As in the paper: pooling to 1, 2, 3 and 6 bins, a 1x1 convolution each, and a 3x3 convolution that joins them with the
features; 1x1 convolutions of the other stages, bilinear on the way down; a 3x3 convolution on each level; the levels at
stride 4 joined by another. 512 channels, batch norm and ReLU behind each convolution, as in the authors' code.

Departures: the backbones are keras.applications' (the paper's is ResNet-50); a pooled branch has its 1x1 convolution
before it is enlarged, as in PSPNet, where the authors' code enlarges first; no auxiliary head, which the paper hasn't
either. ConvNeXt with this head is what its authors use (Liu 2022, section 3.3).

| stride | features | resnet50 |
| --- | --- | --- |
| 32 | four pooled branches, joined | 2048 + 4 x 512 -> 512 |
| 16, 8, 4 | level: the stage's 1x1 plus what is above | 512 |
| 4 | four levels, joined | 4 x 512 -> 512 |
| 1 | logits, bilinear | classes |

Trainable parameters with filters=256, 21 classes: resnet50 37,308,693, segmentation_models.pytorch's UPerNet
37,289,813; mobilenet_v2 9,609,749, theirs 13,025,093. Theirs has layer norms on the encoder's features
(tests/test_reference_params.py counts each reason).
"""

from collections.abc import Sequence
from os import PathLike

import keras
from keras import KerasTensor, layers

from bench.architectures import BACKBONES
from bench.architectures.backbones import feature_pyramid
from bench.architectures.layers import conv_norm_relu, head, upsample
from bench.architectures.pooling import pooled
from bench.plugin import architecture

_BINS = (1, 2, 3, 6)  # Zhao 2017, section 3.2


@architecture(
    name="upernet",
    summary="Pyramid pooling, a top-down pyramid, and all its levels joined at stride 4",
    paper="Xiao, Liu, Zhou, Jiang, Sun 2018, arXiv:1807.10221",
    aliases=("uper_net",),
    backbones=tuple(backbone.name for backbone in BACKBONES),
    default_backbone="resnet50",
    needs_backbone=True,
    size_divisor=32,
    help={
        "filters": "channels of each level",
        "bins": "side of each pooled map",
        "dropout": "rate in front of the classifier",
    },
    tiny={"filters": 32},
)
def build_upernet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    backbone: str | None = None,
    weights: str | PathLike[str] | None = None,
    filters: int = 512,
    bins: Sequence[int] = _BINS,
    dropout: float = 0.1,
) -> keras.Model:
    """Build UPerNet: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        input_shape: (H, W, C); H and W are multiples of 32.
        backbone: a name of `BACKBONES`; None is resnet50.
        weights: the backbone's weights: None, "imagenet" or the path of a file.
        filters: 512 channels of each level (the authors' code).
        bins: side of each pooled map (Zhao 2017, section 3.2).
        dropout: rate in front of the classifier (0.1 in the code of ConvNeXt's authors).
    """
    inputs = keras.Input(input_shape, name="images")

    # === Encoder ===
    pyramid = feature_pyramid(inputs, backbone or "resnet50", weights=weights)

    # === Pyramid, from coarse to fine ===
    branches = [pooled(pyramid[32], side, filters) for side in bins]  # each (B, H/32, W/32, 512)
    x = layers.Concatenate(name="pooled")([pyramid[32], *branches])
    x = conv_norm_relu(x, filters, use_bias=False, name="pooled")  # (B, H/32, W/32, 512)
    levels: list[tuple[int, KerasTensor]] = [(32, x)]
    for stride in (16, 8, 4):
        lateral = conv_norm_relu(pyramid[stride], filters, 1, use_bias=False, name=f"lateral{stride}")
        above = upsample(x, 2, name=f"top_down{stride}")
        x = layers.Add(name=f"pyramid{stride}")([lateral, above])  # (B, H/stride, W/stride, 512)
        levels.append((stride, conv_norm_relu(x, filters, use_bias=False, name=f"level{stride}")))

    # === All levels at stride 4 ===
    at_stride4 = [
        x if stride == 4 else upsample(x, stride // 4, name=f"level{stride}_up") for stride, x in reversed(levels)
    ]
    x = layers.Concatenate(name="levels")(at_stride4)  # (B, H/4, W/4, 4 x 512)
    x = conv_norm_relu(x, filters, use_bias=False, name="fuse")  # (B, H/4, W/4, 512)
    x = layers.Dropout(dropout, name="dropout")(x)

    # === Head ===
    return keras.Model(inputs, head(x, num_classes, stride=4), name="upernet")
