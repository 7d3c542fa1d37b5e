"""The meter of a training budget; its clock runs only while training steps run."""

import math
from dataclasses import dataclass, replace

from bench.core.specs import Budget

_OF_A_STEP = 1e-4  # more than the rounding of a fraction makes of the longest budget
VALIDATIONS = 10  # validations in a training, at even fractions of the budget


@dataclass
class Meter:
    """The used part of a budget.

    Args:
        budget: the amount that may be used, and its unit.
        batch_size: images per step.
        epoch_images: the number of images in the training split.
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
        """The used fraction of the budget, 0 to 1; a budget of seconds is used up if less than half a step is left."""
        used = round(getattr(self, self.budget.unit) / self.budget.amount, 12)
        half_step = self.step_fraction() / 2 if self.budget.unit == "seconds" else 0.0
        return 1.0 if used + half_step >= 1.0 else used

    def fraction_after(self, steps: int) -> float:
        """Return the fraction of the budget that will be used after so many more steps, at most 1.

        For a budget of work it depends on nothing but the number of all steps, so that a training that was interrupted
        has the same learning rates as one that was not.
        """
        if self.budget.unit == "seconds":
            return min(1.0, self.fraction + steps * self.step_fraction())
        return replace(self, steps=self.steps + steps).fraction

    def step_fraction(self) -> float:
        """Return the fraction of the budget that one step uses.

        For a budget of seconds it is the mean of the steps so far, and 0 before the first.
        """
        if self.budget.unit == "seconds":
            return self.seconds / self.steps / self.budget.amount if self.steps else 0.0
        images = {"steps": self.batch_size, "images": 1, "epochs": self.epoch_images}[self.budget.unit]
        return self.batch_size / (self.budget.amount * images)

    def steps_to(self, fraction: float) -> int:
        """Return the number of steps until `fraction` of the budget is used, at least 1."""
        per_step = self.step_fraction()
        return max(1, math.ceil((fraction - self.fraction) / per_step - _OF_A_STEP)) if per_step else 1

    def next_milestone(self) -> float:
        """Return the next fraction of the budget at which the model is validated."""
        return min(1.0, (math.floor(self.fraction * VALIDATIONS + 1e-9) + 1) / VALIDATIONS)
