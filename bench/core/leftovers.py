"""End what a trial's process has started and left behind, also what has left its group (a daemon)."""

import contextlib
import os
import time
from pathlib import Path

import psutil

VARIABLE = "SEGBENCH_TRIAL"  # in the environment of a trial and of all that it starts: its folder
PAUSE_SECONDS = 0.02  # a process may start others while it is being ended, so they are looked for again
SPARE_SECONDS = 10  # for the process that frees shared memory; it ends by itself, on a busy machine later
LAST_SECONDS = 2  # in which nothing is spared


def mark_of(folder: Path) -> dict[str, str]:
    """Return the variable by which the processes of the trial in that folder are found."""
    return {VARIABLE: str(folder.resolve())}


def end_leftovers(folder: Path, group: int | None = None) -> None:
    """Kill the processes of a trial that has ended.

    Args:
        group: its process group; unknown if another runner had started it.
    """
    start = time.monotonic()
    while (passed := time.monotonic() - start) < SPARE_SECONDS + LAST_SECONDS:
        found = [process for process in psutil.process_iter() if _is_of(process, mark_of(folder), group)]
        if not found:
            return
        for process in found:
            if passed > SPARE_SECONDS or not _cleans_up(process):
                with contextlib.suppress(psutil.Error):
                    process.kill()
        time.sleep(PAUSE_SECONDS)


def _is_of(process: psutil.Process, mark: dict[str, str], group: int | None) -> bool:
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        in_group = group is not None and hasattr(os, "getpgid") and os.getpgid(process.pid) == group
        return in_group or mark.items() <= process.environ().items()
    except (psutil.Error, OSError):  # another user's, or it has ended
        return False


def _cleans_up(process: psutil.Process) -> bool:
    """Tell whether it is the process of Python that frees shared memory once the others are gone, and then ends."""
    try:
        return any("multiprocessing.resource_tracker" in part for part in process.cmdline())
    except (psutil.Error, OSError):
        return False
