"""Measure the memory of this process as the system counts it: that is what decides whether a trial fits.

On a GPU, NVML counts the memory of each process: the backend's context and libraries, and all that its allocator has
taken from the device, in use or not. On the host, Linux divides the resident set into anonymous memory, shared memory,
and pages of mapped files, such as libraries. The system can drop the pages of files when memory is short, so that the
anonymous and the shared part have to fit.
"""

import os
from pathlib import Path
from typing import NamedTuple

from bench.profiling.gpu import Nvml, Unreadable, process_bytes
from bench.profiling.sampling import Sampler

MIB = 2**20
SAMPLE_SECONDS = 0.05
BY_PROCESS = "NVML by process"
BY_DIFFERENCE = "NVML, memory in use on the GPU minus that before the trial"
BY_PARTS = "anonymous and shared part of the process's RSS"
NOT_RECORDED = "not recorded"
_STATUS = Path("/proc/self/status")
_FIELDS = (b"VmHWM", b"RssAnon", b"RssFile", b"RssShmem")


class Parts(NamedTuple):
    """The peak of the resident set since the process began, and its parts now, in bytes."""

    peak: int
    anonymous: int
    file: int
    shared: int


class ProcessMemory:
    """The peaks of this process's memory on the host and on its GPU, sampled between `start` and `stop`.

    Args:
        nvml: None on a CPU, or if NVML can't be read.
        before: the bytes in use on the GPU before the backend was started; None if they aren't known.
        reason: on a GPU, the reason why `nvml` is None.
    """

    def __init__(self, nvml: Nvml | None = None, before: int | None = None, reason: str = ""):
        self._nvml, self._before, self._reason = nvml, before, reason
        self._sampler = Sampler(self.read, SAMPLE_SECONDS)
        self._method = ""
        self._on_gpu = 0
        self._host: dict[str, int] = {}

    def start(self) -> None:
        """Begin to sample; later calls do nothing."""
        if not self._sampler.started:
            self.read()
            self._sampler.start()

    def stop(self) -> None:
        """Read once more and end the sampling."""
        if self._sampler.alive:
            self._sampler.stop()
        self.read()

    def read(self) -> None:
        """Read the memory now and keep the greatest values."""
        if parts := host_parts():
            now = {**parts._asdict(), "needed": parts.anonymous + parts.shared}
            self._host = {name: max(size, self._host.get(name, 0)) for name, size in now.items()}
        if self._nvml:
            self._read_gpu(self._nvml)

    def _read_gpu(self, nvml: Nvml) -> None:
        try:
            size, method = process_bytes(nvml), BY_PROCESS
        except Unreadable as error:
            try:
                size, method = self._difference(nvml), BY_DIFFERENCE
            except Unreadable:
                self._reason = str(error)
                return
        self._on_gpu, self._method = max(self._on_gpu, size), method

    def _difference(self, nvml: Nvml) -> int:
        """Return the bytes on the GPU that came after the start; those of other processes would count."""
        if self._before is None:
            raise Unreadable("the memory in use before the trial is not known")
        return max(0, nvml.read("nvmlDeviceGetMemoryInfo").used - self._before)

    @property
    def core_share(self) -> float:
        """The share of a core that sampling took."""
        return self._sampler.core_share

    def summary(self) -> dict[str, object]:
        """Return the process's part of a record's `memory`, in MiB; call it after `stop`."""
        host = {name: round(size / MIB, 1) for name, size in self._host.items() if name not in ("peak", "needed")}
        return {
            **self._deciding(),
            **{f"host_{name}_peak_mib": size for name, size in host.items()},
            "memory_samples": self._sampler.samples,
        }

    def _deciding(self) -> dict[str, object]:
        if self._method:
            return {"process_peak_mib": round(self._on_gpu / MIB, 1), "process_method": self._method}
        if self._reason:
            return {"process_method": f"{NOT_RECORDED}: {self._reason}"}
        if not self._host:
            return {"process_method": f"{NOT_RECORDED}: this system doesn't tell the parts of the RSS"}
        # The kernel keeps the exact peak of the whole. Less the most that files ever took, it bounds the parts' peak
        # from below, where samples may have missed a short one.
        needed = max(self._host["needed"], self._host["peak"] - self._host["file"])
        return {"process_peak_mib": round(needed / MIB, 1), "process_method": BY_PARTS}


def host_parts(source: Path = _STATUS) -> Parts | None:
    """Read the resident set's peak and parts from /proc (Linux 4.5 or later); None elsewhere."""
    try:
        found = _status(source)
        return Parts(*(1024 * int(found[name].split()[0]) for name in _FIELDS))
    except (OSError, KeyError, ValueError, IndexError):
        return None


def _status(source: Path) -> dict[bytes, bytes]:
    number = os.open(source, os.O_RDONLY)
    try:
        text = os.read(number, 2**16)  # a tenth of the time of Path.read_text, which matters for a sampler
    finally:
        os.close(number)
    return dict(line.split(b":", 1) for line in text.splitlines() if line.startswith((b"Vm", b"Rss")))
