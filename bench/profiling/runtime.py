"""The questions to a backend besides its steps: devices, memory, libraries, TF32, compiler and profiler."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from bench.profiling.memory import Gauge


class Runtime(ABC):
    """An imported backend and its device; bench/training/engines/ has a class for each backend."""

    name: str  # the backend's

    @abstractmethod
    def devices(self) -> Sequence[str]:
        """Name all devices, in the backend's words."""

    @abstractmethod
    def uses_gpu(self) -> bool:
        """Return whether the backend runs on a GPU."""

    @abstractmethod
    def memory_gauge(self) -> Gauge | None:
        """Return the gauge of its allocator; None if the process's resident set counts, as on a CPU."""

    @abstractmethod
    def gpu_libraries(self) -> dict[str, str | None]:
        """Return the versions of `cuda` and `cudnn` that it uses on a GPU; None if it doesn't say."""

    @abstractmethod
    def allows_tf32(self) -> bool:
        """Return whether float32 may be computed as TF32 on a GPU with the current settings."""

    @abstractmethod
    def turn_off_tf32(self) -> None:
        """Make float32 be computed as float32 from now on, so that it means the same on every backend."""

    def kept_programs(self) -> AbstractContextManager[None]:
        """Return a context in which small programs, such as those that draw weights, are kept for other processes."""
        return nullcontext()

    @abstractmethod
    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as the backend usually runs it: compiled by XLA, as a graph, or as it is."""

    @abstractmethod
    def fused(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function of NumPy arrays without gradients, compiled by XLA where the backend has it."""

    @abstractmethod
    def profiler(self, folder: Path) -> AbstractContextManager[Any]:
        """Trace the work inside into the folder, for TensorBoard."""

    @abstractmethod
    def mark_step(self, number: int) -> AbstractContextManager[Any]:
        """Mark the work inside as a training step in a trace."""
