"""PyTorch's devices, memory, libraries and profiler."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import profiler

from bench.profiling.memory import Gauge, Resettable
from bench.profiling.runtime import Runtime


class TorchRuntime(Runtime):
    """See `Runtime`."""

    name = "torch"

    def devices(self) -> Sequence[str]:
        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        return names or ["cpu"]

    def uses_gpu(self) -> bool:
        return torch.cuda.is_available()

    def memory_gauge(self) -> Gauge | None:
        return TorchAllocator() if self.uses_gpu() else None

    def gpu_libraries(self) -> dict[str, str | None]:
        cudnn = torch.backends.cudnn.version()
        return {"cuda": torch.version.cuda, "cudnn": None if cudnn is None else str(cudnn)}

    def allows_tf32(self) -> bool:
        return torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32

    def turn_off_tf32(self) -> None:
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function  # eager, as Keras runs it

    def fused(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return torch.no_grad()(function)

    def profiler(self, folder: Path) -> AbstractContextManager[Any]:
        handler = profiler.tensorboard_trace_handler(str(folder))
        return profiler.profile(activities=list(profiler.supported_activities()), on_trace_ready=handler)

    def mark_step(self, number: int) -> AbstractContextManager[Any]:
        return profiler.record_function(f"train {number}")


class TorchAllocator(Resettable):
    """The allocator of PyTorch's current GPU."""

    def peak(self) -> int:
        return torch.cuda.max_memory_allocated()

    def peak_reserved(self) -> int:
        return torch.cuda.max_memory_reserved()

    def reset(self) -> None:
        torch.cuda.reset_peak_memory_stats()
