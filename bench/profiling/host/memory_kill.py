"""Tell whether the kernel killed a process because memory ran out; anybody can send the same signal.

It did if, while the process ran, a count of such kills rose, of its control group or of the machine, and the process
held more than a share of the memory that this count belongs to. A kill of another process raises the count, too.
"""

from collections import deque
from pathlib import Path

import psutil

from bench.profiling.host.cgroups import ROOT, groups, number, table

SHARE = 0.5  # of the limit: memory is sampled every 0.1 s, in which a process may take some GiB more
SAMPLE_SECONDS = 0.1
_LAST = 3  # samples of which the largest counts, because the kernel takes the memory before the process is gone
_GIB = 2**30


def resident(pid: int) -> int:
    """Read the size of a process's resident set in bytes; 0 after its end."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


class MemoryKill:
    """The evidence about one process; make it before the process starts, and sample while it runs.

    Args:
        processes: so many large ones run at once and share the memory.
    """

    def __init__(self, root: Path = ROOT, *, processes: int = 1):
        self._root, self._share = root, SHARE / processes
        self._before = _kills(root)
        self._samples: deque[int] = deque(maxlen=_LAST)

    def sample(self, pid: int) -> None:
        """Note the process's resident memory, unless it has ended."""
        if size := resident(pid):
            self._samples.append(size)

    def evidence(self) -> str:
        """Say how much of which limit the killed process held; "" if the kernel didn't kill it for its memory."""
        held = max(self._samples, default=0)
        for place, count in _kills(self._root).items():
            limit = _limit(place, self._root)
            if count > self._before.get(place, 0) and held > self._share * limit:
                return f"it held {held / _GIB:.2f} of {limit / _GIB:.2f} GiB"
        return ""


def _kills(root: Path) -> dict[Path, float]:
    """Count the kernel's kills for memory in each of this process's groups, and on the whole machine (`root`)."""
    found = {}
    for group in groups("memory", root):
        counts = table(group / "memory.events") or table(group / "memory.oom_control")
        found[group] = counts.get("oom_kill", 0)
    return {**found, root: table(root / "proc/vmstat").get("oom_kill", 0)}


def _limit(place: Path, root: Path) -> float:
    """Return the bytes that a group may use, or those of the machine, whichever is less."""
    machine = table(root / "proc/meminfo").get("MemTotal", float("inf")) * 1024
    own = None if place == root else number(place / "memory.max") or number(place / "memory.limit_in_bytes")
    return min(machine, own or machine)
