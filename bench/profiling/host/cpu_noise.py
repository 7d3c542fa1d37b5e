"""Read what else keeps the CPU busy while a trial is measured: other processes, its frequency, a group's limit.

A thread reads the kernel's counters once a second, for a thousandth of a core or less. The share of other processes is
what the trial's cores worked beyond the trial's own time, over all that they could have worked; time that a virtual
machine's host took (`steal`) is others', too. The share over a phase comes from the counters at its ends, so no short
load falls between two readings.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from bench.core.surroundings import usable_cores
from bench.profiling.host.cgroups import ROOT, groups, number, read, table
from bench.profiling.sampling import Sampler

EVERY_SECONDS = 1.0
MOST_CORES = 32  # whose frequency is read, evenly chosen: each is a file
TRAIN, PROFILE, SWEEP = PHASES = ("train", "profile", "sweep")  # in which speed is measured
BEFORE, AFTER = "before", "after"
_IDLE, _IOWAIT, _COUNTED = 3, 4, 8  # of a line of /proc/stat; after the eighth come parts of the first ones
_TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class Reading:
    """The counters at one moment, in seconds since the machine's or the trial's start."""

    time: float
    busy: dict[int, float] = field(default_factory=dict)  # of each core that the trial may use
    total: float = 0.0  # of all these cores, idle or not
    own: float = 0.0
    periods: float = 0.0  # of the group's limit on the time of cores
    stopped: float = 0.0  # of these, in which the limit stopped the group
    mhz: dict[int, float] = field(default_factory=dict)


def cpu_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


class Host:
    """The files of /proc and /sys that say how busy the trial's cores are."""

    def __init__(self, root: Path = ROOT, cores: Sequence[int] | None = None, own: Callable[[], float] = cpu_seconds):
        self.cores = usable_cores() if cores is None else sorted(cores)
        self._root, self._groups, self._own = root, groups("cpu", root), own
        step = max(1, len(self.cores) // MOST_CORES)
        folders = ((core, root / f"sys/devices/system/cpu/cpu{core}") for core in self.cores[::step])
        self._clocks = {core: path for core, path in folders if (path / "cpufreq").is_dir()}

    def reading(self) -> Reading:
        """Read the counters; without /proc, as on macOS, little more than the time."""
        busy, total = self._worked()
        clocks = {core: number(path / "cpufreq/scaling_cur_freq") for core, path in self._clocks.items()}
        return Reading(
            *(time.monotonic(), busy, total, self._own(), *self._stopped()),
            mhz={core: khz / 1000 for core, khz in clocks.items() if khz},
        )

    def load(self) -> float | None:
        """Return the load of the last minute."""
        words = read(self._root / "proc/loadavg").split()
        return float(words[0]) if words else None

    def facts(self) -> dict[str, Any]:
        """Return what changes seldom: load of the last minute, governor, frequency by design, the group's limit."""
        first = next(iter(self._clocks.values()), None)
        found = {
            "load": self.load(),
            "governor": read(first / "cpufreq/scaling_governor") if first else None,
            "design_mhz": _design_mhz(first) if first else None,
            "limit_cores": min(filter(None, map(_limit, self._groups)), default=None),
        }
        return {name: value for name, value in found.items() if value not in (None, "")}

    def _worked(self) -> tuple[dict[int, float], float]:
        busy, total = {}, 0.0
        for line in read(self._root / "proc/stat").splitlines():
            name, *words = line.split()
            if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in self.cores:
                ticks = [int(word) / _TICK for word in words[:_COUNTED]]
                busy[int(name[3:])] = sum(ticks) - ticks[_IDLE] - ticks[_IOWAIT]
                total += sum(ticks)
        return busy, total

    def _stopped(self) -> tuple[float, float]:
        """Count the periods of the limits on the groups' time, and those in which a limit stopped them."""
        counts = [table(group / "cpu.stat") for group in self._groups]
        found = [(c.get("nr_throttled", 0.0), c.get("nr_periods", 0.0)) for c in counts]
        stopped, periods = max(found, default=(0.0, 0.0))
        return periods, stopped


def _limit(group: Path) -> float | None:
    """Return the cores' worth of time that a group may use; None without a limit."""
    if words := read(group / "cpu.max").split():
        return None if words[0] == "max" else int(words[0]) / int(words[1])
    quota, period = number(group / "cpu.cfs_quota_us"), number(group / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None


def _design_mhz(core: Path) -> float | None:
    """Return the frequency that the CPU is sold with; the highest one, short bursts included, if that isn't told."""
    for name, unit in (
        ("cpufreq/base_frequency", 1e3),
        ("acpi_cppc/nominal_freq", 1),
        ("cpufreq/cpuinfo_max_freq", 1e3),
    ):
        if value := number(core / name):
            return value / unit
    return None


@dataclass
class Tally:
    """Sums over a phase."""

    seconds: float = 0.0
    others: float = 0.0  # seconds of cores
    total: float = 0.0
    own: float = 0.0
    periods: float = 0.0
    stopped: float = 0.0
    worst: float = 0.0  # share of the others in the worst second
    mhz: list[float] = field(default_factory=list)

    def add(self, first: Reading, last: Reading) -> None:
        """Add the time between two readings."""
        own, total = last.own - first.own, last.total - first.total
        worked = sum(last.busy.values()) - sum(first.busy.values())
        self.seconds += last.time - first.time
        self.others += min(total, max(0.0, worked - own))
        self.total += total
        self.own += own
        self.periods += last.periods - first.periods
        self.stopped += last.stopped - first.stopped

    def note(self, first: Reading, last: Reading) -> None:
        """Note a second within the phase: how busy it was, and the frequency at which the cores worked in it."""
        second = Tally()
        second.add(first, last)
        self.worst = max(self.worst, second.others_share or 0.0)
        work = {core: last.busy[core] - first.busy.get(core, 0.0) for core in last.mhz if core in last.busy}
        if (weight := sum(work.values())) > 0:
            self.mhz.append(sum(last.mhz[core] * share for core, share in work.items()) / weight)

    @property
    def others_share(self) -> float | None:
        """The others' share of what the cores could have worked; None if the system counts nothing."""
        return self.others / self.total if self.total > 0 else None

    def summary(self) -> dict[str, float]:
        """Return the shares, rounded; without those that are not known."""
        if self.others_share is None or self.seconds <= 0:
            return {}
        found = {
            "seconds": round(self.seconds, 1),
            "others_share": round(self.others_share, 4),
            "others_share_worst": round(max(self.worst, self.others_share), 4),
            "own_cores": round(self.own / self.seconds, 3),
        }
        if self.periods > 0:
            found["stopped_share"] = round(self.stopped / self.periods, 4)
        return {**found, **({"mhz": round(fmean(self.mhz))} if self.mhz else {})}


class CpuNoise:
    """A record of how busy the CPU is before, during and after the measurements of a trial; make it early."""

    def __init__(self, host: Host | None = None):
        self._host = host or Host()
        self._facts = self._host.facts()
        self._last = self._host.reading()
        self._phases = {BEFORE: Tally()}
        self._name = BEFORE  # of the phase that lasts
        self._began = self._last
        self._lock = threading.Lock()
        self._sampler = Sampler(self._sample, EVERY_SECONDS)
        self._sampler.start()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Note how busy the CPU is during one of PHASES; the time before the first one is BEFORE, then AFTER."""
        self._enter(name)
        try:
            yield
        finally:
            self._enter(AFTER)

    def summary(self) -> dict[str, Any]:
        """Return the `cpu_noise` of a record's environment; {} where the system counts nothing."""
        self._enter(AFTER)
        phases = {name: found for name, tally in self._phases.items() if (found := tally.summary())}
        if not phases:
            return {}
        after = {**phases.get(AFTER, {}), **({"load": load} if (load := self._host.load()) is not None else {})}
        cost = {"samples": self._sampler.samples, "core_share": round(self._sampler.core_share, 6)}
        return {**self._facts, **phases, AFTER: after, "sampling": cost}

    def _enter(self, name: str) -> None:
        with self._lock:
            now = self._host.reading()
            tally = self._phases[self._name]
            tally.add(self._began, now)
            if now.time - self._last.time > EVERY_SECONDS / 2:
                tally.note(self._last, now)
            self._name, self._began, self._last = name, now, now
            self._phases.setdefault(name, Tally())

    def _sample(self) -> None:
        with self._lock:
            now = self._host.reading()
            self._phases[self._name].note(self._last, now)
            self._last = now
