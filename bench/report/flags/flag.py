"""Define what a flag is, and say what each one means."""

from dataclasses import dataclass

import pandas as pd

from bench.results.analysis.quiet import BUSY
from bench.results.quantities import EFFICIENCY_LIMIT

NOISY = 0.1  # the training speed's interquartile range divided by its median
SCALED = 0.9  # of the frequency by design, below which work was measured on a slowed CPU
STOPPED = 0.05  # of the periods of a limit on the time of cores, in which it stopped the trial
WAITING = 0.1  # of the training time, below which a slower training has another reason than waiting
RISING = 0.01  # a rise of the validation mean IoU over the last fifth of the budget: more training would help
GAP = 0.1  # of mean IoU, by which training images are segmented better than test images
LONG = 0.2  # of a trial's time, above which validating and testing are worth shortening
IDLE = 0.2  # of the training time


@dataclass(frozen=True)
class Flag:
    """A word for the table, and the evidence for it."""

    name: str
    evidence: str


LEARNED_NOTHING = "learned nothing"
MEANINGS = {
    "single seed": "another seed may change the score by more than the rows differ",
    "seeds failed": "the mean is taken over the ok seeds only",
    "no interval": "the per-image tables give no interval, so no row is significantly different from this one",
    "input-bound": f"harness efficiency below {EFFICIENCY_LIMIT}: input or harness limited the training speed",
    "noisy": f"the training speed's interquartile range is above {NOISY:.0%} of its median",
    "stalled": "the process was stopped, or the machine slept or was paused; that time is on no clock",
    "slow block": "training took seconds that its steps don't explain, and which are on the budget's clock",
    "throttled": "heat or power held the GPU's clocks down, or a limit on the time of cores stopped the trial",
    "shared device": "other processes used the GPU before or while it was measured",
    "busy machine": f"other processes took over {BUSY:.0%} of the CPU: on a quiet one, speeds marked ~ may be up to "
    "1 / (1 - their share) times as high",
    "frequency scaled": f"the CPU ran below {SCALED:.0%} of the frequency that it is sold with",
    "shared machine": "other trials ran at the same time: speed and memory are those of a shared machine",
    "not compiled": "the steps ran operation by operation, or on a GPU without XLA",
    "not converged": f"validation mean IoU rose by more than {RISING} over the last fifth of the budget",
    "overfitting": f"training images score over {GAP} higher than test images, and over twice the standard error: more "
    "images, augmentation or a smaller network help, and more training doesn't",
    "loss spikes": "the training loss jumped to over twice its usual value: a lower learning rate or a warmup may help",
    "dead outputs": "a class of the labels is predicted nowhere",
    "idle GPU": f"the GPU computed nothing in over {IDLE:.0%} of the training time",
    "long evaluation": f"validating and testing took over {LONG:.0%} of the trial's time: --val-limit shortens it",
    "target missed": "some seeds used up their budget before a validation reached the target",
    "random backbone": "its frozen backbone has random weights: the score is that of a head on random features",
    LEARNED_NOTHING: "no better than predicting the most common class everywhere",
    "search failed": "the largest batch that trains could not be found",
    "changed code": "segbench's checkout had uncommitted changes",
    "mixed versions": "its trials ran with different code or packages",
}


def numbers(ok: pd.DataFrame, name: str) -> list[float]:
    """List the numbers that the trials have in a column; none if there is no such column."""
    return ok[name].dropna().tolist() if name in ok else []


def texts(ok: pd.DataFrame, name: str) -> list[str]:
    """List the texts of a column, of each trial; none if there is no such column."""
    return [str(value) for value in ok[name]] if name in ok else []
