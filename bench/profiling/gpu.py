"""Ask NVIDIA's management library (NVML) about this process's GPU; any answer may be missing.

The library comes with the driver, its Python bindings with the package nvidia-ml-py (`pip install 'segbench[gpu]'`). A
value that can't be read raises `Unreadable` with the reason and never another error: a GPU may vanish during a trial.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

Value = TypeVar("Value")
NOT_INSTALLED = "nvidia-ml-py is not installed (pip install 'segbench[gpu]')"
UNKNOWN_GPU = "NVIDIA GPU of unknown model (nvidia-ml-py is not installed)"
_REASONS = {  # bits of nvmlDeviceGetCurrentClocksEventReasons; nvml.h, nvmlClocksEventReason*
    0x1: "idle",
    0x2: "application clocks setting",
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
    0x100: "display clock setting",
}
_SM_CLOCK, _MEMORY_CLOCK, _GPU_TEMPERATURE = 1, 2, 0  # nvml.h: NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU
_DRIVER = Path("/proc/driver/nvidia/version")  # exists if the driver's kernel module is loaded
_INITIAL_PID_NAMESPACE = "pid:[4026531836]"  # Linux's PROC_PID_INIT_INO


VISIBLE = "CUDA_VISIBLE_DEVICES"


class Unreadable(Exception):
    """NVML gives no answer, for the reason in the error's text."""


def gpu_name() -> str | None:
    """Return the name of the first GPU that this process may use; None without one.

    If a driver is loaded but the package is missing, return a text that says so: a GPU must not be taken for the CPU.
    """
    if os.environ.get(VISIBLE, "unset") in ("", "-1"):
        return None
    try:
        return str(Nvml().read("nvmlDeviceGetName"))
    except Unreadable as error:
        return UNKNOWN_GPU if str(error) == NOT_INSTALLED and _DRIVER.exists() else None


@dataclass(frozen=True)
class Gpu:
    """A GPU that this process may use."""

    visible_as: str  # its name for CUDA_VISIBLE_DEVICES
    name: str


def gpus() -> list[Gpu]:
    """List the GPUs that this process may use, in CUDA's order; none if NVML can't tell."""
    try:
        library = _library()
        _ask(library, library.nvmlInit)
        names = os.environ.get(VISIBLE)
        if names is None:
            names = ",".join(map(str, range(_ask(library, library.nvmlDeviceGetCount))))
        found = [name.strip() for name in names.split(",") if name.strip() not in ("", "-1")]
        return [Gpu(name, str(_ask(library, partial(_name, library, name)))) for name in found]
    except Unreadable:
        return []


def _name(library: ModuleType, visible_as: str) -> str:
    return str(library.nvmlDeviceGetName(_handle(library, visible_as)))


def driver_version() -> str | None:
    """Read the version of the driver; None if it isn't known."""
    try:
        return str(Nvml().read("nvmlSystemGetDriverVersion", with_handle=False))
    except Unreadable:
        return None


class Nvml:
    """An open NVML with the first GPU in CUDA_VISIBLE_DEVICES; raises Unreadable if there is none."""

    def __init__(self) -> None:
        self.library = _library()
        self.read("nvmlInit", with_handle=False)
        self.handle = _ask(self.library, lambda: _handle(self.library, os.environ.get(VISIBLE, "")))

    def read(self, function: str, *arguments: Any, with_handle: bool = True) -> Any:
        """Call a function of NVML; raise Unreadable if it fails or the installed version lacks it."""
        if not hasattr(self.library, function):
            raise Unreadable(f"nvidia-ml-py has no {function}")
        called = (self.handle, *arguments) if with_handle else arguments
        return _ask(self.library, lambda: getattr(self.library, function)(*called))


def _library() -> ModuleType:
    try:
        import pynvml
    except ImportError as error:
        raise Unreadable(NOT_INSTALLED) from error
    return pynvml


def _ask(library: ModuleType, question: Callable[[], Value]) -> Value:
    try:
        return question()
    except library.NVMLError as error:
        raise Unreadable(f"NVML: {error}") from error


def _handle(library: ModuleType, visible: str) -> Any:
    """Find the first GPU that CUDA_VISIBLE_DEVICES names, by UUID (of a GPU or of a MIG instance) or by index."""
    first = visible.split(",")[0].strip()
    if first.startswith(("GPU-", "MIG-")):
        return library.nvmlDeviceGetHandleByUUID(first)
    return library.nvmlDeviceGetHandleByIndex(int(first) if first.isdigit() else 0)


def device_state(nvml: Nvml) -> dict[str, Any]:
    """Read clocks (MHz), watts, degrees Celsius, throttle reasons and the number of other processes on the GPU.

    Values that can't be read are left out, and `problem` says why.
    """
    state: dict[str, Any] = {}
    readers: dict[str, Callable[[], Any]] = {
        "sm_clock_mhz": lambda: nvml.read("nvmlDeviceGetClockInfo", _SM_CLOCK),
        "memory_clock_mhz": lambda: nvml.read("nvmlDeviceGetClockInfo", _MEMORY_CLOCK),
        "power_limit_watts": lambda: nvml.read("nvmlDeviceGetEnforcedPowerLimit") / 1000,
        "temperature_c": lambda: nvml.read("nvmlDeviceGetTemperature", _GPU_TEMPERATURE),
        "throttle_reasons": lambda: _reasons(nvml),
        "other_processes": lambda: _others(nvml),
    }
    for name, read in readers.items():
        try:
            state[name] = read()
        except Unreadable as error:
            state["problem"] = str(error)
    return state


def _reasons(nvml: Nvml) -> list[str]:
    """List in words why the clocks are lowered; an unknown bit becomes its number."""
    try:
        bits = nvml.read("nvmlDeviceGetCurrentClocksEventReasons")
    except Unreadable:  # an older package or driver only knows the old name
        bits = nvml.read("nvmlDeviceGetCurrentClocksThrottleReasons")
    return [_REASONS.get(1 << place, hex(1 << place)) for place in range(bits.bit_length()) if bits >> place & 1]


def _others(nvml: Nvml) -> int:
    """Count the other processes on the GPU.

    In a container NVML may name processes by the host's process ids, so that this process can't be recognised. One of
    them is then taken to be this process, because the backend already uses the GPU.
    """
    numbers = [process.pid for process in nvml.read("nvmlDeviceGetComputeRunningProcesses")]
    others = [number for number in numbers if number != os.getpid()]
    return max(0, len(others) - 1) if others == numbers and _in_container() else len(others)


def process_bytes(nvml: Nvml) -> int:
    """Read how much of the GPU's memory this process holds: context, libraries and its allocator's pool.

    A process of another number counts as this one if it is alone on the GPU and this is a container (see `_others`).

    Raises:
        Unreadable: NVML doesn't list the process, or doesn't tell a process's memory, as on some MIG instances.
    """
    listed = nvml.read("nvmlDeviceGetComputeRunningProcesses")
    own = [process for process in listed if process.pid == os.getpid()]
    if not own and len(listed) == 1 and _in_container():
        own = listed
    if not own:
        raise Unreadable(f"NVML lists {len(listed)} processes on the GPU, none of them with this process's number")
    if own[0].usedGpuMemory is None:
        raise Unreadable("NVML doesn't tell the memory of a process on this GPU")
    return int(own[0].usedGpuMemory)


def _in_container() -> bool:
    try:
        return str(Path("/proc/self/ns/pid").readlink()) != _INITIAL_PID_NAMESPACE
    except OSError:
        return False
