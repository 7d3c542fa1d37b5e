"""The rule by which logits are restored on the device or on the host. Both give the same outcome."""

from functools import cache

import keras

from bench.evaluation.native.device import DeviceRestorer
from bench.training.engines import create_runtime
from bench.training.engines.engine import Engine, InferenceEngine

MOST_CLASSES = 32  # the compiled function has a few sums for each of them


def restorer_for(engine: InferenceEngine, num_classes: int, resize: str) -> DeviceRestorer | None:
    """Choose the device if it is a GPU and a model runs on it, and else None, the host.

    On a CPU OpenCV is quicker: 4 to 21 times in one run with TensorFlow, more with JAX and PyTorch
    (tests/benchmarks/native_rate.py).
    """
    backend = keras.backend.backend()
    fit = isinstance(engine, Engine) and num_classes <= MOST_CLASSES
    return on_device(backend, resize) if fit and create_runtime(backend).uses_gpu() else None


@cache
def on_device(backend: str, resize: str) -> DeviceRestorer:
    """Return the one restorer of a process, which knows whether the device has had room."""
    return DeviceRestorer(create_runtime(backend), resize)
