"""A tuning trial: it trains and is scored on the validation split. It doesn't know which images the test split has."""

from typing import Any

import numpy as np

from bench.results.quantities import MEAN_IOU
from bench.trials.training_session import Session
from bench.trials.tuning.pruning import is_hopeless


class TuningSession(Session):
    """A tuning trial in its own process; its record has no test scores and no measured speed."""

    pruned = False  # whether it was ended early

    def run(self, fingerprint: str) -> dict[str, Any]:
        """Train; return the parts of the record by name. The argument is that of `Session.run`."""
        self.train(fingerprint)
        return self.parts(self.validation_of_selected())

    def validate(self, loss: float) -> bool:
        """Do as `Session.validate`; training also ends if no score so far is as high as the trial has to reach."""
        ended = super().validate(loss)
        number = len(self.validations)
        self.pruned = is_hopeless([values[MEAN_IOU.name] for values in self.validations], self.config.prune_below)
        if self.pruned:
            self.note(f"ends early: below the median of earlier tuning trials at validation {number}")
        return ended or self.pruned

    def describe_training(self) -> dict[str, Any]:
        """Make the `training` of the record, with all validation scores."""
        curve = [round(values[MEAN_IOU.name], 6) for values in self.validations]
        return {**super().describe_training(), "curve": curve, **({"pruned": True} if self.pruned else {})}

    def choose_indexes(self) -> dict[str, np.ndarray]:
        """Return the indexes of the training and the validation images."""
        return {split: some for split, some in super().choose_indexes().items() if split != "test"}
