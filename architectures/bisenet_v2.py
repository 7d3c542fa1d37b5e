"""BiSeNetV2: a wide, shallow branch for detail and a narrow, deep one for meaning, each of which guides the other.

Yu, Gao, Wang, Yu, Shen, Sang 2020, "BiSeNet V2: Bilateral Network with Guided Aggregation for Real-time Semantic
Segmentation", arXiv:2004.02147.

As in the paper (table 1, figures 4 to 6): the detail branch has eight 3x3 convolutions; the semantic branch a stem of
two ways, gather-and-expand layers with expansion 6 and a context layer; guided aggregation multiplies each branch by
what the other says; the head is a 3x3 convolution to 1024 channels and a 1x1 one; four auxiliary heads on the semantic
branch in training (the "booster").

Departures: the auxiliary losses count 0.4, as everywhere in this benchmark, where the paper adds them in full; batch
norm has Keras's momentum; the context layer's last convolution has batch norm and ReLU, as in common implementations,
where figure 4b shows the convolution alone. Depthwise convolutions have no ReLU, as in figure 5; common implementations
give the expanding ones one.

| stride | detail | semantic |
| --- | --- | --- |
| 2 | 64, 64 | stem 16 |
| 4 | 64, 64, 64 | 16 |
| 8 | 128, 128, 128 | 32, 32 |
| 16 | | 64, 64 |
| 32 | | 128, 128, 128, 128, context 128 |
| 8 | guided aggregation 128, head 1024 | |
| 1 | logits, bilinear | |

Trainable parameters, 19 classes, without the auxiliary heads: 3,358,627; the paper gives none.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import KerasTensor, layers

from bench.architectures.layers import conv_norm_relu, head, upsample
from bench.core.errors import BenchError
from bench.plugin import architecture

_DETAIL_FILTERS, _DETAIL_CONVS = (64, 64, 128), (2, 3, 3)  # table 1: at strides 2, 4 and 8
_SEMANTIC_FILTERS, _SEMANTIC_LAYERS = (16, 32, 64, 128), (2, 2, 4)  # table 1: the stem's; at strides 8, 16 and 32
_EXPANSION = 6  # section 4.2
_AUXILIARY_FILTERS = 128


@architecture(
    name="bisenet_v2",
    summary="A wide, shallow branch for detail and a narrow, deep one for meaning; each guides the other",
    paper="Yu, Gao, Wang, Yu, Shen, Sang 2020, arXiv:2004.02147",
    aliases=("bisenetv2", "bisenet"),
    size_divisor=32,
    help={
        "detail_filters": "channels of the detail branch at strides 2, 4, 8",
        "semantic_filters": "channels of the semantic branch at strides 4, 8, 16, 32",
        "head_filters": "channels of the head's convolution",
        "auxiliary": "train with four auxiliary heads, their losses times 0.4",
    },
    tiny={"detail_filters": (16, 16, 32), "semantic_filters": (8, 8, 16, 32), "head_filters": 64},
)
def build_bisenet_v2(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    detail_filters: Sequence[int] = _DETAIL_FILTERS,
    semantic_filters: Sequence[int] = _SEMANTIC_FILTERS,
    head_filters: int = 1024,
    auxiliary: bool = True,
) -> keras.Model:
    """Build BiSeNetV2: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        input_shape: (H, W, C); H and W are multiples of 32.
        detail_filters, semantic_filters: channels of the branches at strides 2, 4, 8 and at 4, 8, 16, 32 (table 1).
        head_filters: 1024 channels of the head's convolution (section 5.2, C_t).
        auxiliary: whether training has the auxiliary heads (section 4.4).
    """
    if len(detail_filters) != 3 or len(semantic_filters) != 4:
        raise BenchError(
            "bisenet_v2 needs 3 detail_filters (strides 2, 4, 8) and 4 semantic_filters (strides 4, 8, 16, 32), not "
            f"{list(detail_filters)} and {list(semantic_filters)}."
        )
    inputs = keras.Input(input_shape, name="images")

    # === Detail branch ===
    x = inputs
    for stage, (filters, count) in enumerate(zip(detail_filters, _DETAIL_CONVS, strict=True)):
        for index in range(count):
            x = _conv(x, filters, strides=2 if index == 0 else 1, name=f"detail{stage}_{index}")
    detail = x  # (B, H/8, W/8, 128)

    # === Semantic branch ===
    x = _stem(inputs, semantic_filters[0])  # (B, H/4, W/4, 16)
    stages = [x]
    for stage, (filters, count) in enumerate(zip(semantic_filters[1:], _SEMANTIC_LAYERS, strict=True)):
        for index in range(count):
            x = _gather_and_expand(x, filters, strides=2 if index == 0 else 1, name=f"semantic{stage}_{index}")
        stages.append(x)
    semantic = _context(x)  # (B, H/32, W/32, 128)

    # === Head ===
    x = _aggregate(detail, semantic)  # (B, H/8, W/8, 128)
    x = _conv(x, head_filters, name="head")
    model = keras.Model(inputs, head(x, num_classes, stride=8), name="bisenet_v2")
    if auxiliary:
        model.auxiliary_logits = [
            _auxiliary(x, num_classes, stride, name=f"auxiliary{stride}")
            for stride, x in zip((4, 8, 16, 32), stages, strict=True)
        ]
    return model


def _stem(images: KerasTensor, filters: int) -> KerasTensor:
    """Halve twice in two ways and join them (figure 4a): (B, H, W, C) -> (B, H/4, W/4, filters)."""
    x = _conv(images, filters, strides=2, name="stem")
    convolved = _conv(x, max(1, filters // 2), 1, name="stem_reduce")
    convolved = _conv(convolved, filters, strides=2, name="stem_down")
    pooled = layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)
    return _conv(layers.Concatenate(name="stem_concat")([convolved, pooled]), filters, name="stem_join")


def _gather_and_expand(x: KerasTensor, filters: int, *, strides: int, name: str) -> KerasTensor:
    """Gather in a 3x3 convolution, expand in depthwise ones, project and add (figure 5b, 5c)."""
    channels = x.shape[-1]
    y = _conv(x, channels, name=f"{name}_gather")
    if strides == 2:
        y = _depthwise(y, name=f"{name}_down", strides=2, depth_multiplier=_EXPANSION)
        y = _depthwise(y, name=f"{name}_expand")
        x = _depthwise(x, name=f"{name}_shortcut_down", strides=2)
        x = _linear(x, filters, name=f"{name}_shortcut")
    else:
        y = _depthwise(y, name=f"{name}_expand", depth_multiplier=_EXPANSION)
    y = _linear(y, filters, name=f"{name}_project")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


def _context(x: KerasTensor) -> KerasTensor:
    """Add what the whole image says (figure 4b): (B, h, w, C) -> (B, h, w, C)."""
    channels = x.shape[-1]
    whole = layers.GlobalAveragePooling2D(keepdims=True, name="context_pool")(x)
    whole = layers.BatchNormalization(name="context_pool_norm")(whole)
    whole = _conv(whole, channels, 1, name="context")
    return _conv(layers.Add(name="context_add")([x, whole]), channels, name="context_join")


def _aggregate(detail: KerasTensor, semantic: KerasTensor) -> KerasTensor:
    """Multiply each branch by what the other says, and sum (figure 6): -> (B, H/8, W/8, 128)."""
    channels = detail.shape[-1]
    fine = layers.Conv2D(channels, 1, use_bias=False, name="fine_conv")(_depthwise(detail, name="fine"))
    coarse = _linear(detail, channels, 3, strides=2, name="coarse")
    # With "same" padding, torch would average over other pixels than the other backends do.
    coarse = layers.ZeroPadding2D(1, name="coarse_pad")(coarse)
    coarse = layers.AveragePooling2D(3, strides=2, name="coarse_pool")(coarse)  # (B, H/32, W/32, 128)
    at_fine = upsample(_linear(semantic, channels, 3, name="meaning_up"), 4, name="meaning_up")
    at_coarse = layers.Conv2D(channels, 1, use_bias=False, name="meaning_conv")(_depthwise(semantic, name="meaning"))
    fine = layers.Multiply(name="fine_guided")([fine, layers.Activation("sigmoid", name="fine_guide")(at_fine)])
    guide = layers.Activation("sigmoid", name="coarse_guide")(at_coarse)
    coarse = upsample(layers.Multiply(name="coarse_guided")([coarse, guide]), 4, name="coarse_up")
    return _linear(layers.Add(name="aggregated")([fine, coarse]), channels, 3, name="aggregated")


def _conv(x: KerasTensor, filters: int, kernel_size: int = 3, *, name: str, **conv: Any) -> KerasTensor:
    return conv_norm_relu(x, filters, kernel_size, use_bias=False, name=name, **conv)


def _linear(x: KerasTensor, filters: int, kernel_size: int = 1, *, name: str, **conv: Any) -> KerasTensor:
    """Apply a convolution and batch norm, without ReLU."""
    x = layers.Conv2D(filters, kernel_size, padding="same", use_bias=False, name=f"{name}_conv", **conv)(x)
    return layers.BatchNormalization(name=f"{name}_norm")(x)


def _depthwise(x: KerasTensor, *, name: str, **conv: Any) -> KerasTensor:
    """Apply a depthwise 3x3 convolution and batch norm, without ReLU."""
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_depthwise", **conv)(x)
    return layers.BatchNormalization(name=f"{name}_depthwise_norm")(x)


def _auxiliary(x: KerasTensor, num_classes: int, stride: int, *, name: str) -> KerasTensor:
    """Compute logits (B, H, W, num_classes) from features at a stride."""
    return head(_conv(x, _AUXILIARY_FILTERS, name=name), num_classes, stride=stride, name=f"{name}_logits")
