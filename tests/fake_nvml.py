"""A fake `pynvml`: the functions that segbench uses, with the names and signatures of nvidia-ml-py 13."""

from types import ModuleType, SimpleNamespace
from typing import Any

_TEXTS = {3: "Not Supported", 12: "NVML Shared Library Not Found", 15: "GPU is lost"}
NOT_SUPPORTED, LIBRARY_NOT_FOUND, GPU_IS_LOST = _TEXTS


class NVMLError(Exception):
    """An NVML error like the real one: made from a number, printed as a text."""

    def __init__(self, value: int):
        super().__init__(value)
        self.value = value

    def __str__(self) -> str:
        return _TEXTS[self.value]


class FakeNvml(ModuleType):
    """Answers from `values` by the function's name; an NVMLError among them is raised."""

    NVMLError = NVMLError

    def __init__(self, **values: Any):
        super().__init__("pynvml")
        self.asked: list[str] = []  # how the device was named
        self.values: dict[str, Any] = {
            "nvmlInit": None,
            "nvmlDeviceGetName": "NVIDIA H200",
            "nvmlSystemGetDriverVersion": "570.86.15",
            "nvmlDeviceGetTotalEnergyConsumption": 1_000_000,  # mJ
            "nvmlDeviceGetPowerUsage": 71_500,  # mW
            "nvmlDeviceGetClockInfo": {1: 1980, 2: 3201},  # NVML_CLOCK_SM, NVML_CLOCK_MEM
            "nvmlDeviceGetEnforcedPowerLimit": 700_000,  # mW
            "nvmlDeviceGetTemperature": {0: 41},  # NVML_TEMPERATURE_GPU
            "nvmlDeviceGetCurrentClocksEventReasons": 0,
            "nvmlDeviceGetComputeRunningProcesses": [],  # process ids, or pairs of one and its bytes
            "nvmlDeviceGetMemoryInfo": 3 * 2**30,  # bytes in use
            **values,
        }

    def _answer(self, name: str) -> Any:
        value = self.values[name]
        if isinstance(value, NVMLError):
            raise value
        return value

    def nvmlInit(self) -> None:
        self._answer("nvmlInit")

    def nvmlDeviceGetName(self, handle: str) -> str:
        return self._answer("nvmlDeviceGetName")

    def nvmlSystemGetDriverVersion(self) -> str:
        return self._answer("nvmlSystemGetDriverVersion")

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        self.asked.append(f"index {index}")
        return "handle"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        self.asked.append(f"UUID {uuid}")
        return "handle"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:
        return self._answer("nvmlDeviceGetTotalEnergyConsumption")

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:
        return self._answer("nvmlDeviceGetPowerUsage")

    def nvmlDeviceGetClockInfo(self, handle: str, type: int) -> int:
        return self._answer("nvmlDeviceGetClockInfo")[type]

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: str) -> int:
        return self._answer("nvmlDeviceGetEnforcedPowerLimit")

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> int:
        return self._answer("nvmlDeviceGetTemperature")[sensor]

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: str) -> int:
        return self._answer("nvmlDeviceGetCurrentClocksEventReasons")

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> list[SimpleNamespace]:
        listed = self._answer("nvmlDeviceGetComputeRunningProcesses")
        pairs = (one if isinstance(one, tuple) else (one, 2**20) for one in listed)
        return [SimpleNamespace(pid=pid, usedGpuMemory=size) for pid, size in pairs]

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> SimpleNamespace:
        return SimpleNamespace(used=self._answer("nvmlDeviceGetMemoryInfo"), total=141 * 2**30)


class OldNvml(FakeNvml):
    """nvidia-ml-py before 12.535: clocks have throttle reasons, not event reasons."""

    def __getattribute__(self, name: str) -> Any:
        if name == "nvmlDeviceGetCurrentClocksEventReasons":
            raise AttributeError(name)
        return super().__getattribute__(name)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: str) -> int:
        return self._answer("nvmlDeviceGetCurrentClocksEventReasons")
