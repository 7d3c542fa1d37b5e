"""End what a trial's process has started and left behind, also what has left its group (a daemon)."""

import contextlib
import os
import signal
import time
from pathlib import Path

import psutil

VARIABLE = "SEGBENCH_TRIAL"  # in the environment of a trial and of all that it starts: its folder
ROUNDS, PAUSE_SECONDS = 50, 0.02  # a process may start others while it is being ended


def mark_of(folder: Path) -> dict[str, str]:
    """Return the variable by which the processes of the trial in that folder are found."""
    return {VARIABLE: str(folder.resolve())}


def end_leftovers(folder: Path, group: int | None = None) -> None:
    """Kill the processes of a trial that has ended.

    Args:
        group: its process group; unknown if another runner had started it.
    """
    if group is not None and hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for _ in range(ROUNDS):
        found = [process for process in psutil.process_iter() if _is_of(process, mark_of(folder))]
        if not found:
            return
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(PAUSE_SECONDS)


def _is_of(process: psutil.Process, mark: dict[str, str]) -> bool:
    try:
        return process.pid != os.getpid() and mark.items() <= process.environ().items()
    except (psutil.Error, OSError):  # another user's, or it has ended
        return False
