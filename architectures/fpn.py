"""FPN: a top-down pyramid of features, each level enlarged to stride 4 by convolutions and summed.

Kirillov, Girshick, He, Dollar 2019, "Panoptic Feature Pyramid Networks", arXiv:1901.02446: the semantic branch of its
section 3.1, on the pyramid of Lin, Dollar, Girshick, He, Hariharan, Belongie 2017, "Feature Pyramid Networks for Object
Detection", arXiv:1612.03144.

As in the papers: 1x1 convolutions to 256 channels and nearest neighbours on the way down; for each level as many 3x3
convolutions, group norms of 32 groups, ReLUs and bilinear doublings as lead to stride 4 (one without doubling there);
the sum, a 1x1 convolution, and four times bilinear.

Departures: the backbones are keras.applications' (the paper's are ResNets and ResNeXts); dropout 0.2 in front of the
classifier, as in segmentation_models.pytorch. The detector's 3x3 convolutions behind each sum (Lin 2017, section 3) are
left out, as there: each level begins with a 3x3 convolution.

| stride | pyramid | enlarged to stride 4 by |
| --- | --- | --- |
| 32 | 256 | 3 x (3x3 to 128, twice the size) |
| 16 | 256 | 2 x |
| 8 | 256 | 1 x |
| 4 | 256 | one 3x3 to 128 |
| 1 | the sum's logits, bilinear | |

Trainable parameters, 21 classes: resnet50 26,145,173, segmentation_models.pytorch's FPN 26,118,613, whose encoder has
no biases; mobilenet_v2 3,754,645, theirs 4,218,005, whose encoder has other features and the classifier's last
convolution (tests/test_reference_params.py counts each).
"""

import math
from os import PathLike

import keras
from keras import KerasTensor, layers

from bench.architectures import BACKBONES
from bench.architectures.backbones import feature_pyramid
from bench.architectures.layers import head, upsample
from bench.plugin import architecture

_GROUPS = 32  # Wu, He 2018, arXiv:1803.08494, and section 3.1


@architecture(
    name="fpn",
    summary="A top-down pyramid of features, each level enlarged to stride 4 and summed",
    paper="Kirillov, Girshick, He, Dollar 2019, arXiv:1901.02446",
    aliases=("feature_pyramid_network", "panoptic_fpn", "semantic_fpn"),
    backbones=tuple(backbone.name for backbone in BACKBONES),
    default_backbone="resnet50",
    needs_backbone=True,
    size_divisor=32,
    help={
        "pyramid_filters": "channels of each level of the pyramid",
        "filters": "channels of each enlarged level",
        "dropout": "rate in front of the classifier",
    },
    tiny={"pyramid_filters": 32, "filters": 32},
)
def build_fpn(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    backbone: str | None = None,
    weights: str | PathLike[str] | None = None,
    pyramid_filters: int = 256,
    filters: int = 128,
    dropout: float = 0.2,
) -> keras.Model:
    """Build FPN: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        input_shape: (H, W, C); H and W are multiples of 32.
        backbone: a name of `BACKBONES`; None is resnet50.
        weights: the backbone's weights: None, "imagenet" or the path of a file.
        pyramid_filters: 256 channels of each level (section 3.1).
        filters: 128 channels of each enlarged level (section 3.1), in 32 groups or as many as divide them.
        dropout: rate on the sum; 0.2 as in segmentation_models.pytorch.
    """
    inputs = keras.Input(input_shape, name="images")

    # === Encoder ===
    pyramid = feature_pyramid(inputs, backbone or "resnet50", weights=weights)

    # === Pyramid, from coarse to fine ===
    levels: dict[int, KerasTensor] = {}  # stride -> (B, H/stride, W/stride, 256)
    for stride in (32, 16, 8, 4):
        lateral = layers.Conv2D(pyramid_filters, 1, name=f"lateral{stride}")(pyramid[stride])
        if levels:
            above = layers.UpSampling2D(2, name=f"top_down{stride}")(levels[2 * stride])
            lateral = layers.Add(name=f"pyramid{stride}")([above, lateral])
        levels[stride] = lateral

    # === Each level at stride 4 ===
    enlarged = [_enlarge(x, filters, stride, name=f"level{stride}") for stride, x in levels.items()]
    x = layers.Add(name="sum")(enlarged)  # (B, H/4, W/4, 128)
    x = layers.SpatialDropout2D(dropout, name="dropout")(x)

    # === Head ===
    return keras.Model(inputs, head(x, num_classes, stride=4), name="fpn")


def _enlarge(x: KerasTensor, filters: int, stride: int, *, name: str) -> KerasTensor:
    """Apply convolutions that double the size until stride 4: (B, H/stride, W/stride, C) -> (B, H/4, W/4, filters)."""
    for index in range(max(1, (stride // 4).bit_length() - 1)):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_{index}_conv")(x)
        x = layers.GroupNormalization(math.gcd(_GROUPS, filters), name=f"{name}_{index}_norm")(x)
        x = layers.ReLU(name=f"{name}_{index}_relu")(x)
        if stride > 4:
            x = upsample(x, 2, name=f"{name}_{index}_up")
    return x
