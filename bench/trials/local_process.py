"""Runs a trial as a process on this machine."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from bench.results.store import LOG

GRACE_SECONDS = 5.0  # between asking and killing


class LocalProcess:
    """A started trial; see `bench.trials.local_process.Handle`."""

    def __init__(self, folder: Path, backend: str):
        self._oom_kills = _oom_kills()
        with (folder / LOG).open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.trials.process", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(backend),
                start_new_session=True,  # Ctrl-C reaches the runner alone, which then ends the trial
            )

    def wait(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            if self.wait(GRACE_SECONDS):
                return

    def reason(self) -> tuple[str, str]:
        code = self._process.returncode
        if code == -signal.SIGKILL and _oom_kills() > self._oom_kills:
            return "out_of_memory", "The system killed the process for want of memory."
        if code is not None and code < 0:
            return "failed", f"The process was killed by {signal.Signals(-code).name}."
        return "failed", f"The process ended with exit code {code} and no outcome."


class LocalExecutor:
    """One process a trial on this machine; needs no server."""

    def start(self, folder: Path, backend: str) -> LocalProcess:
        return LocalProcess(folder, backend)


def environment(backend: str) -> dict[str, str]:
    """Memory is taken as needed, so that its peak means something, and all of it if need be; logs are quiet."""
    return {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # as NVML and nvidia-smi count
        "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.95",  # JAX leaves a quarter alone, the other backends do not
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONUNBUFFERED": "1",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }


def _oom_kills() -> int:
    """Processes that the kernel has killed for want of memory so far, on this machine or in this container."""
    for path in ("/proc/vmstat", "/sys/fs/cgroup/memory.events"):
        try:
            words = Path(path).read_text().split()
        except OSError:
            continue
        if "oom_kill" in words:
            return int(words[words.index("oom_kill") + 1])
    return 0


OUTCOME = "outcome.json"  # what a trial's process leaves in its folder: the parts of a record, with its status
IF_KILLED = "if-killed.json"  # what of the outcome stands if the system kills the process for want of memory


class Handle(Protocol):
    """A trial that has been started."""

    def wait(self, seconds: float) -> bool:
        """Wait so long at most; whether the trial has ended."""

    def stop(self) -> None:
        """End the trial now, and return when it has ended."""

    def reason(self) -> tuple[str, str]:
        """Status and reason of a trial that ended without an outcome."""


class Executor(Protocol):
    """Starts trials. All that passes between the two processes are files in the trial's folder."""

    def start(self, folder: Path, backend: str) -> Handle:
        """Start the trial whose request stands in `folder`."""
