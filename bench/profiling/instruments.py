"""The instruments of a trial: the log of its timings, memory by phase, energy, the device's state."""

from typing import Any, NamedTuple

from bench.profiling.clock.timing_table import TimingLog
from bench.profiling.energy import EnergyMeter, NvmlCounter
from bench.profiling.gpu import Nvml, Unreadable, device_state
from bench.profiling.gpu_use import GpuUse
from bench.profiling.host.cpu_noise import CpuNoise
from bench.profiling.host.rapl import Rapl
from bench.profiling.memory import MemoryMeter
from bench.profiling.process_memory import ProcessMemory
from bench.profiling.runtime import Runtime


class OpenGpu(NamedTuple):
    """The GPU that a backend uses, as NVML sees it."""

    nvml: Nvml | None = None  # None: the backend runs on a CPU, or NVML can't be read
    before: int | None = None  # bytes in use on it before the backend started
    reason: str = ""  # why NVML can't be read; empty on a CPU


def open_gpu(runtime: Runtime) -> OpenGpu:
    """Open NVML for the backend's GPU; call it before the backend uses the GPU, because of `before`."""
    found = _open()  # before `uses_gpu`, which may start the backend
    return found if runtime.uses_gpu() else OpenGpu()


def _open() -> OpenGpu:
    try:
        nvml = Nvml()
    except Unreadable as error:
        return OpenGpu(reason=str(error))
    try:
        return OpenGpu(nvml, nvml.read("nvmlDeviceGetMemoryInfo").used)
    except Unreadable:
        return OpenGpu(nvml)


def memory_meter(runtime: Runtime, gpu: OpenGpu) -> MemoryMeter:
    """Make the meter of the backend's allocator and of this process."""
    return MemoryMeter(runtime.memory_gauge(), ProcessMemory(gpu.nvml, gpu.before, gpu.reason))


def energy_meter(gpu: OpenGpu, devices: int = 1) -> EnergyMeter:
    """Make the meter of the GPU's energy, or of the CPU's where the backend runs there."""
    if gpu.nvml and devices > 1:
        return EnergyMeter(None, f"the trial ran on {devices} GPUs, and the counter read is that of one")
    if gpu.nvml:
        return EnergyMeter(NvmlCounter(gpu.nvml))
    if gpu.reason:
        return EnergyMeter(None, gpu.reason)
    try:
        return EnergyMeter(Rapl())
    except Unreadable as error:
        return EnergyMeter(None, str(error))


class Instruments:
    """The instruments of a trial; make them before it uses the device, because the power drawn then is the idle power.

    Args:
        runtime: the trial's backend.
        devices: how many the trial uses.
    """

    def __init__(self, runtime: Runtime, devices: int = 1):
        self.runtime = runtime
        gpu = open_gpu(runtime)
        self._nvml = gpu.nvml
        self.memory = memory_meter(runtime, gpu)
        self.energy = energy_meter(gpu, devices)
        self.gpu_use = GpuUse(gpu.nvml)
        self.timings = TimingLog()
        self.noise = CpuNoise()
        self.peaks: dict[str, Any] = {}  # the device's peaks, if they were measured
        self._states: dict[str, dict[str, Any]] = {}

    @property
    def reads_gpu(self) -> bool:
        """True if there is a GPU whose state can be read."""
        return self._nvml is not None

    def note_state(self, when: str) -> None:
        """Note the device's state as "device_before" (once the backend holds it) or "device_after" (under load)."""
        if self._nvml:
            self._states[when] = device_state(self._nvml)

    def environment(self) -> dict[str, dict[str, Any]]:
        """Return the instruments' part of a record's `environment`: states of GPU and CPU, and the device's peaks."""
        more = {"cpu_noise": self.noise.summary(), "peaks": self.peaks}
        return {**self._states, **{name: found for name, found in more.items() if found}}
