"""The machine, the versions and the code with which a number was measured."""

import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from bench.core.backends import TABLE
from bench.core.surroundings import usable_cores
from bench.profiling.gpu import driver_version, gpu_name
from bench.profiling.host.share import Share, own_share
from bench.profiling.runtime import Runtime

PACKAGES = (
    *("segbench", "keras", "keras-cv", "keras-hub"),
    *(library for backend in TABLE.values() for library in backend.libraries),
    *("numpy", "pillow"),
)
VARIABLES = (  # those that change results, speed or memory, without any that name a folder
    *("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_LAUNCH_BLOCKING", "CUDA_DEVICE_MAX_CONNECTIONS"),
    *("CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
    *("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "XLA_FLAGS", "XLA_PYTHON_CLIENT_PREALLOCATE"),
    *("XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_ALLOCATOR", "JAX_PLATFORMS", "JAX_DISABLE_JIT"),
    *("JAX_ENABLE_X64", "JAX_DEFAULT_MATMUL_PRECISION", "TF_XLA_FLAGS", "TF_FORCE_GPU_ALLOW_GROWTH"),
    *("TF_GPU_ALLOCATOR", "TF_ENABLE_ONEDNN_OPTS", "TF_DETERMINISTIC_OPS", "TF_CUDNN_DETERMINISTIC"),
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"),
    *("OPENBLAS_NUM_THREADS", "KMP_AFFINITY", "KMP_BLOCKTIME", "MALLOC_ARENA_MAX"),
)


@cache
def expected_device() -> str:
    """Name the GPU that a trial would use, or this machine's CPU; ask the driver, import no backend."""
    return gpu_name() or cpu_device()


def several(device: str, count: int) -> str:
    """Name that many devices of a kind, as a record does: "4 x NVIDIA H200"."""
    return device if count == 1 else f"{count} x {device}"


def actual_device(runtime: Runtime) -> str:
    """Return the name of the device on which the backend runs; of several devices, that of the first."""
    return expected_device() if runtime.uses_gpu() else cpu_device()


def cpu_device(share: Share | None = None) -> str:
    """Name the CPU's model and usable cores: "AMD EPYC 9654, 2 cores", or "2 of 8 cores" if others have the rest.

    Args:
        share: that of another process; by default that of this one, if it has one.
    """
    if share := share or own_share():
        return f"{_cpu_model()}, {len(share.cores)} of {share.of} cores"
    return f"{_cpu_model()}, {len(usable_cores())} cores"


def environment(runtime: Runtime) -> dict[str, Any]:
    """Collect what a record says about hardware, versions and code."""
    gpu = runtime.uses_gpu()
    libraries = runtime.gpu_libraries() if gpu else {"cuda": None, "cudnn": None}
    return {**host_environment(gpu=gpu), **libraries}


def host_environment(*, gpu: bool) -> dict[str, Any]:
    """Collect the same as `environment`, but without asking a backend; JSON can hold every value.

    Args:
        gpu: whether the trial runs on a GPU.
    """
    share = own_share()
    return {
        "cpu": _cpu_model(),
        "cores": len(share.cores) if share else len(usable_cores()),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": expected_device() if gpu else None,
        "driver": driver_version() if gpu else None,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": versions(),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        **({"trials_at_once": share.at_once} if share else {}),
        **_code(),
    }


def versions() -> dict[str, str]:
    """List the installed versions of the packages that matter."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown CPU"


@cache
def _code() -> dict[str, Any]:
    """Return the checkout's commit and whether the tree has changes; None for both when installed from a wheel."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return {"commit": None, "dirty": None}

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=20
        ).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD") or None, "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.TimeoutExpired):
        return {"commit": None, "dirty": None}
