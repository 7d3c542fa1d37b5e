"""The instruments of a trial besides the clock: memory by phase, energy, the device's state."""

from typing import Any

from bench.profiling.energy import EnergyMeter
from bench.profiling.gpu import Nvml, Unreadable, device_state
from bench.profiling.memory import MemoryMeter
from bench.profiling.runtime import Runtime


class Instruments:
    """The instruments of a trial; make them before it uses the device, because the power drawn then is the idle power.

    Args:
        runtime: the trial's backend.
    """

    def __init__(self, runtime: Runtime):
        self.runtime = runtime
        self._nvml: Nvml | None = None
        reason = "no NVIDIA GPU is used"
        if runtime.uses_gpu():
            try:
                self._nvml = Nvml()
            except Unreadable as error:
                reason = str(error)
        self.memory = MemoryMeter(runtime.memory_gauge())
        self.energy = EnergyMeter(self._nvml, "" if self._nvml else reason)
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
        """Return the instruments' part of a record's `environment`: the noted states and the device's peaks."""
        return {**self._states, **({"peaks": self.peaks} if self.peaks else {})}
