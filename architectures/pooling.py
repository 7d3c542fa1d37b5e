"""Pooling of features over parts of the image, and resizing to any size, the same on all backends."""

from typing import Any

import keras
import numpy as np
from keras import KerasTensor, layers, ops

from bench.architectures.layers import conv_norm_relu


def pooled(x: KerasTensor, side: int, filters: int) -> KerasTensor:
    """Pool to side x side, apply a 1x1 convolution and enlarge again: (B, h, w, C) -> (B, h, w, filters)."""
    _, height, width, _ = x.shape
    x = LinearResize(side, side, "average", name=f"pool{side}")(x)  # (B, side, side, C)
    x = conv_norm_relu(x, filters, 1, use_bias=False, name=f"pool{side}")
    return LinearResize(height, width, "bilinear", name=f"pool{side}_up")(x)


@keras.saving.register_keras_serializable(package="segbench")
class LinearResize(layers.Layer):  # type: ignore[misc]
    """A resize (B, h, w, C) -> (B, height, width, C) by a product with one constant matrix for each side.

    Args:
        height, width: the size of the result.
        method: "average" (the mean of each of height x width windows that cover the map) or "bilinear" (half-pixel
            centres, the border repeated).
    """

    def __init__(self, height: int, width: int, method: str, **options: Any):
        super().__init__(**options)
        self.height, self.width, self.method = height, width, method

    def call(self, x: Any) -> Any:
        matrix = average_matrix if self.method == "average" else bilinear_matrix
        rows = ops.convert_to_tensor(matrix(self.height, x.shape[1]), dtype=x.dtype)
        columns = ops.convert_to_tensor(matrix(self.width, x.shape[2]), dtype=x.dtype)
        x = ops.einsum("oh,bhwc->bowc", rows, x)
        return ops.einsum("pw,bowc->bopc", columns, x)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.height, self.width, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"height": self.height, "width": self.width, "method": self.method}


def average_matrix(after: int, before: int) -> np.ndarray:
    """Return float32 (after, before), in which row i averages the values from floor(i b / a) to ceil((i + 1) b / a)."""
    matrix = np.zeros((after, before), np.float32)
    for i in range(after):
        start, stop = i * before // after, -(-(i + 1) * before // after)
        matrix[i, start:stop] = 1 / (stop - start)
    return matrix


def bilinear_matrix(after: int, before: int) -> np.ndarray:
    """Return float32 (after, before), in which row i interpolates between the two values nearest to its centre."""
    centres = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    return np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(before))).astype(np.float32)
