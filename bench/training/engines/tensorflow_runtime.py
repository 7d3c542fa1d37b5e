"""TensorFlow's devices, memory, libraries and profiler."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import tensorflow as tf

from bench.profiling.memory import Gauge, Resettable
from bench.profiling.runtime import Runtime


class TensorFlowRuntime(Runtime):
    """See `Runtime`."""

    name = "tensorflow"

    def devices(self) -> Sequence[str]:
        return [device.name for device in tf.config.list_physical_devices()]

    def uses_gpu(self) -> bool:
        return bool(tf.config.list_physical_devices("GPU"))

    def memory_gauge(self) -> Gauge | None:
        return TensorFlowAllocator() if self.uses_gpu() else None

    def gpu_libraries(self) -> dict[str, str | None]:
        build = tf.sysconfig.get_build_info()
        return {"cuda": build.get("cuda_version"), "cudnn": build.get("cudnn_version")}

    def allows_tf32(self) -> bool:
        return tf.config.experimental.tensor_float_32_execution_enabled()

    def turn_off_tf32(self) -> None:
        tf.config.experimental.enable_tensor_float_32_execution(False)

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return tf.function(function)

    def fused(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return tf.function(function, jit_compile=True)  # without XLA each step would be an array in memory

    def profiler(self, folder: Path) -> AbstractContextManager[Any]:
        return tf.profiler.experimental.Profile(str(folder))

    def mark_step(self, number: int) -> AbstractContextManager[Any]:
        return tf.profiler.experimental.Trace("train", step_num=number, _r=1)


class TensorFlowAllocator(Resettable):
    """The allocator of TensorFlow's first GPU."""

    def peak(self) -> int:
        return tf.config.experimental.get_memory_info("GPU:0")["peak"]

    def reset(self) -> None:
        tf.config.experimental.reset_memory_stats("GPU:0")
