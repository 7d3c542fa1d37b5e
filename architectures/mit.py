"""Mix Transformers (MiT), SegFormer's encoders, as networks for backbones.py.

Xie, Wang, Yu, Anandkumar, Alvarez, Luo 2021, "SegFormer: Simple and Efficient Design for Semantic Segmentation with
Transformers", arXiv:2105.15203, section 3.1 and table 6.

A stage is an overlapping patch embedding (a padded, strided convolution and a layer norm), blocks, and a layer norm. A
block adds to its features, each behind a layer norm: efficient self-attention, whose keys and values come from a map
that a convolution has reduced; and Mix-FFN, two linear layers with a 3x3 depthwise convolution and GELU between them.
That convolution tells positions, so images of any size are accepted.

| stride | patch | heads | reduction | mit_b0 | mit_b1 | mit_b2 |
| --- | --- | --- | --- | --- | --- | --- |
| 4 | 7x7 | 1 | 8 | 2 blocks, 32 | 2, 64 | 3, 64 |
| 8 | 3x3 | 2 | 4 | 2, 64 | 2, 128 | 4, 128 |
| 16 | 3x3 | 5 | 2 | 2, 160 | 2, 320 | 6, 320 |
| 32 | 3x3 | 8 | 1 | 2, 256 | 2, 512 | 3, 512 |

As in the authors' code: initial values, the layer norms' epsilons (1e-6 in blocks and at a stage's end, 1e-5 behind an
embedding and a reduction), Mix-FFN four times as wide, and a rate of dropped paths that grows from 0 to 0.1.

Parameters: 3,319,392, 13,151,424 and 24,196,288. The weights' order is that of keras-hub's MiTBackbone, so that
`set_weights` takes its `get_weights`; docs/architectures.md has the lines.
"""

import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from keras import KerasTensor, layers, ops

from bench.core.errors import BenchError

TAPS = {4: "stage1_norm", 8: "stage2_norm", 16: "stage3_norm", 32: "stage4_norm"}
SIZES: Mapping[str, tuple[Sequence[int], Sequence[int]]] = MappingProxyType(  # channels and blocks of the four stages
    {
        "mit_b0": ((32, 64, 160, 256), (2, 2, 2, 2)),
        "mit_b1": ((64, 128, 320, 512), (2, 2, 2, 2)),
        "mit_b2": ((64, 128, 320, 512), (3, 4, 6, 3)),
    }
)
_HEADS = (1, 2, 5, 8)
_REDUCTIONS = (8, 4, 2, 1)
_DROPPED_PATHS = 0.1  # of the last block
_norm = partial(layers.LayerNormalization, epsilon=1e-6)
_inner_norm = partial(layers.LayerNormalization, epsilon=1e-5)


def mix_transformer(
    size: str, *, include_top: bool = False, input_shape: tuple[int, int, int], weights: str | None = None
) -> keras.Model:
    """Build a MiT of `SIZES` like a network of keras.applications: normalised images -> features of stride 32."""
    if include_top or weights is not None:
        raise BenchError("Keras has none")
    return mix_transformer_of(*SIZES[size], input_shape=input_shape, name=size)


def mix_transformer_of(
    filters: Sequence[int], blocks: Sequence[int], *, input_shape: tuple[int, int, int], name: str = "mit"
) -> keras.Model:
    """Build a MiT of four stages with these channels and blocks; H and W are multiples of 32."""
    rates = iter(np.linspace(0.0, _DROPPED_PATHS, sum(blocks)).tolist())
    inputs = x = keras.Input(input_shape)
    for stage, (width, count, heads, reduction) in enumerate(zip(filters, blocks, _HEADS, _REDUCTIONS, strict=True), 1):
        x = _embed(x, width, first=stage == 1, name=f"stage{stage}_embed")  # (B, H/stride, W/stride, width)
        for index, rate in enumerate(itertools.islice(rates, count)):
            x = _block(x, heads, reduction, rate, name=f"stage{stage}_block{index}")
        x = _norm(name=f"stage{stage}_norm")(x)
    return keras.Model(inputs, x, name=name)


