"""The tokens of a vision transformer, made from a map of patches."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable(package="segbench")
class Tokens(layers.Layer):  # type: ignore[misc]
    """The patches of a map (B, h, w, C) as tokens (B, 1 + registers + h w, C), behind a class token and registers.

    Args:
        registers: the number of register tokens (Darcet, Oquab, Mairal, Bojanowski 2023, arXiv:2309.16588).
        grid: height and width of the learned position embeddings, which are resized to h x w, in float32, by a product
            with one constant matrix for each side; 0 for none. The class token has a position of its own, registers
            have none.
    """

    def __init__(self, registers: int, grid: int, **options: Any):
        super().__init__(**options)
        self.registers, self.grid = registers, grid

    @property
    def prefix(self) -> int:
        """The number of tokens in front of the patches."""
        return 1 + self.registers

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = input_shape[-1]
        small = keras.initializers.TruncatedNormal(stddev=0.02)  # as in DINOv2
        self.class_token = self.add_weight(shape=(1, 1, channels), initializer=small, name="class_token")
        if self.registers:
            shape = (1, self.registers, channels)
            self.register_tokens = self.add_weight(shape=shape, initializer=small, name="register_tokens")
        if self.grid:
            shape = (1, 1 + self.grid**2, channels)
            self.positions = self.add_weight(shape=shape, initializer=small, name="positions", autocast=False)

    def call(self, x: Any) -> Any:
        _, height, width, channels = x.shape
        batch = ops.shape(x)[0]
        first, patches = self.class_token, ops.reshape(x, (batch, height * width, channels))
        if self.grid:
            first = first + ops.cast(self.positions[:, :1], x.dtype)
            patches = patches + ops.cast(self._resized(height, width), x.dtype)
        registers = [self.register_tokens] if self.registers else []
        front = [ops.tile(ops.cast(token, x.dtype), (batch, 1, 1)) for token in (first, *registers)]
        return ops.concatenate([*front, patches], axis=1)

    def _resized(self, height: int, width: int) -> Any:
        """Return the patches' positions (1, height x width, C), float32."""
        grid = ops.reshape(self.positions[0, 1:], (self.grid, self.grid, -1))
        grid = ops.einsum("oi,ijc->ojc", ops.convert_to_tensor(cubic_matrix(height, self.grid)), grid)
        grid = ops.einsum("pj,ojc->opc", ops.convert_to_tensor(cubic_matrix(width, self.grid)), grid)
        return ops.reshape(grid, (1, height * width, -1))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, height, width, channels = input_shape
        return (batch, self.prefix + height * width, channels)  # type: ignore[operator]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"registers": self.registers, "grid": self.grid}


def cubic_matrix(after: int, before: int, a: float = -0.75) -> np.ndarray:
    """Return float32 (after, before), in which row i interpolates between the four values nearest to its centre.

    Keys 1981's cubic convolution with half-pixel centres, the border repeated: torch's `interpolate(mode="bicubic")`,
    by which DINOv2 was made.
    """
    matrix = np.zeros((after, before))
    for i in range(after):
        centre = (i + 0.5) * before / after - 0.5
        start = int(np.floor(centre)) - 1
        for j in range(start, start + 4):
            matrix[i, min(max(j, 0), before - 1)] += _cubic(abs(centre - j), a)
    return matrix.astype(np.float32)


def _cubic(distance: float, a: float) -> float:
    if distance <= 1:
        return (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    return a * (distance**3 - 5 * distance**2 + 8 * distance - 4) if distance < 2 else 0.0
