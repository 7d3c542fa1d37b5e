"""Measure peak memory, in total and by phase: that of the backend's allocator on a GPU, else of the resident set.

A resident set never falls to what a phase alone needs, because it includes libraries and the memory that an allocator
keeps. The gauges of the backends' allocators are beside their engines, in bench/training/engines/. The memory of the
whole process is in process_memory.py.
"""

import resource
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from bench.profiling.process_memory import MIB, ProcessMemory, host_parts
from bench.profiling.sampling import Sampler

PHASES = ("first_step", "train", "inference")
SAMPLE_SECONDS = 0.005


class Gauge(ABC):
    """A gauge of the peak memory of a period of work, in bytes."""

    method: str
    limits = ""  # the reason why the peak of a period may be unknown
    core_share = 0.0  # of a core, that sampling took

    @abstractmethod
    def start(self) -> None:
        """Begin a period."""

    @abstractmethod
    def stop(self) -> int | None:
        """Return the peak since `start`; None if it isn't known."""

    @abstractmethod
    def overall(self) -> int:
        """Return the peak since the process began."""

    def held(self) -> int:
        """Return the memory held now, for periods whose peak may be unknown."""
        raise NotImplementedError

    def reserved(self) -> int | None:
        """Return the most that the allocator has taken from the device, used or not; None if it doesn't tell."""
        return None


class MemoryMeter:
    """The peaks of a trial's phases.

    Args:
        gauge: the gauge of the backend's allocator; None for the process's resident set.
        process: what the whole process takes, sampled from the first phase until `summary`; None: on a CPU.
    """

    def __init__(self, gauge: Gauge | None = None, process: ProcessMemory | None = None):
        self._gauge = gauge or ResidentSet()
        self._process = process or ProcessMemory()
        self._peaks: dict[str, int | None] = {}
        self._planned: dict[str, int] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Note the peak of the work inside under one of PHASES; a repeated phase keeps the greater peak."""
        self._process.start()
        self._gauge.start()
        peak = None
        try:
            yield
        finally:
            peak = self._gauge.stop()
            self._peaks[name] = max(filter(None, (peak, self._peaks.get(name))), default=None)

    def plan(self, name: str, size: int | None) -> None:
        """Note the memory that the phase's program needs beyond what is held now; it is used if no peak is known.

        Args:
            size: bytes; None if that isn't known either.
        """
        if self._peaks.get(name) is None and size is not None:
            self._planned[name] = self._gauge.held() + size

    def summary(self) -> dict[str, object]:
        """Return the `memory` of a record, in MiB."""
        self._process.stop()
        peaks = {**self._peaks, **self._planned}
        reserved = self._gauge.reserved()
        unknown = [name for name in self._peaks if peaks[name] is None]
        notes = [f"{name}: what was held at rest and XLA's plan; {self._gauge.limits}" for name in self._planned]
        notes += [f"{name}: at most the peak of what came before; {self._gauge.limits}" for name in unknown]
        return {
            # Linux counts the resident set's peak less exactly than its current value.
            "peak_memory_mib": _mib(max(self._gauge.overall(), *filter(None, self._peaks.values()), 0)),
            "method": self._gauge.method,
            **{f"{name}_peak_mib": _mib(peaks[name]) for name in PHASES if name in peaks},
            **({} if reserved is None else {"reserved_peak_mib": _mib(reserved)}),
            **self._process.summary(),
            "memory_sampling_core_share": round(self._process.core_share + self._gauge.core_share, 5),
            **({"notes": notes} if notes else {}),
        }


def _mib(size: int | None) -> float | None:
    return None if size is None else round(size / MIB, 1)


class ResidentSet(Gauge):
    """The process's resident set, read every few milliseconds by a thread during a period."""

    method = "process RSS"

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._busy = self._seconds = 0.0  # of all periods: those of a core, and those that passed

    def start(self) -> None:
        self._peak = 0
        self._look()
        self._sampler = Sampler(self._look, SAMPLE_SECONDS)
        self._sampler.start()

    def stop(self) -> int:
        self._sampler.stop()
        self._look()
        self._busy, self._seconds = self._busy + self._sampler.busy, self._seconds + self._sampler.seconds
        self.core_share = self._busy / self._seconds
        return self._peak

    def overall(self) -> int:
        return _peak_resident()

    def _look(self) -> None:
        self._peak = max(self._peak, self._process.memory_info().rss)


def _peak_resident() -> int:
    """Return the peak in bytes, from /proc on Linux, where a child's `ru_maxrss` begins at that of its parent."""
    if parts := host_parts():
        return parts.peak
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class Resettable(Gauge):
    """An allocator whose peak can be reset to the memory held now."""

    method = "device allocator"

    def __init__(self) -> None:
        self._overall = 0
        self._reserved: int | None = None

    def start(self) -> None:
        self._overall, self._reserved = self.overall(), self.reserved()
        self.reset()

    def stop(self) -> int:
        return self.peak()

    def overall(self) -> int:
        return max(self._overall, self.peak())

    def reserved(self) -> int | None:
        return max((size for size in (self._reserved, self.peak_reserved()) if size is not None), default=None)

    @abstractmethod
    def peak(self) -> int:
        """Return the peak in bytes since the last reset."""

    def peak_reserved(self) -> int | None:
        """Return the most bytes taken from the device since the last reset; None if the backend doesn't tell."""
        return None

    @abstractmethod
    def reset(self) -> None:
        """Reset the peak to the memory held now."""


class OnlyRising(Gauge):
    """An allocator whose peak can't be reset.

    If a phase doesn't exceed the peak before it, its memory is what was held plus the compiler's own plan of the
    program.
    """

    method = "device allocator"

    def start(self) -> None:
        self._before = self.overall()

    def stop(self) -> int | None:
        peak = self.overall()
        return peak if peak > self._before else None
