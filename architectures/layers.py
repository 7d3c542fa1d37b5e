"""The blocks that two or more families share."""

from typing import Any

from keras import KerasTensor, layers


def conv_norm_relu(
    x: KerasTensor,
    filters: int,
    kernel_size: int = 3,
    *,
    name: str,
    batch_norm: bool = True,
    **conv: Any,
) -> KerasTensor:
    """Apply a convolution that keeps the size, batch norm and ReLU: (B, H, W, C) -> (B, H, W, filters).

    `conv` is passed to keras.layers.Conv2D (use_bias, kernel_initializer, dilation_rate, ...).
    """
    x = layers.Conv2D(filters, kernel_size, padding="same", name=f"{name}_conv", **conv)(x)
    if batch_norm:
        x = layers.BatchNormalization(name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def upsample(x: KerasTensor, factor: int | tuple[int, int], *, name: str) -> KerasTensor:
    """Upsample bilinearly by a whole factor, in float32, which trains under XLA on all backends.

    TensorFlow's gradient of a bilinear resize is float32 even under mixed precision, and XLA refuses to add it to
    gradients of another type. `keras.ops.image.resize(..., "nearest")` and the random preprocessing layers don't train
    under XLA (TensorFlow 2.21).
    """
    return layers.UpSampling2D(factor, interpolation="bilinear", dtype="float32", name=name)(x)


def head(x: KerasTensor, num_classes: int, stride: int = 1, *, name: str = "logits") -> KerasTensor:
    """Classify at the decoder's stride, then resize: (B, H/stride, W/stride, C) -> logits (B, H, W, num_classes).

    The logits are float32 even under mixed precision, since the loss takes a logarithm of a sum over the classes.
    """
    x = layers.Conv2D(num_classes, 1, dtype="float32", name=name)(x)
    return upsample(x, stride, name=f"{name}_resized") if stride > 1 else x
