"""PAN: attention from a pyramid of pooled maps on the deepest features, and a decoder that weighs finer features.

Li, Xiong, An, Wang 2018, "Pyramid Attention Network for Semantic Segmentation", arXiv:1805.10180.

As in the paper: output stride 16 by dilation. Feature Pyramid Attention (section 3.1): the features are pooled three
times, with convolutions of 7x7, 5x5 and 3x3; from coarse to fine each level, behind another such convolution, adds to
what was enlarged; the result multiplies a 1x1 convolution of the features, and the pooled image is added. Global
Attention Upsample (section 3.2): a 3x3 convolution of finer features is multiplied by what the whole image says of the
coarser ones (pooled, 1x1 convolution, batch norm and ReLU; segmentation_models.pytorch: and sigmoid), and added to
these, enlarged.

As in segmentation_models.pytorch: 32 channels in the decoder, one in the pyramid, max pooling, the decoder's steps at
strides 16, 8 and 4.

Departures: the backbones are keras.applications' (the paper's is ResNet-101). Pooling keeps a last odd row or column,
so that images are multiples of 16; segmentation_models.pytorch drops it and needs 128 pixels.

| stride | features, resnet50 | decoder |
| --- | --- | --- |
| 16 | 2048 | pyramid attention: 32 |
| 128, 64, 32 | 2048 pooled | 1 |
| 16, 8, 4 | 1024, 512, 256 | 32 each |
| 1 | logits, bilinear | classes |

Trainable parameters, 21 classes: resnet50 24,286,518, segmentation_models.pytorch's PAN 24,265,596, whose encoder has
no biases, but whose decoder has and ends in a 3x3 convolution; mobilenet_v2 2,114,934, theirs 2,422,332, whose encoder
has other features and the classifier's last convolution (tests/test_reference_params.py counts each).
"""

from os import PathLike

import keras
from keras import KerasTensor, layers

from bench.architectures import BACKBONES
from bench.architectures.backbones import feature_stages
from bench.architectures.layers import conv_norm_relu, head, upsample
from bench.architectures.pooling import LinearResize
from bench.core.errors import BenchError
from bench.plugin import architecture

_OUTPUT_STRIDES = (16, 32)
_KERNELS = (7, 5, 3)  # section 3.1, from fine to coarse


@architecture(
    name="pan",
    summary="Attention from a pyramid of pooled maps, and a decoder that weighs finer features by coarser ones",
    paper="Li, Xiong, An, Wang 2018, arXiv:1805.10180",
    aliases=("pyramid_attention_network",),
    backbones=tuple(backbone.name for backbone in BACKBONES if 16 in backbone.output_strides),
    default_backbone="resnet50",
    needs_backbone=True,
    size_divisor="output_stride",
    help={"output_stride": "stride of the deepest features", "filters": "channels of the decoder"},
    choices={"output_stride": _OUTPUT_STRIDES},
    tiny={"filters": 16},
)
def build_pan(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    backbone: str | None = None,
    weights: str | PathLike[str] | None = None,
    output_stride: int = 16,
    filters: int = 32,
) -> keras.Model:
    """Build PAN: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        input_shape: (H, W, C); H and W are multiples of output_stride.
        backbone: a name of `BACKBONES` that can be dilated; None is resnet50.
        weights: the backbone's weights: None, "imagenet" or the path of a file.
        output_stride: 16 (section 3.3) or 32, the stride of the deepest features.
        filters: channels of the decoder (32 in segmentation_models.pytorch).
    """
    if output_stride not in _OUTPUT_STRIDES:
        raise BenchError(f"pan can't have the output_stride {output_stride}. Accepted: 16, 32.")
    inputs = keras.Input(input_shape, name="images")

    # === Encoder ===
    stages = feature_stages(inputs, backbone or "resnet50", weights=weights, output_stride=output_stride)

    # === Pyramid attention ===
    x = _pyramid_attention(stages[32], filters)  # (B, H/16, W/16, 32)

    # === Decoder ===
    for stride in (16, 8, 4):
        x = _attention_upsample(stages[stride], x, filters, name=f"decoder{stride}")  # (B, H/stride, W/stride, 32)

    # === Head ===
    return keras.Model(inputs, head(x, num_classes, stride=4), name="pan")


def _pyramid_attention(x: KerasTensor, filters: int) -> KerasTensor:
    """Weigh features by a pyramid of pooled maps: (B, h, w, C) -> (B, h, w, filters)."""
    pooled, levels = x, []
    for kernel in _KERNELS:  # at strides 2, 4 and 8 of the features
        name = f"pyramid{kernel}"
        pooled = layers.MaxPooling2D(2, padding="same", name=f"{name}_pool")(pooled)
        pooled = conv_norm_relu(pooled, 1, kernel, use_bias=False, name=f"{name}_down")
        levels.append((conv_norm_relu(pooled, 1, kernel, use_bias=False, name=f"{name}_across"), name))
    (weight, name), *finer = reversed(levels)
    for level, of_level in finer:
        weight = LinearResize(level.shape[1], level.shape[2], method="bilinear", name=f"{name}_up")(weight)
        weight, name = layers.Add(name=f"{of_level}_add")([level, weight]), of_level
    weight = LinearResize(x.shape[1], x.shape[2], method="bilinear", name=f"{name}_up")(weight)  # (B, h, w, 1)
    features = conv_norm_relu(x, filters, 1, use_bias=False, name="features")
    image = layers.GlobalAveragePooling2D(keepdims=True, name="image_pool")(x)
    image = conv_norm_relu(image, filters, 1, use_bias=False, name="image")  # (B, 1, 1, filters)
    return layers.Add(name="image_add")([layers.Multiply(name="features_weighted")([features, weight]), image])


def _attention_upsample(fine: KerasTensor, coarse: KerasTensor, filters: int, *, name: str) -> KerasTensor:
    """Add coarse features to the finer ones that they weigh: (B, h, w, C), (B, h/n, w/n, filters) -> (B, h, w, ...)."""
    weight = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(coarse)
    weight = conv_norm_relu(weight, filters, 1, use_bias=False, name=f"{name}_weight")  # (B, 1, 1, filters)
    fine = conv_norm_relu(fine, filters, use_bias=False, name=f"{name}_fine")
    if (factor := fine.shape[1] // coarse.shape[1]) > 1:
        coarse = upsample(coarse, factor, name=f"{name}_up")
    return layers.Add(name=f"{name}_add")([coarse, layers.Multiply(name=f"{name}_weighted")([fine, weight])])
