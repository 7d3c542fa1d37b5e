"""Read the energy counters of CPUs (RAPL, "running average power limit"), which Linux shows in /sys/class/powercap.

Each package has a counter in microjoules, which begins again at 0 after `max_energy_range_uj`. Some machines count the
memory (`dram`) apart. The counters cover the whole machine: other processes, and what it draws idle. Since 2020 only
root may read them (CVE-2020-8694).
"""

import time
from pathlib import Path

from bench.profiling.gpu import Unreadable
from bench.profiling.host.cgroups import ROOT, read

MOST_WATTS = 1000.0  # of one package: after the seconds that it needs for the whole range, a counter may have lapped
IDLE_SECONDS = 1.0
_PACKAGE, _MEMORY = "package", "dram"


class Rapl:
    """The counters of all packages of this machine, and of their memory.

    Raises:
        Unreadable: there is none, or one of them can't be read: the others would count only a part.
    """

    method = "RAPL"

    def __init__(self, root: Path = ROOT):
        zones = sorted((root / "sys/class/powercap").glob("intel-rapl:*"))  # AMD's too; `intel-rapl-mmio` is a double
        kinds = {zone: read(zone / "name").split("-")[0] for zone in zones}
        if _PACKAGE not in kinds.values():
            raise Unreadable("this machine shows no energy counters of its CPU (RAPL)")
        self._zones = [zone for zone, kind in kinds.items() if kind in (_PACKAGE, _MEMORY)]
        self._ranges = [_number(zone / "max_energy_range_uj") for zone in self._zones]
        self.read()

    def read(self) -> list[int]:
        """Read the microjoules of each counter."""
        return [_number(zone / "energy_uj") for zone in self._zones]

    def joules(self, before: list[int], after: list[int], seconds: float) -> float:
        """Return the joules between two readings; a counter may have begun again once.

        Raises:
            Unreadable: so much time passed that a counter may have begun again twice.
        """
        if seconds * MOST_WATTS * 1e6 > min(self._ranges):
            raise Unreadable(f"the counter may have begun again twice in {seconds:.0f} s")
        spans = zip(before, after, self._ranges, strict=True)
        return sum((last - first) % (span + 1) for first, last, span in spans) / 1e6

    def idle_watts(self) -> float:
        """Measure the power now, over a second."""
        before, start = self.read(), time.perf_counter()
        time.sleep(IDLE_SECONDS)
        seconds = time.perf_counter() - start
        return round(self.joules(before, self.read(), seconds) / seconds, 3)


def _number(path: Path) -> int:
    try:
        return int(path.read_text(encoding="utf-8"))
    except PermissionError as error:
        raise Unreadable(f"'{path}' can't be read ({error.strerror}; root may: chmod a+r on it)") from error
    except (OSError, ValueError) as error:
        raise Unreadable(f"'{path}' can't be read ({error})") from error
