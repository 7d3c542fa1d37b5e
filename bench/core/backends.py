"""The table of Keras backends: everything that the planning process knows of them without importing them.

The code of a backend is in bench/training/engines/, and its row names it: `engine` runs a model's steps, `runtime`
asks the backend about devices, memory, libraries and profiler.
"""

import importlib.util
import sys
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Backend:
    """A Keras backend; its name is that of its package and the value of KERAS_BACKEND."""

    name: str
    title: str  # as its makers write it
    pip_line: str  # the command that installs it
    engine: str  # "module:class" of an Engine
    runtime: str  # "module:class" of a Runtime
    libraries: tuple[str, ...]  # packages whose versions may change its results
    start_seconds: float  # the time to import keras with it, on two cores
    full: tuple[str, ...]  # the names of its exceptions of a full device; they come from one of `libraries`
    full_status: str = ""  # how their texts begin, where it has one type for all errors
    parallel: str = ""  # "module:class" of an Engine that divides its batches among devices; empty: it has none
    parallel_but: str = ""  # the value of --jit with which it can't divide them
    parallel_without: tuple[str, ...] = ()  # options that it can't keep then
    graphs: bool = False  # whether steps that aren't compiled run as graphs, rather than operation by operation


_ENGINES = "bench.training.engines"
TABLE = {
    backend.name: backend
    for backend in (
        Backend(
            "tensorflow",
            title="TensorFlow",
            pip_line="pip install 'tensorflow>=2.19'",
            engine=f"{_ENGINES}.tensorflow_engine:TensorFlowEngine",
            parallel=f"{_ENGINES}.tensorflow_parallel:ParallelTensorFlowEngine",
            parallel_but="on",  # XLA compiles no step that exchanges values between the devices of a strategy
            parallel_without=("clip_norm", "ema"),
            runtime=f"{_ENGINES}.tensorflow_runtime:TensorFlowRuntime",
            libraries=("tensorflow",),
            start_seconds=12.0,
            full=("ResourceExhaustedError",),
            graphs=True,
        ),
        Backend(
            "jax",
            title="JAX",
            pip_line="pip install 'segbench[jax]'",
            engine=f"{_ENGINES}.jax_engine:JaxEngine",
            parallel=f"{_ENGINES}.jax_parallel:ParallelJaxEngine",
            parallel_but="off",  # XLA divides the batches
            runtime=f"{_ENGINES}.jax_runtime:JaxRuntime",
            libraries=("jax", "jaxlib"),
            start_seconds=3.5,
            full=("JaxRuntimeError", "XlaRuntimeError"),
            full_status="RESOURCE_EXHAUSTED:",
        ),
        Backend(
            "torch",
            title="PyTorch",
            pip_line="pip install 'segbench[torch]'",
            engine=f"{_ENGINES}.torch_engine:TorchEngine",
            runtime=f"{_ENGINES}.torch_runtime:TorchRuntime",
            libraries=("torch",),
            start_seconds=6.2,
            full=("OutOfMemoryError",),
        ),
    )
}
BACKENDS = tuple(TABLE)
DEFAULT_BACKEND = BACKENDS[0]  # Keras's own default too


def installed(package: str) -> bool:
    """Return whether a backend, or any other package, is installed; import nothing."""
    return package in sys.modules or importlib.util.find_spec(package) is not None


def quickest(accepted: Iterable[str] = BACKENDS) -> str | None:
    """Choose the accepted and installed backend with which keras starts soonest; None if none is installed."""
    found = [name for name in accepted if name in TABLE and installed(name)]
    return min(found, key=lambda name: TABLE[name].start_seconds, default=None)
