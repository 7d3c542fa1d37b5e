"""One compiled training step, one compiled prediction: the only code that knows which backend runs.

Everything else calls an `Engine`. The backend is the one that keras was imported with.
"""

import importlib
from typing import Any

import keras

from bench.training.engines.engine import Engine, Loss, Transform

_ENGINES = {"tensorflow": "TensorFlowEngine", "jax": "JaxEngine", "torch": "TorchEngine"}


def create_engine(model: keras.Model, optimizer: Any, *, loss: Loss, transform: Transform, jit: str = "auto") -> Engine:
    """The engine of the current Keras backend.

    Args:
        model: uint8 images are cast and scaled to [0, 1] before it; returns logits.
        optimizer: a Keras optimizer; its learning rate is set at every step.
        loss: (labels int (B, H, W), logits (B, H, W, C)) -> scalar.
        transform: (images uint8, labels uint8, draws float32) -> (images float32 in [0, 1], labels int).
        jit: "auto", "on" or "off"; each engine says what that means. BenchError for "on" where it can't be done.
    """
    name = keras.backend.backend()
    module = importlib.import_module(f"bench.training.engines.{name}_engine")
    return getattr(module, _ENGINES[name])(model, optimizer, loss=loss, transform=transform, jit=jit)
