"""A tuning trial: it trains and is scored on the validation split. It doesn't know which images the test split has."""

from typing import Any

import numpy as np

from bench.trials.training_session import Session


class TuningSession(Session):
    """A tuning trial in its own process; its record has no test scores and no measured speed."""

    def run(self, fingerprint: str) -> dict[str, Any]:
        """Train; return the parts of the record by name. The argument is that of `Session.run`."""
        self.train(fingerprint)
        return self.parts(self.validation_of_selected())

    def choose_indexes(self) -> dict[str, np.ndarray]:
        """Return the indexes of the training and the validation images."""
        return {split: some for split, some in super().choose_indexes().items() if split != "test"}
