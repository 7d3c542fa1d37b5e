"""The share of this machine that a trial has while others run beside it, which its runner tells it in a variable.

Libraries count their threads by the cores that a process may use (Linux) and by variables of their own (elsewhere).
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

_VARIABLE = "SEGBENCH_SHARE"
_THREADS = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
)
_TOPOLOGY = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Share:
    """A trial's share of the cores of its machine."""

    cores: tuple[int, ...]  # their numbers
    of: int  # cores that all trials have together
    at_once: int  # trials that run at once

    def environment(self) -> dict[str, str]:
        """Return the variables that tell a process its share."""
        return {**dict.fromkeys(_THREADS, str(len(self.cores))), _VARIABLE: json.dumps(asdict(self))}

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Let a process that is started inside use the share's cores only, as far as the system can do that.

        The calling thread has them meanwhile, since a new process has the cores of the thread that starts it.
        """
        if not hasattr(os, "sched_setaffinity"):
            yield
            return
        before = os.sched_getaffinity(0)
        try:
            os.sched_setaffinity(0, self.cores)
            yield
        finally:
            os.sched_setaffinity(0, before)


def own_share() -> Share | None:
    """Return the share of this process; None if its trial has the machine for itself."""
    text = os.environ.get(_VARIABLE)
    if not text:
        return None
    values = json.loads(text)
    return Share(**{**values, "cores": tuple(values["cores"])})


def parts(cores: Sequence[int], count: int) -> list[tuple[int, ...]]:
    """Divide cores into as many equal parts; what is left over stays free.

    The threads of one core stay together, and so do the cores of one socket, so that two trials share as little as
    possible.
    """
    ordered, each = sorted(cores, key=_place), len(cores) // count
    return [tuple(ordered[number * each : (number + 1) * each]) for number in range(count)]


@cache
def _place(core: int) -> tuple[int, int, int]:
    """Return the socket and the physical core of a core, and its own number; zeros where the system doesn't say."""
    topology = _TOPOLOGY / f"cpu{core}" / "topology"
    try:
        socket, physical = (
            int((topology / name).read_text(encoding="utf-8")) for name in ("physical_package_id", "core_id")
        )
    except (OSError, ValueError):
        return 0, 0, core
    return socket, physical, core
