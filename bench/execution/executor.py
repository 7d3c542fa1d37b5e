"""The protocol between the runner and whatever runs a trial's process."""

from pathlib import Path
from typing import Protocol

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
