"""Have each run's weights scored on corrupted test images, in a process of its own on its backend; imports no keras."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from bench.core.child_process import ask
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.evaluation.corruptions.corruption_table import CORRUPTIONS, Condition
from bench.results.loading import StoredTrial
from bench.results.robustness.condition_files import is_stored
from bench.trials.trained_input.trained_values import values_of

_SCORER = "bench.trials.saved.robustness_run:score_conditions"


def defined_for(trial: StoredTrial, conditions: Sequence[Condition]) -> list[Condition]:
    """Return the conditions that are defined for the images that a trial was trained on."""
    values = values_of(trial.record)
    is_rgb = values.bands == 3 and values.dtype == np.uint8
    return [one for one in conditions if is_rgb or not (one.severity and CORRUPTIONS[one.kind].of_rgb)]


def score_corrupted(
    trial: StoredTrial,
    config: TrialConfig,
    conditions: Sequence[Condition],
    test_limit: int | None,
    progress: Callable[[int, int], None],
) -> int:
    """Score the conditions that a trial has no result of; return the number of test images.

    Args:
        config: the one that `trained_config` returns.
        conditions: clean images first.
        test_limit: the most images; None for all that the trial was tested on.
        progress: called with the number of conditions done and that of all.

    Raises:
        BenchError: the data or the weights are not the trial's, or the process ended.
    """
    tested = int(trial.record.dataset["images"]["test"])
    images = tested if test_limit is None else min(tested, test_limit)
    missing = [one for one in conditions if not is_stored(trial, one, images)]
    if not missing:
        return images

    def watch(_: int) -> str:
        while missing and is_stored(trial, missing[0], images):  # they are scored in this order
            del missing[0]
        progress(len(conditions) - len(missing), len(conditions))
        return ""

    request = {
        "run": str(trial.folder),
        "config": replace(config, test_limit=images).to_dict(),
        "conditions": [(one.kind, one.severity) for one in conditions],
    }
    (answer,) = ask(_SCORER, [request], config.backend, math.inf, watch=watch)
    if "error" in answer:
        raise BenchError(str(answer["error"]))
    return int(answer["images"])
