"""Measure energy with the GPU's own counter: the joules of at least 10 seconds of work, and the idle power.

NVML's counter (nvmlDeviceGetTotalEnergyConsumption, millijoules since the driver was loaded; Volta and later) covers
the whole board, idle power included. It is updated about every 100 ms, hence the 10 seconds.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.profiling.gpu import Nvml, Unreadable

SECONDS = 10.0  # the least time of work
METHOD = "NVML total energy"
NOT_MEASURED = "not measured: "


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
    """A meter of joules by NVML, or of the reason why there are none.

    Args:
        nvml: None if the trial runs on a CPU or NVML isn't available.
        reason: the reason why `nvml` is None.
    """

    def __init__(self, nvml: Nvml | None, reason: str = ""):
        self._nvml, self._reason = nvml, reason
        self._joules: dict[str, float] = {}
        self._idle = self._idle_power()

    @contextmanager
    def window(self, name: str) -> Iterator[Window]:
        """Measure the work inside in joules per 1,000 `images`, under `name`."""
        before = self._counter()
        window = Window(open=before is not None)
        yield window
        after, seconds = self._counter(), window.seconds
        if before is None or after is None:
            return
        if after <= before or seconds < SECONDS or not window.images:
            self._reason = f"the counter went from {before} to {after} mJ in {seconds:.1f} s"
            return
        self._joules[name] = (after - before) / window.images  # mJ an image, so J a thousand

    def summary(self) -> dict[str, object]:
        """The `energy` of a record."""
        reason = NOT_MEASURED + self._reason if self._reason else ""
        if not self._joules:
            return {"method": reason or f"{NOT_MEASURED}nothing ran long enough", **self._idle}
        known = {name: round(joules, 3) for name, joules in self._joules.items()}
        return {**known, "method": METHOD, **self._idle, **({"problem": reason} if reason else {})}

    def _counter(self) -> int | None:
        """Read the counter in millijoules; None if it can't be read."""
        if self._nvml is None:
            return None
        try:
            return self._nvml.read("nvmlDeviceGetTotalEnergyConsumption")
        except Unreadable as error:
            self._reason = str(error)
            return None

    def _idle_power(self) -> dict[str, object]:
        """Return `idle_watts`, or `idle_problem` with the reason; neither if nothing is measured at all."""
        if self._nvml is None:
            return {}
        try:
            return {"idle_watts": self._nvml.read("nvmlDeviceGetPowerUsage") / 1000}
        except Unreadable as error:
            return {"idle_problem": f"{NOT_MEASURED}{error}"}
