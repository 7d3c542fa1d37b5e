"""Whose weights stay in a results folder.

With `--keep-weights best` of all trials that are ranked together (COMPARABLE) and have the same architecture and
backbone, only the one with the best validation keeps its weights: the test split must not choose. What was asked to
stay (`all`, or a trial that another starts from) has an empty file beside its weights and is never removed.
"""

import contextlib
import math
from pathlib import Path

from bench.results.dataframe import trials_frame
from bench.results.store import KEEP, WEIGHTS, ResultsFolder, load

COMPARABLE = ("dataset", "data_fingerprint", "evaluation_size", "budget", "device", "protocol_version")
"""What trials that are ranked together agree in: the columns that the leaderboard groups by."""


def keep(folder: Path) -> None:
    """Never remove the weights in a trial's folder; nothing happens where it may not be written to."""
    with contextlib.suppress(OSError):
        (folder / KEEP).touch()


def prune(results: ResultsFolder) -> None:
    """Remove the weights of trials that a better one of their pair has beaten; the caller holds `finishing`."""
    frame = trials_frame(trial for trial in load([results.path]).trials if trial.weights)
    if "val_mean_iou" not in frame:
        frame["val_mean_iou"] = math.nan
    # Among equals the earliest stays, so that nothing changes hands for nothing.
    best_first = frame.sort_values(["val_mean_iou", "finished"], ascending=[False, True], kind="stable")
    beaten = best_first[best_first.duplicated(["arch", "backbone", *COMPARABLE])]
    for folder in map(Path, beaten["folder"]):
        if not (folder / KEEP).exists():
            with contextlib.suppress(OSError):  # gone already, or another user's
                (folder / WEIGHTS).unlink()
