"""The choice of trials whose weights are kept in a results folder.

With `--keep-weights best`, among all trials that are ranked together (COMPARABLE, on the same
versions) and have the same architecture and
backbone, only the one with the best validation score keeps its weights; the test split must not choose. Weights that
were asked for (`all`, or a trial that another one starts from) have an empty file beside them and are never removed.
"""

import contextlib
import math
import os
from pathlib import Path

from bench.results.analysis.configurations import COMPARABLE
from bench.results.dataframe import trials_frame
from bench.results.loading import load
from bench.results.quantities import MEAN_IOU
from bench.results.quantities.quantity import LOWER
from bench.results.store import ResultsFolder
from bench.results.trial_files import KEEP, WEIGHTS

_DECIDES = f"val_{MEAN_IOU.name}"


def keep(folder: Path) -> None:
    """Mark the weights in a trial's folder as never to be removed; do nothing if it can't be written to."""
    with contextlib.suppress(OSError):
        (folder / KEEP).touch(exist_ok=False)  # which follows no link


def prune(results: ResultsFolder) -> None:
    """Remove the weights of trials that a better one of the same pair has beaten; the caller holds `finishing`."""
    frame = trials_frame(trial for trial in load([results.path]).trials if trial.weights)
    if _DECIDES not in frame:
        frame[_DECIDES] = math.nan
    # Among equals the earliest stays, so that no weights are replaced without need.
    best_first = frame.sort_values([_DECIDES, "finished"], ascending=[MEAN_IOU.better == LOWER, True], kind="stable")
    beaten = best_first[best_first.duplicated(["arch", "backbone", "software", *COMPARABLE])]
    for folder in map(Path, beaten["folder"]):
        if not os.path.lexists(folder / KEEP):
            with contextlib.suppress(OSError):  # already removed, or another user's
                (folder / WEIGHTS).unlink()
