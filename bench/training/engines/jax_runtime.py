"""JAX's devices, memory, libraries and profiler."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
from jax.extend import backend

from bench.profiling.memory import Gauge, OnlyRising
from bench.profiling.runtime import Runtime
from bench.training.engines.jax_programs import keep_programs


class JaxRuntime(Runtime):
    """See `Runtime`."""

    name = "jax"

    def devices(self) -> Sequence[str]:
        return [str(device) for device in jax.devices()]

    def uses_gpu(self) -> bool:
        return jax.devices()[0].platform == "gpu"

    def memory_gauge(self) -> Gauge | None:
        known = jax.devices()[0].memory_stats() or {}
        return JaxAllocator() if known.get("peak_bytes_in_use") is not None else None

    def gpu_libraries(self) -> dict[str, str | None]:
        found = re.search(r"cuda (\d+)", backend.get_backend().platform_version)  # "PJRT C API\ncuda 12080"
        cuda = None if found is None else f"{int(found[1]) // 1000}.{int(found[1]) % 1000 // 10}"
        return {"cuda": cuda, "cudnn": _version_of(r"nvidia-cudnn(-cu\d+)?")}

    def allows_tf32(self) -> bool:
        settings: Any = jax.config  # which has its names at run time only
        return settings.jax_default_matmul_precision not in ("highest", "float32")

    def turn_off_tf32(self) -> None:
        jax.config.update("jax_default_matmul_precision", "highest")

    def kept_programs(self) -> AbstractContextManager[None]:
        return keep_programs()

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return jax.jit(function)

    def fused(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return jax.jit(function)

    def profiler(self, folder: Path) -> AbstractContextManager[Any]:
        return jax.profiler.trace(str(folder))

    def mark_step(self, number: int) -> AbstractContextManager[Any]:
        return jax.profiler.StepTraceAnnotation("train", step_num=number)


class JaxAllocator(OnlyRising):
    """The allocator of JAX's first device."""

    limits = "JAX can't reset its allocator's peak"

    def overall(self) -> int:
        return jax.devices()[0].memory_stats()["peak_bytes_in_use"]

    def held(self) -> int:
        return jax.devices()[0].memory_stats()["bytes_in_use"]

    def reserved(self) -> int | None:
        return most_reserved(jax.devices()[0].memory_stats())


def most_reserved(stats: Mapping[str, int]) -> int | None:
    """Return the peak of the allocator's pool; None if this version of XLA doesn't tell it.

    `bytes_reserved` is another matter: what the allocator may use besides its pool, 0 on a GPU.
    """
    return stats.get("peak_pool_bytes") or stats.get("pool_bytes") or None


def _version_of(pattern: str) -> str | None:
    """The version of the installed package whose name matches."""
    matching = (d for d in metadata.distributions() if re.fullmatch(pattern, d.metadata["Name"] or ""))
    return next((found.version for found in matching), None)
