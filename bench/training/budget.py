"""The budget's clock: it runs only while training."""

import math
from dataclasses import dataclass

from bench.core.specs import Budget

VALIDATIONS = 10  # at even fractions of the budget


@dataclass
class Meter:
    """The used part of a budget.

    Args:
        budget: what may be used.
        batch_size: images a step.
        epoch_images: images of the training split.
    """

    budget: Budget
    batch_size: int
    epoch_images: int
    steps: int = 0
    seconds: float = 0.0

    @property
    def images(self) -> int:
        """The number of images seen, repeats included."""
        return self.steps * self.batch_size

    @property
    def epochs(self) -> float:
        """The number of passes over the training split."""
        return self.images / self.epoch_images

    @property
    def fraction(self) -> float:
        """The used share of the budget, 0 to 1; a budget of seconds is used up if less than half a step is left."""
        used = round(getattr(self, self.budget.unit) / self.budget.amount, 12)
        half_step = self.step_fraction() / 2 if self.budget.unit == "seconds" else 0.0
        return 1.0 if used + half_step >= 1.0 else used

    def step_fraction(self) -> float:
        """The share of the budget that one step uses; for a budget of seconds as measured so far (0 before)."""
        if self.budget.unit == "seconds":
            return self.seconds / self.steps / self.budget.amount if self.steps else 0.0
        images = {"steps": self.batch_size, "images": 1, "epochs": self.epoch_images}[self.budget.unit]
        return self.batch_size / (self.budget.amount * images)

    def steps_to(self, fraction: float) -> int:
        """Return the number of steps until that fraction is reached, at least 1."""
        per_step = self.step_fraction()
        return max(1, math.ceil((fraction - self.fraction) / per_step - 1e-9)) if per_step else 1

    def next_milestone(self) -> float:
        """The next fraction at which the model is validated."""
        return min(1.0, (math.floor(self.fraction * VALIDATIONS + 1e-9) + 1) / VALIDATIONS)
