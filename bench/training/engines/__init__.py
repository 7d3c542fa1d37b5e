"""The only code that knows which backend runs: compiled steps (`Engine`) and questions to its device (`Runtime`).

`bench.core.backends` has a row for each backend, which names its two classes. Importing this module imports no keras.
"""

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from bench.core.backends import TABLE
from bench.core.code.import_by_name import import_by_name
from bench.profiling.runtime import Runtime

if TYPE_CHECKING:
    import keras

    from bench.training.engines.engine import Engine, Loss, Transform


def create_engine(
    model: "keras.Model",
    optimizer: Any,
    *,
    loss: "Loss",
    transform: "Transform",
    jit: str = "auto",
    devices: int = 1,
) -> "Engine":
    """Return the engine of the backend that keras was imported with.

    Args:
        model: uint8 images are cast and scaled to [0, 1] before it; returns logits.
        optimizer: a Keras optimizer; its learning rate is set at every step.
        loss: (labels int (B, H, W), logits (B, H, W, C)) -> scalar.
        transform: (images uint8, labels uint8, draws float32) -> (images float32 in [0, 1], labels int).
        jit: "auto", "on" or "off"; each engine says what that means. BenchError if "on" isn't possible.
        devices: how many divide each training batch among them; see `make_devices` and `on_devices`.
    """
    import keras

    row = TABLE[keras.backend.backend()]
    functions = {"loss": loss, "transform": transform, "jit": jit}
    if devices == 1:
        return import_by_name(row.engine)(model, optimizer, **functions)
    return import_by_name(row.parallel)(model, optimizer, devices=devices, **functions)


def make_devices(backend: str, count: int) -> None:
    """Let a backend take the CPU for that many devices; call it before keras is imported. GPUs are as they are."""
    if count > 1 and backend == "jax":  # which reads the variable when it is imported
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count={count}".strip()
    elif count > 1:
        _parallel(backend, "make_devices")(count)


def on_devices(backend: str, count: int) -> AbstractContextManager[Any]:
    """Let what is built inside, for an engine of several devices, live on all of them, where a backend needs that."""
    return nullcontext() if count == 1 or backend == "jax" else _parallel(backend, "on_devices")(count)


def _parallel(backend: str, name: str) -> Any:
    """Import a function that is beside the backend's engine of several devices."""
    return import_by_name(f"{TABLE[backend].parallel.partition(':')[0]}:{name}")


def create_runtime(backend: str) -> Runtime:
    """Import a backend's runtime and return it."""
    return import_by_name(TABLE[backend].runtime)()


def devices(backend: str) -> dict[str, str]:
    """List the names of a backend's devices; `bench doctor` calls this in a child process."""
    return {"devices": ", ".join(create_runtime(backend).devices())}


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and the backend; Keras would import TensorFlow for it whatever the backend is."""
    import keras

    hidden = keras.backend.backend() != "tensorflow" and "tensorflow" not in sys.modules
    if hidden:
        sys.modules["tensorflow"] = None  # type: ignore[assignment]
    keras.utils.set_random_seed(seed)
    if hidden:
        del sys.modules["tensorflow"]
