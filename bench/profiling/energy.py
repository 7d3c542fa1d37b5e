"""Measure energy by the device's own counters: the joules of at least 10 seconds of work, and the idle power.

A GPU's is NVML's counter (nvmlDeviceGetTotalEnergyConsumption, millijoules since the driver was loaded; Volta and
later). It covers the whole board, idle power included, and is updated about every 100 ms, hence the 10 seconds. On a
CPU it is RAPL's (host/rapl.py), which covers the whole machine.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from bench.profiling.clock.stalls import stalled_since
from bench.profiling.gpu import Nvml, Unreadable

SECONDS = 10.0  # the least time of work
NOT_MEASURED = "not measured: "
TRAIN_ENERGY, INFERENCE_ENERGY = "joules_per_1000_train_images", "joules_per_1000_inferences"
JOULES_IN_KWH = 3.6e6


class Counter(Protocol):
    """A counter of a device's energy; each method raises Unreadable if it gives no answer."""

    method: str

    def read(self) -> Any:
        """Read the counter."""

    def joules(self, before: Any, after: Any, seconds: float) -> float:
        """Return the joules between two readings, which are that many seconds apart."""

    def idle_watts(self) -> float:
        """Return the power that the device draws now."""


class NvmlCounter:
    """The counter of the GPU that NVML has opened; a `Counter`."""

    method = "NVML total energy"

    def __init__(self, nvml: Nvml):
        self._nvml = nvml

    def read(self) -> int:
        return int(self._nvml.read("nvmlDeviceGetTotalEnergyConsumption"))

    def joules(self, before: int, after: int, seconds: float) -> float:
        if after <= before:
            raise Unreadable(f"the counter went from {before} to {after} mJ in {seconds:.1f} s")
        return (after - before) / 1000

    def idle_watts(self) -> float:
        return float(self._nvml.read("nvmlDeviceGetPowerUsage")) / 1000


@dataclass
class Window:
    """A period of work whose energy is measured; `images` counts the images processed in it."""

    open: bool  # whether energy is measured at all
    images: int = 0
    started: float = field(default_factory=lambda: time.perf_counter())

    @property
    def seconds(self) -> float:
        """The seconds since the period began."""
        return time.perf_counter() - self.started

    @property
    def short(self) -> bool:
        """True if more work is needed before the energy can be measured."""
        return self.open and self.seconds < SECONDS


class EnergyMeter:
    """A meter of joules by a device's counter, or of the reason why there are none.

    Args:
        counter: None if the device has none that can be read.
        reason: the reason why.
    """

    def __init__(self, counter: Counter | None, reason: str = ""):
        self._counter, self._reason = counter, reason
        self._joules: dict[str, float] = {}
        self._idle = self._idle_power()

    @contextmanager
    def window(self, name: str) -> Iterator[Window]:
        """Measure the work inside in joules per 1,000 `images`, under `name`."""
        before = self._read()
        window = Window(open=before is not None)
        yield window
        after, seconds = self._read(), window.seconds
        if self._counter is None or before is None or after is None:
            return
        try:
            joules = self._counter.joules(before, after, seconds)
        except Unreadable as error:
            self._reason = str(error)
            return
        if stalled := stalled_since(window.started):
            self._reason = f"the process did not run for {stalled:.1f} s of the {seconds:.1f} s"
            return
        if seconds < SECONDS or not window.images:
            self._reason = f"{joules:.1f} J in {seconds:.1f} s are too little to measure"
            return
        self._joules[name] = 1000 * joules / window.images

    def summary(self) -> dict[str, object]:
        """Return the `energy` of a record."""
        reason = NOT_MEASURED + self._reason if self._reason else ""
        if not self._joules or self._counter is None:
            return {"method": reason or f"{NOT_MEASURED}nothing ran long enough", **self._idle}
        known = {name: round(joules, 3) for name, joules in self._joules.items()}
        return {**known, "method": self._counter.method, **self._idle, **({"problem": reason} if reason else {})}

    def _read(self) -> Any:
        """Read the counter; None if it can't be read."""
        if self._counter is None:
            return None
        try:
            return self._counter.read()
        except Unreadable as error:
            self._reason = str(error)
            return None

    def _idle_power(self) -> dict[str, object]:
        """Return `idle_watts`, or `idle_problem` with the reason; neither if nothing is measured at all."""
        if self._counter is None:
            return {}
        try:
            return {"idle_watts": self._counter.idle_watts()}
        except Unreadable as error:
            return {"idle_problem": f"{NOT_MEASURED}{error}"}


def train_kwh(energy: Mapping[str, Any], images: int) -> dict[str, float]:
    """Return the kilowatt hours of training steps on that many images, as `train_kwh`; {} if none was measured."""
    joules = energy.get(TRAIN_ENERGY)
    return {} if joules is None else {"train_kwh": float(f"{joules / 1000 * images / JOULES_IN_KWH:.4g}")}
