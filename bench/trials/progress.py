"""What a trial tells its runner while it works: a small file, replaced at most twice a second."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.specs import TrialRecord
from bench.profiling.ledger import Ledger
from bench.results.store import PROGRESS, write_json
from bench.trials.plan import PlannedTrial

if TYPE_CHECKING:  # which imports keras, and the runner reads this file too
    from bench.training.loop import Training

EVERY_SECONDS = 0.5


class Progress:
    """Writes the phase, and once training has begun how far it is.

    Args:
        folder: of the trial.
        ledger: what `stage` charges the time to.
    """

    def __init__(self, folder: Path, ledger: Ledger):
        self._path, self._ledger = folder / PROGRESS, ledger
        self._written = 0.0
        self._phase = "startup"
        self.training: Training | None = None
        self.val_mean_iou: float | None = None

    def phase(self, name: str) -> None:
        """Enter a phase; written at once."""
        self._phase = name
        self._write()

    @contextmanager
    def stage(self, name: str, ledger_phase: str | None = None) -> Iterator[None]:
        """Enter a phase, and charge the ledger's phase of that name, or of another one, with the time inside."""
        self.phase(name)
        with self._ledger.phase(ledger_phase or name):
            yield

    def update(self) -> None:
        """Write where training is, unless that was done half a second ago."""
        if time.monotonic() - self._written >= EVERY_SECONDS:
            self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        values: dict[str, Any] = {"phase": self._phase, "time": time.time(), "pid": os.getpid(), "fraction": 0.0}
        if self.training:
            values.update(training_state(self.training), val_mean_iou=self.val_mean_iou)
        write_json(self._path, values)


def training_state(training: "Training") -> dict[str, Any]:
    """Fraction of the budget, seconds, steps, images, epochs, last loss and images per second."""
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
    """Hears everything and says nothing; a view overrides what it shows."""

    def preparing(self, dataset: str, done: int, total: int) -> None:
        """Images of a data set that have been decoded."""

    def planned(self, trials: Sequence[PlannedTrial]) -> None:
        """All trials of the run; those with a `record` are done already and not run again."""

    def started(self, trial: PlannedTrial) -> None:
        """A trial's process has started."""

    def progressed(self, trial: PlannedTrial, progress: dict[str, Any]) -> None:
        """What the trial says of itself: phase, fraction, loss, val_mean_iou, images_per_second, ..."""

    def ended(self, trial: PlannedTrial, record: TrialRecord) -> None:
        """A trial has ended, well or not."""

    def without_weights(self, trial: PlannedTrial) -> None:
        """This trial is done, and its weights, which are to be kept, are not there."""

    def elsewhere(self, trial: PlannedTrial) -> None:
        """Another runner works on this trial; this one leaves it alone."""
