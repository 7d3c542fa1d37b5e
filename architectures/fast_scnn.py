"""Fast-SCNN: one shallow start for two branches, a deep one at stride 32 and fine features at stride 8, summed.

Poudel, Liwicki, Cipolla 2019, "Fast-SCNN: Fast Semantic Segmentation Network", arXiv:1902.04502.

As in the paper (tables 1 to 3): three convolutions with stride 2 ("learning to downsample", the last two depthwise
separable, with nothing between the halves); nine bottleneck residual blocks with expansion 6; pyramid pooling; a
depthwise convolution with dilation 4 on the enlarged deep features; the sum; two depthwise separable convolutions and
a 1x1 convolution. Auxiliary losses of 0.4 behind the start and behind the deep branch in training.

Departures: dropout 0.1 in front of the classifier (the paper gives no rate); the auxiliary heads are a 3x3 convolution
to 32 channels and a 1x1 one, which the paper doesn't describe; batch norm has Keras's momentum.

| stride | features | channels |
| --- | --- | --- |
| 2, 4, 8 | learning to downsample | 32, 48, 64 |
| 16, 32, 32 | three bottlenecks each | 64, 96, 128 |
| 32 | pyramid pooling | 128 + 4 x 32 -> 128 |
| 8 | fusion and classifier | 128 |
| 1 | logits, bilinear | classes |

Trainable parameters, 19 classes: 1,137,795 without the auxiliary heads; the paper's table 4 says 1.11 million.
"""

from typing import Any

import keras
from keras import KerasTensor, layers

from bench.architectures.layers import conv_norm_relu, head, upsample
from bench.architectures.pooling import pooled
from bench.plugin import architecture

_BINS = (1, 2, 3, 6)  # Zhao 2017, section 3.2
_BLOCKS = ((64, 2), (96, 2), (128, 1))  # table 1: channels and stride of three bottlenecks each
_EXPANSION = 6  # table 1, t
_AUXILIARY_FILTERS = 32


@architecture(
    name="fast_scnn",
    summary="One shallow start, a deep branch at stride 32 and fine features at stride 8, for small devices",
    paper="Poudel, Liwicki, Cipolla 2019, arXiv:1902.04502",
    aliases=("fastscnn",),
    size_divisor=32,
    help={
        "filters": "channels of the fusion and the classifier",
        "repeats": "bottlenecks of each of the three stages of the deep branch",
        "dropout": "rate in front of the classifier",
        "auxiliary": "train with two auxiliary heads, their losses times 0.4",
    },
    tiny={"filters": 32, "repeats": 1},
)
def build_fast_scnn(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    filters: int = 128,
    repeats: int = 3,
    dropout: float = 0.1,
    auxiliary: bool = True,
) -> keras.Model:
    """Build Fast-SCNN: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        input_shape: (H, W, C); H and W are multiples of 32.
        filters: 128 channels of the fusion and the classifier (table 1).
        repeats: 3 bottlenecks in each stage of the deep branch (table 1, n).
        dropout: rate in front of the classifier.
        auxiliary: whether training has the auxiliary heads (section 3.3).
    """
    inputs = keras.Input(input_shape, name="images")

    # === Learning to downsample ===
    x = _conv(inputs, 32, 3, strides=2, name="down0")
    x = _separable(x, 48, strides=2, name="down1")
    fine = x = _separable(x, 64, strides=2, name="down2")  # (B, H/8, W/8, 64)

    # === Deep branch ===
    for stage, (channels, strides) in enumerate(_BLOCKS):
        for index in range(repeats):
            x = _bottleneck(x, channels, strides if index == 0 else 1, name=f"stage{stage}_{index}")
    branches = [pooled(x, side, x.shape[-1] // len(_BINS)) for side in _BINS]
    x = layers.Concatenate(name="pooled")([x, *branches])
    deep = conv_norm_relu(x, filters, 1, use_bias=False, name="pooled")  # (B, H/32, W/32, 128)

    # === Fusion ===
    x = upsample(deep, 4, name="deep_up")
    x = _depthwise(x, name="deep_depthwise", dilation_rate=4)
    x = layers.ReLU(name="deep_depthwise_relu")(x)
    x = _norm(layers.Conv2D(filters, 1, use_bias=False, name="deep_conv")(x), name="deep")
    low = _norm(layers.Conv2D(filters, 1, use_bias=False, name="fine_conv")(fine), name="fine")
    x = layers.ReLU(name="fused")(layers.Add(name="fusion")([x, low]))  # (B, H/8, W/8, 128)

    # === Head ===
    for index in range(2):
        x = _separable(x, filters, strides=1, name=f"classifier{index}")
    x = layers.Dropout(dropout, name="dropout")(x)
    model = keras.Model(inputs, head(x, num_classes, stride=8), name="fast_scnn")
    if auxiliary:
        model.auxiliary_logits = [
            _auxiliary(fine, num_classes, 8, name="auxiliary_fine"),
            _auxiliary(deep, num_classes, 32, name="auxiliary_deep"),
        ]
    return model


def _bottleneck(x: KerasTensor, filters: int, strides: int, *, name: str) -> KerasTensor:
    """Expand, filter each channel and project (table 2): (B, h, w, C) -> (B, h/strides, w/strides, filters)."""
    channels = x.shape[-1]
    y = _conv(x, _EXPANSION * channels, 1, name=f"{name}_expand")
    y = layers.ReLU(name=f"{name}_depthwise_relu")(_depthwise(y, name=f"{name}_depthwise", strides=strides))
    y = _norm(layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project_conv")(y), name=f"{name}_project")
    return layers.Add(name=f"{name}_add")([x, y]) if strides == 1 and channels == filters else y


def _separable(x: KerasTensor, filters: int, *, strides: int, name: str) -> KerasTensor:
    """Apply a depthwise 3x3 and a 1x1 convolution, with no ReLU between them (section 3.2.1)."""
    x = _depthwise(x, name=f"{name}_depthwise", strides=strides)
    return _conv(x, filters, 1, name=f"{name}_pointwise")


def _conv(x: KerasTensor, filters: int, kernel_size: int, *, name: str, **conv: Any) -> KerasTensor:
    return conv_norm_relu(x, filters, kernel_size, use_bias=False, name=name, **conv)


def _depthwise(x: KerasTensor, *, name: str, **conv: Any) -> KerasTensor:
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_conv", **conv)(x)
    return _norm(x, name=name)


def _norm(x: KerasTensor, *, name: str) -> KerasTensor:
    return layers.BatchNormalization(name=f"{name}_norm")(x)


def _auxiliary(x: KerasTensor, num_classes: int, stride: int, *, name: str) -> KerasTensor:
    """Compute logits (B, H, W, num_classes) from features at a stride."""
    return head(_conv(x, _AUXILIARY_FILTERS, 3, name=name), num_classes, stride=stride, name=f"{name}_logits")
