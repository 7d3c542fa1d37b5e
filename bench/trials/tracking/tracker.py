"""The trackers that `--track` accepts: what each needs, where it writes, and what it is told."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.core.backends import installed
from bench.core.errors import BenchError
from bench.trials.tracking.tracked_run import Ending, TrackedRun

FOLDER = "tracking"  # in a results folder


class Tracker(Protocol):
    """A tracker of runs, one for each trial; all its methods are called in one thread, which is its own.

    Whatever it raises ends this tracker, not the trials.
    """

    def begin(self, run: TrackedRun) -> None:
        """Open a run; it replaces an earlier one of the same trial."""

    def log(self, run: TrackedRun, step: int, values: Mapping[str, float]) -> None:
        """Add the values of a validation after so many training steps."""

    def end(self, run: TrackedRun, ending: Ending) -> None:
        """Add how the trial ended and close its run."""


@dataclass(frozen=True)
class Kind:
    """A kind of tracker; its extra has its name."""

    name: str
    package: str  # that is imported
    module: str  # in this room; `open_tracker(folder)` makes the tracker, `place(folder)` says where it writes


KINDS = {
    kind.name: kind
    for kind in (
        Kind("tensorboard", "tensorboardX", "event_files"),
        Kind("mlflow", "mlflow", "mlflow_runs"),
        Kind("wandb", "wandb", "wandb_runs"),
    )
}


def read_names(text: str | None) -> tuple[str, ...]:
    """Return the trackers that a list with commas names, each once.

    Raises:
        BenchError: one is unknown, or its library isn't installed.
    """
    names = tuple(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))
    if text is not None and not names:
        raise BenchError(f"--track names no tracker. Available: {', '.join(KINDS)}; commas for several.")
    for name in names:
        if name not in KINDS:
            raise BenchError(f"Unknown tracker '{name}' in --track. Available: {', '.join(KINDS)}.")
        if not installed(KINDS[name].package):
            package = KINDS[name].package
            raise BenchError(f"--track {name} needs {package}, which is not installed: pip install 'segbench[{name}]'.")
    return names


def places(names: Sequence[str], results: Path) -> list[str]:
    """Return a line for each tracker that says where it writes and how to look at it.

    Raises:
        BenchError: it is to send its runs somewhere and can't.
    """
    return [f"--track {name}: {_module(name).place(_folder(name, results))}" for name in names]


def open_tracker(name: str, results: Path) -> Tracker:
    """Import a tracker's library and open it; its own folder is made if it writes there."""
    tracker: Tracker = _module(name).open_tracker(_folder(name, results))
    return tracker


def _folder(name: str, results: Path) -> Path:
    return results.resolve() / FOLDER / name


def _module(name: str) -> "_Module":
    module: _Module = importlib.import_module(f"bench.trials.tracking.{KINDS[name].module}")
    return module


class _Module(Protocol):
    def place(self, folder: Path) -> str: ...

    def open_tracker(self, folder: Path) -> Tracker: ...
