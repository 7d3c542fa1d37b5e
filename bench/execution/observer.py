"""What a runner tells while it works; a live view, plain lines or nothing."""

from collections.abc import Sequence
from typing import Any

from bench.execution.plan import PlannedTrial
from bench.spec import TrialRecord


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
