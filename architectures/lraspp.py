"""LR-ASPP: two 1x1 convolutions on MobileNetV3's features, one of them weighted by what the whole image says.

Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le, Adam 2019, "Searching for MobileNetV3",
arXiv:1905.02244, section 6.4 and figure 10.

As in the paper: output stride 16 by dilation; a 1x1 convolution to 128 channels with batch norm and ReLU, times a
sigmoid of pooled features; twice bilinear; 1x1 classifiers there and on the features of stride 8, summed; bilinear.

Departures: the whole image is pooled, as in torchvision, where the paper pools windows of 49 x 49 with large strides;
the last block keeps its channels, which the paper halves ("LR" and half the channels are separate rows of its table 7).

| stride | features | mobilenet_v3_large |
| --- | --- | --- |
| 16 | backbone, 1x1 | 960 -> 128 |
| 16 | pooled, 1x1, sigmoid | 960 -> 128 |
| 8 | classifier on both | 128, 40 -> classes |
| 1 | logits, bilinear | classes |

Trainable parameters, 21 classes: mobilenet_v3_large 3,221,538, as torchvision's lraspp_mobilenet_v3_large has.
"""

from os import PathLike

import keras
from keras import layers

from bench.architectures import BACKBONES
from bench.architectures.backbones import feature_pyramid
from bench.architectures.layers import conv_norm_relu, upsample
from bench.core.errors import BenchError
from bench.plugin import architecture

_OUTPUT_STRIDES = (16, 32)


@architecture(
    name="lraspp",
    summary="Two 1x1 convolutions, one weighted by the whole image, on MobileNetV3; for small devices",
    paper="Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le, Adam 2019, arXiv:1905.02244",
    aliases=("lr_aspp", "lite_r_aspp"),
    backbones=tuple(backbone.name for backbone in BACKBONES if 16 in backbone.output_strides),
    default_backbone="mobilenet_v3_large",
    needs_backbone=True,
    size_divisor="output_stride",
    help={"output_stride": "stride of the deepest features", "filters": "channels of the deepest features"},
    choices={"output_stride": _OUTPUT_STRIDES},
    tiny={"filters": 32},
)
def build_lraspp(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    backbone: str | None = None,
    weights: str | PathLike[str] | None = None,
    output_stride: int = 16,
    filters: int = 128,
) -> keras.Model:
    """Build LR-ASPP: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        input_shape: (H, W, C); H and W are multiples of output_stride.
        backbone: a name of `BACKBONES` that can be dilated; None is mobilenet_v3_large.
        weights: the backbone's weights: None, "imagenet" or the path of a file.
        output_stride: 16 (section 6.4) or 32, the stride of the deepest features.
        filters: 128 channels of the deepest features (table 7, F).
    """
    if output_stride not in _OUTPUT_STRIDES:
        raise BenchError(f"lraspp can't have the output_stride {output_stride}. Accepted: 16, 32.")
    inputs = keras.Input(input_shape, name="images")

    # === Encoder ===
    pyramid = feature_pyramid(inputs, backbone or "mobilenet_v3_large", weights=weights, output_stride=output_stride)
    deep = pyramid[output_stride]  # (B, H/16, W/16, 960)

    # === Weighted features ===
    x = conv_norm_relu(deep, filters, 1, use_bias=False, name="deep")  # (B, H/16, W/16, 128)
    scale = layers.GlobalAveragePooling2D(keepdims=True, name="scale_pool")(deep)
    scale = layers.Conv2D(filters, 1, use_bias=False, activation="sigmoid", name="scale")(scale)
    x = layers.Multiply(name="scaled")([x, scale])
    x = upsample(x, output_stride // 8, name="scaled_up")  # (B, H/8, W/8, 128)

    # === Head ===
    deep_logits = layers.Conv2D(num_classes, 1, dtype="float32", name="deep_logits")(x)
    fine_logits = layers.Conv2D(num_classes, 1, dtype="float32", name="fine_logits")(pyramid[8])
    logits = layers.Add(dtype="float32", name="logits")([deep_logits, fine_logits])
    return keras.Model(inputs, upsample(logits, 8, name="logits_resized"), name="lraspp")
