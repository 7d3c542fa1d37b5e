"""PSPNet: features pooled over the whole image, its halves, thirds and sixths, beside the features themselves.

Zhao, Shi, Qi, Wang, Jia 2017, "Pyramid Scene Parsing Network", arXiv:1612.01105.

As in the paper: output stride 8 by dilation, average pooling to 1, 2, 3 and 6 bins, 1x1 convolutions that share the
features' channels among the bins, a 3x3 convolution to 512 channels, dropout 0.1, and an auxiliary head on the stage
of stride 16 whose loss counts 0.4 in training.

Departures: the backbones are keras.applications' (the paper's ResNets begin with three 3x3 convolutions and take images
of a fixed size). Pooling and enlarging are products with constant matrices, so that they are the same on all backends
and at any size; the windows follow torch's adaptive pooling if the bins don't divide the feature map evenly.

| stride | features | resnet50 | mobilenet_v2 |
| --- | --- | --- | --- |
| 8 | backbone | 2048 | 320 |
| 8 | four pooled branches | 4 x 512 | 4 x 80 |
| 8 | joined, 3x3 | 4096 -> 512 | 640 -> 512 |
| 1 | logits, bilinear | classes | classes |

The model that is returned has one output and no auxiliary head: neither its parameters nor its saved file have it.
`model.auxiliary_logits` is the head's tensor, which bench/training/engines/engine.py adds for training.

Parameters, resnet50, 21 classes: 46.7 million; semseg's PSPNet-50 differs by its three-convolution stem.
segmentation_models.pytorch's PSPNet has 24,393,173 trainable ones: it pools the 512 channels of stride 8 without
dilation, fuses by a 1x1 convolution, and has a 3x3 head (tests/test_reference_params.py counts each).
"""

from collections.abc import Sequence
from os import PathLike

import keras
from keras import KerasTensor, layers

from bench.architectures.backbones import feature_stages
from bench.architectures.layers import conv_norm_relu, head
from bench.architectures.pooling import pooled
from bench.core.errors import BenchError
from bench.plugin import architecture

_BINS = (1, 2, 3, 6)  # Zhao 2017, section 3.2
_OUTPUT_STRIDES = (8, 16, 32)
_AUXILIARY_FILTERS = 256  # the authors' code


@architecture(
    name="pspnet",
    summary="Features pooled over the image's halves, thirds and sixths; auxiliary loss in training",
    paper="Zhao, Shi, Qi, Wang, Jia 2017, arXiv:1612.01105",
    aliases=("psp_net",),
    backbones=("resnet50", "resnet101", "resnet50_vd", "mobilenet_v2", "mobilenet", "vgg16"),
    default_backbone="resnet50",
    needs_backbone=True,
    size_divisor="output_stride",
    help={
        "output_stride": "stride of the features",
        "bins": "side of each pooled map",
        "filters": "channels of the convolution behind the pyramid",
        "dropout": "rate in front of the classifiers",
        "auxiliary": "train with an auxiliary head on stride 16, its loss times 0.4",
    },
    choices={"output_stride": _OUTPUT_STRIDES},
    tiny={"filters": 32},
)
def build_pspnet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    backbone: str | None = None,
    weights: str | PathLike[str] | None = None,
    output_stride: int = 8,
    bins: Sequence[int] = _BINS,
    filters: int = 512,
    dropout: float = 0.1,
    auxiliary: bool = True,
) -> keras.Model:
    """Build PSPNet: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        input_shape: (H, W, C); multiples of output_stride.
        backbone: a name of `BACKBONES`; None is resnet50.
        weights: the backbone's weights: None, "imagenet" or the path of a file.
        output_stride: 8 (section 3.3), 16 or 32, the stride of the pooled features.
        bins: side of each pooled map (section 3.2).
        filters: channels of the convolution behind the pyramid (512 in the authors' code).
        dropout: rate in front of the classifiers (0.1 in the authors' code).
        auxiliary: whether training has the auxiliary head (section 3.3).
    """
    if output_stride not in _OUTPUT_STRIDES:
        raise BenchError(f"pspnet can't have the output_stride {output_stride}. Accepted: 8, 16, 32.")
    inputs = keras.Input(input_shape, name="images")

    # === Encoder ===
    stages = feature_stages(inputs, backbone or "resnet50", weights=weights, output_stride=output_stride)
    x = stages[32]  # (B, H/8, W/8, C)

    # === Decoder ===
    branches = [pooled(x, side, x.shape[-1] // len(bins)) for side in bins]  # each (B, H/8, W/8, C / 4)
    x = layers.Concatenate(name="pyramid")([x, *branches])  # (B, H/8, W/8, 2 C)
    x = conv_norm_relu(x, filters, use_bias=False, name="fuse")  # (B, H/8, W/8, 512)
    x = layers.Dropout(dropout, name="dropout")(x)

    # === Head ===
    model = keras.Model(inputs, head(x, num_classes, stride=output_stride), name="pspnet")
    if auxiliary:
        model.auxiliary_logits = _auxiliary(stages[16], num_classes, min(16, output_stride), dropout)
    return model


def _auxiliary(x: KerasTensor, num_classes: int, stride: int, dropout: float) -> KerasTensor:
    """Compute logits (B, H, W, num_classes) from the features of an earlier stage."""
    x = conv_norm_relu(x, _AUXILIARY_FILTERS, use_bias=False, name="auxiliary")
    x = layers.Dropout(dropout, name="auxiliary_dropout")(x)
    return head(x, num_classes, stride=stride, name="auxiliary_logits")
