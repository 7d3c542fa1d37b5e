"""The progress of a trial, which it tells its runner in a small file that is replaced at most twice a second."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.specs import TrialRecord
from bench.profiling.clock.ledger import Ledger
from bench.results.trial_files import PROGRESS, write_json
from bench.trials.plan import PlannedTrial

if TYPE_CHECKING:  # it imports keras, and the runner imports this module, too
    from bench.training.loop import Training

EVERY_SECONDS = 0.5
WAIT = "wait"  # the phase in which a trial waits for others that share its machine; it isn't the trial's time


class Progress:
    """A writer of a trial's phase and, once training has begun, of its progress.

    Args:
        folder: the trial's.
        ledger: `stage` charges the time to it.
    """

    def __init__(self, folder: Path, ledger: Ledger):
        self._path, self._ledger = folder / PROGRESS, ledger
        self._written = 0.0
        self._phase = "startup"
        self.training: Training | None = None
        self.val_mean_iou: float | None = None
        self.note = ""  # a line for the user

    def phase(self, name: str) -> None:
        """Enter a phase and write it at once."""
        self._phase = name
        self._write()

    @contextmanager
    def stage(self, name: str, ledger_phase: str | None = None) -> Iterator[None]:
        """Enter a phase, and charge the time inside to the ledger's phase of that name or to `ledger_phase`."""
        self.phase(name)
        with self._ledger.phase(ledger_phase or name):
            yield

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Enter the phase WAIT, charge the time inside to it, and return to the phase before."""
        before = self._phase
        with self.stage(WAIT):
            yield
        self.phase(before)

    def update(self) -> None:
        """Write the progress of training, unless that was done less than half a second ago."""
        if time.monotonic() - self._written >= EVERY_SECONDS:
            self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        values: dict[str, Any] = {"phase": self._phase, "time": time.time(), "pid": os.getpid(), "fraction": 0.0}
        if self.note:
            values["note"] = self.note
        if self.training:
            values.update(training_state(self.training), val_mean_iou=self.val_mean_iou)
        write_json(self._path, values, sync=False)


def training_state(training: "Training") -> dict[str, Any]:
    """Return the used fraction of the budget, seconds, steps, images, epochs, the last loss and images per second."""
    meter = training.meter
    return {
        "fraction": round(meter.fraction, 6),
        "train_seconds": round(meter.seconds, 3),
        "steps": meter.steps,
        "images": meter.images,
        "epochs": round(meter.epochs, 4),
        "loss": training.losses[-1] if training.losses else None,
        "images_per_second": meter.images / meter.seconds if meter.seconds else None,
    }


class Observer:
    """An observer of a run that shows nothing; a view overrides the methods for what it shows."""

    def preparing(self, dataset: str, done: int, total: int) -> None:
        """Take note that `done` of `total` images of a data set have been decoded."""

    def doubting(self, dataset: str, warnings: Sequence[str]) -> None:
        """Take note of a data set's warnings, which a user should look at before training."""

    def planned(self, trials: Sequence[PlannedTrial]) -> None:
        """Take note of all trials of the run; those that are `done` are not run again."""

    def started(self, trial: PlannedTrial) -> None:
        """Take note that a trial's process has started."""

    def progressed(self, trial: PlannedTrial, progress: dict[str, Any]) -> None:
        """Take note of a trial's progress: phase, fraction, loss, val_mean_iou, images_per_second, ..."""

    def noted(self, trial: PlannedTrial, line: str) -> None:
        """Take note of a line that a trial has for the user, such as that it goes on from a checkpoint."""

    def ended(self, trial: PlannedTrial, record: TrialRecord) -> None:
        """Take note that a trial has ended, whatever its status."""

    def lost(self, trial: PlannedTrial, reason: str) -> None:
        """Take note that a running trial's worker is gone, so that the trial will run elsewhere."""

    def warned(self, line: str) -> None:
        """Take note of a line about the whole run, such as that a machine gets no trials."""

    def without_weights(self, trial: PlannedTrial) -> None:
        """Take note that a trial is done, but that the weights that should be kept are missing."""

    def elsewhere(self, trial: PlannedTrial) -> None:
        """Take note that another runner is working on a trial, so that this run skips it."""

    def waiting(self, trial: PlannedTrial, seconds: float) -> None:
        """Take note that another run is finishing a trial, for which this one waits up to `seconds`; 0: no longer."""
