"""Run a trial as a process on this machine."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Protocol

from bench.core.child_process import KILLED
from bench.core.leftovers import end_leftovers, mark_of
from bench.core.surroundings import command, environment
from bench.results.trial_files import LOG
from bench.results.trial_output import trim_log

GRACE_SECONDS = 5.0  # between SIGTERM and SIGKILL


class Handle(Protocol):
    """A trial that has been started."""

    def wait(self, seconds: float) -> bool:
        """Wait up to that many seconds; return whether the trial has ended."""

    def stop(self) -> None:
        """End the trial and return once it has ended."""

    def reason(self) -> tuple[str, str]:
        """Return the status and the reason of a trial that ended without an outcome."""


class Executor(Protocol):
    """A way to start trials. The two processes exchange only files in the trial's folder."""

    def start(self, folder: Path, backend: str) -> Handle:
        """Start the trial whose request is in `folder`."""


class LocalExecutor:
    """An executor that runs each trial as a process on this machine, without a server."""

    def start(self, folder: Path, backend: str) -> Handle:
        return LocalProcess(folder, backend)


class LocalProcess:
    """A trial's process, which writes to the log in its folder; a `Handle`."""

    def __init__(self, folder: Path, backend: str):
        self._folder, self._ended = folder, False
        end_leftovers(folder)  # of a runner that was killed
        self._oom_kills = _oom_kills()
        with (folder / LOG).open("ab") as log:
            self._process = subprocess.Popen(
                command("bench.trials.process", str(folder)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**environment(backend), **mark_of(folder)},
                start_new_session=True,  # Ctrl-C reaches the runner alone, which then ends the trial
            )

    def wait(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            trim_log(self._folder / LOG)
            return False
        if not self._ended:
            self._ended = True
            end_leftovers(self._folder, self._process.pid)
            trim_log(self._folder / LOG)
        return True

    def stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            if self.wait(GRACE_SECONDS):
                return

    def reason(self) -> tuple[str, str]:
        code = self._process.returncode
        if code == KILLED and _oom_kills() > self._oom_kills:
            return "out_of_memory", "The system killed the process because memory ran out."
        if code is not None and code < 0:
            return "failed", f"The process was killed by {signal.Signals(-code).name}."
        return "failed", f"The process ended with exit code {code} and no outcome."


def _oom_kills() -> int:
    """Count the processes that the kernel has killed because memory ran out, on this machine or in this container."""
    for path in ("/proc/vmstat", "/sys/fs/cgroup/memory.events"):
        try:
            words = Path(path).read_text(encoding="utf-8").split()
        except OSError:
            continue
        if "oom_kill" in words:
            return int(words[words.index("oom_kill") + 1])
    return 0
