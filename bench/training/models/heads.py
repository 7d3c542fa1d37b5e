"""Build a model with the head that a trial wants: an output for each class, or one for two classes."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

SIGMOID = "sigmoid"


def build_with_head(
    builder: Callable[..., keras.Model], shape: tuple[int, int, int], num_classes: int, head: str, **arguments: Any
) -> keras.Model:
    """Call a builder; return a model of logits (B, H, W, num_classes), whatever its head.

    Args:
        shape: of an image, (H, W, C).
        num_classes: 2 with a sigmoid head.
        head: "softmax": the builder makes an output for each class; "sigmoid": it makes one, the logit of class 1,
            beside which class 0 has the logit 0. Auxiliary logits are treated like the logits.
        arguments: of the builder.
    """
    if head != SIGMOID:
        return builder(shape, num_classes, **arguments)
    model = builder(shape, 1, **arguments)
    logits = AgainstZero(name="against_zero")(model.output)
    complete = keras.Model(model.input, logits, name=model.name)
    auxiliary = getattr(model, "auxiliary_logits", None)
    if auxiliary is not None:
        several = auxiliary if isinstance(auxiliary, list | tuple) else [auxiliary]
        complete.auxiliary_logits = [AgainstZero(name=f"against_zero_{i}")(one) for i, one in enumerate(several)]
    return complete


@keras.saving.register_keras_serializable("segbench")
class AgainstZero(keras.layers.Layer):  # type: ignore[misc]  # Keras's classes have no types
    """A layer that puts the logit 0 of class 0 before that of class 1: (B, H, W, 1) to float32 (B, H, W, 2)."""

    def __init__(self, **options: Any):
        super().__init__(**{"dtype": "float32", **options})

    def call(self, logits: Any) -> Any:
        """Return both logits; their softmax is the sigmoid of the given one."""
        return ops.concatenate([ops.zeros_like(logits), logits], axis=-1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of both logits."""
        return (*shape[:-1], 2)
