"""Which trials keep their weights in a results folder.

With `--keep-weights best` of all trials that are ranked together (COMPARABLE) and have the same architecture and
backbone, only the one with the best validation keeps its weights: the test split must not choose. What was asked to
stay (`all`, or a trial that another starts from) has an empty file beside its weights and is never removed.
"""

import contextlib
import math
from pathlib import Path

from bench.results.analysis.configurations import COMPARABLE
from bench.results.dataframe import trials_frame
from bench.results.quantities import MEAN_IOU
from bench.results.quantities.quantity import LOWER
from bench.results.store import KEEP, WEIGHTS, ResultsFolder, load

_DECIDES = f"val_{MEAN_IOU.name}"


def keep(folder: Path) -> None:
    """Never remove the weights in a trial's folder; nothing happens where it may not be written to."""
    with contextlib.suppress(OSError):
        (folder / KEEP).touch()


def prune(results: ResultsFolder) -> None:
    """Remove the weights of trials that a better one of their pair has beaten; the caller holds `finishing`."""
    frame = trials_frame(trial for trial in load([results.path]).trials if trial.weights)
    if _DECIDES not in frame:
        frame[_DECIDES] = math.nan
    # Among equals the earliest stays, so that nothing changes hands for nothing.
    best_first = frame.sort_values([_DECIDES, "finished"], ascending=[MEAN_IOU.better == LOWER, True], kind="stable")
    beaten = best_first[best_first.duplicated(["arch", "backbone", *COMPARABLE])]
    for folder in map(Path, beaten["folder"]):
        if not (folder / KEEP).exists():
            with contextlib.suppress(OSError):  # gone already, or another user's
                (folder / WEIGHTS).unlink()
