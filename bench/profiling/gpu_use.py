"""Measure the share of the training time in which the GPU computed nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import fmean

from bench.profiling.gpu import Nvml, Unreadable
from bench.profiling.sampling import Sampler

SECONDS = 0.2  # between two samples: NVML looks back over a sixth of a second to one second, by the GPU
LEAST = 10  # samples that tell a share


class GpuUse:
    """A meter of the first GPU's use by NVML: the share of time in which at least one kernel ran.

    Args:
        nvml: the GPU; None on a CPU, where nothing is measured.
    """

    def __init__(self, nvml: Nvml | None):
        self._nvml = nvml
        self._percents: list[int] = []

    @contextmanager
    def watched(self, counts: Callable[[], bool]) -> Iterator[None]:
        """Sample while the context is open, at the moments at which `counts` is true."""
        if self._nvml is None:
            yield
            return
        sampler = Sampler(lambda: self._read() if counts() else None, SECONDS)
        sampler.start()
        try:
            yield
        finally:
            sampler.stop()

    def summary(self) -> dict[str, float]:
        """Return `gpu_idle_share`; {} if NVML doesn't tell, or the time was too short."""
        return {} if len(self._percents) < LEAST else {"gpu_idle_share": round(1 - fmean(self._percents) / 100, 4)}

    def _read(self) -> None:
        if self._nvml is None:
            return
        try:
            self._percents.append(int(self._nvml.read("nvmlDeviceGetUtilizationRates").gpu))
        except Unreadable:  # such as on a MIG instance
            self._nvml = None