def _embed(x: KerasTensor, filters: int, *, first: bool, name: str) -> KerasTensor:
    """Embed overlapping patches: (B, H, W, C) -> (B, H/4, W/4, filters) in the first stage, else (B, H/2, W/2, ...)."""
    patch, strides = (7, 4) if first else (3, 2)
    x = layers.ZeroPadding2D(patch // 2, name=f"{name}_pad")(x)
    x = layers.Conv2D(filters, patch, strides=strides, kernel_initializer=_of_fan_out(), name=f"{name}_conv")(x)
    return _inner_norm(name=f"{name}_norm")(x)


def _block(x: KerasTensor, heads: int, reduction: int, rate: float, *, name: str) -> KerasTensor:
    """Apply self-attention and Mix-FFN, each added to its input: (B, h, w, C) -> (B, h, w, C)."""
    filters = x.shape[-1]
    attention = EfficientAttention(filters, heads, reduction, name=f"{name}_attention")
    attended = attention(_norm(name=f"{name}_attention_norm")(x))
    x = layers.Add(name=f"{name}_attention_add")([x, _drop_path(attended, rate, name=f"{name}_attention_drop")])

    mixed = _norm(name=f"{name}_ffn_norm")(x)
    mixed = _linear(4 * filters, name=f"{name}_ffn_expand")(mixed)
    depthwise = layers.DepthwiseConv2D(
        3, padding="same", depthwise_initializer=_of_fan_out(), name=f"{name}_ffn_depthwise"
    )
    mixed = layers.Activation("gelu", name=f"{name}_ffn_gelu")(depthwise(mixed))
    mixed = _linear(filters, name=f"{name}_ffn_project")(mixed)
    return layers.Add(name=f"{name}_ffn_add")([x, _drop_path(mixed, rate, name=f"{name}_ffn_drop")])


def _drop_path(x: KerasTensor, rate: float, *, name: str) -> KerasTensor:
    """Leave out the whole branch for a share of the images, in training."""
    return layers.Dropout(rate, noise_shape=(None, 1, 1, 1), name=name)(x)


def _linear(filters: int, **options: Any) -> layers.Dense:
    return layers.Dense(filters, kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02), **options)


def _of_fan_out() -> keras.initializers.Initializer:
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


@keras.saving.register_keras_serializable(package="segbench")
class EfficientAttention(layers.Layer):  # type: ignore[misc]
    """Self-attention of a map (B, h, w, filters), with keys and values from one that is smaller on each side.

    Section 3.1, "Efficient Self-Attention": the map is reduced by a convolution whose kernel is its stride, and a layer
    norm.

    Args:
        filters: channels, before and after.
        heads: among which the channels are divided.
        reduction: of height and width, which are multiples of it; 1 for plain self-attention.
    """

    def __init__(self, filters: int, heads: int, reduction: int, **options: Any):
        super().__init__(**options)
        self.filters, self.heads, self.reduction = filters, heads, reduction
        policy = self.dtype_policy
        self.query = _linear(filters, dtype=policy, name="query")
        self.key = _linear(filters, dtype=policy, name="key")
        self.value = _linear(filters, dtype=policy, name="value")
        self.project = _linear(filters, dtype=policy, name="project")
        if reduction > 1:
            kernel = {"kernel_size": reduction, "strides": reduction, "kernel_initializer": _of_fan_out()}
            self.reduce = layers.Conv2D(filters, **kernel, dtype=policy, name="reduce")
            self.norm = _inner_norm(dtype=policy, name="norm")

    def build(self, shape: tuple[int | None, ...]) -> None:
        for layer in self._flatten_layers(include_self=False):
            layer.build((*shape[:-1], self.filters))

    def call(self, x: Any) -> Any:
        reduced = self.norm(self.reduce(x)) if self.reduction > 1 else x
        key, value = self._by_head(self.key(reduced)), self._by_head(self.value(reduced))
        attended = ops.dot_product_attention(self._by_head(self.query(x)), key, value)
        return self.project(ops.reshape(attended, (-1, *x.shape[1:])))

    def _by_head(self, x: Any) -> Any:
        """Make a map into sequences: (B, h, w, filters) -> (B, h w, heads, filters / heads)."""
        _, height, width, filters = x.shape
        return ops.reshape(x, (-1, height * width, self.heads, filters // self.heads))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"filters": self.filters, "heads": self.heads, "reduction": self.reduction}
