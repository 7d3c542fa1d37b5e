"""Run a trial as a process on this machine."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from bench.core.child_process import KILLED
from bench.core.leftovers import end_leftovers, mark_of
from bench.core.surroundings import command, environment
from bench.profiling.host.memory_kill import SAMPLE_SECONDS, MemoryKill
from bench.profiling.host.share import Share
from bench.results.trial_files import LOG
from bench.results.trial_output import trim_log

GRACE_SECONDS = 5.0  # between SIGTERM and SIGKILL
LOST, REFUSED = "lost", "refused"  # how a trial ends that is to run elsewhere: its worker is gone, or takes no trials


class Handle(Protocol):
    """A trial that has been started."""

    def wait(self, seconds: float) -> bool:
        """Wait up to that many seconds; return whether the trial has ended."""

    def stop(self) -> None:
        """End the trial and return once it has ended."""

    def reason(self) -> tuple[str, str]:
        """Return the status and the reason of a trial that ended without an outcome: a record's, or LOST or REFUSED."""

    def seconds(self) -> float:
        """Return how long the trial's process has run; what it waits for before it starts doesn't count."""


class Executor(Protocol):
    """A way to start trials. The two processes exchange only files in the trial's folder."""

    def start(self, folder: Path, backend: str) -> Handle:
        """Start the trial whose request is in `folder`."""


class LocalExecutor:
    """An executor that runs each trial as a process on this machine, without a server.

    Args:
        variables: of the environment, which name the device.
        share: the trials' share of the machine; None for all of it.
    """

    def __init__(self, variables: Mapping[str, str] | None = None, share: Share | None = None):
        self.variables, self._share = variables or {}, share

    def start(self, folder: Path, backend: str) -> Handle:
        return LocalProcess(folder, backend, self.variables, self._share)


class LocalProcess:
    """A trial's process, which writes to the log in its folder; a `Handle`."""

    def __init__(self, folder: Path, backend: str, variables: Mapping[str, str], share: Share | None):
        self._folder, self._ended, self._seconds = folder, False, 0.0
        end_leftovers(folder)  # of a runner that was killed
        self._memory_kill = MemoryKill(processes=share.at_once if share else 1)
        own = share.environment() if share else {}
        with (folder / LOG).open("ab") as log, share.starting() if share else contextlib.nullcontext():
            self._process = subprocess.Popen(
                command("bench.trials.process", str(folder)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**environment(backend), **variables, **own, **mark_of(folder)},
                start_new_session=True,  # Ctrl-C reaches the runner alone, which then ends the trial
            )
        self._began = time.monotonic()

    def wait(self, seconds: float) -> bool:
        if not self._wait(seconds):
            trim_log(self._folder / LOG)
            return False
        if not self._ended:
            self._ended, self._seconds = True, time.monotonic() - self._began
            end_leftovers(self._folder, self._process.pid)
            trim_log(self._folder / LOG)
        return True

    def _wait(self, seconds: float) -> bool:
        """Wait for the end of the process, and sample its memory meanwhile."""
        until = time.monotonic() + seconds
        while self._process.poll() is None:
            self._memory_kill.sample(self._process.pid)
            if (left := until - time.monotonic()) <= 0:
                return False
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(min(left, SAMPLE_SECONDS))
        return True

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        if not self.wait(GRACE_SECONDS):
            self._process.kill()  # what it has started is ended by `wait`
            self.wait(GRACE_SECONDS)

    def seconds(self) -> float:
        return self._seconds if self._ended else time.monotonic() - self._began

    def reason(self) -> tuple[str, str]:
        code = self._process.returncode
        if code == KILLED and (evidence := self._memory_kill.evidence()):
            return "out_of_memory", f"The system killed the process because memory ran out: {evidence}."
        if code is not None and code < 0:
            return "failed", f"The process was killed by {signal.Signals(-code).name}."
        return "failed", f"The process ended with exit code {code} and no outcome."
