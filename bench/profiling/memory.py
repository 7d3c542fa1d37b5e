"""Peak memory: the device allocator's on a GPU, the process's resident set on a CPU."""

import resource
import sys
from pathlib import Path

MIB = 2**20


def peak_memory(backend: str) -> dict[str, float | str]:
    """Peak since the process started: `peak_memory_mib` and the `method` it was read by.

    The two methods must not be compared: a resident set holds the interpreter and the libraries.
    """
    peak = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend]()
    if peak is not None:
        return {"peak_memory_mib": round(peak / MIB, 1), "method": "device allocator"}
    return {"peak_memory_mib": round(_peak_resident() / MIB, 1), "method": "process RSS"}


def _peak_resident() -> int:
    """Bytes. `ru_maxrss` outlives exec, so a child of a large process would report its parent's: Linux knows better."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _tensorflow() -> int | None:
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return None
    return tf.config.experimental.get_memory_info("GPU:0")["peak"]


def _jax() -> int | None:
    import jax

    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


def _torch() -> int | None:
    import torch

    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
