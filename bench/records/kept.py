"""Whose weights stay in a results folder.

With `--keep-weights best` of all trials that are ranked together (COMPARABLE) and have the same architecture and
backbone, only the one with the best validation keeps its weights: the test split must not choose. What was asked to
stay (`all`, or a trial that another starts from) has an empty file beside its weights and is never removed.
"""

import contextlib
import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from bench.records.store import KEEP, ResultsFolder, StoredTrial, load

COMPARABLE = ("dataset", "data_fingerprint", "image_size", "budget", "device", "protocol_version")
"""What trials that are ranked together agree in: the columns that the leaderboard groups by."""


def keep(folder: Path) -> None:
    """Never remove the weights in a trial's folder; nothing happens where it may not be written to."""
    with contextlib.suppress(OSError):
        (folder / KEEP).touch()


def prune(results: ResultsFolder) -> None:
    """Remove the weights of trials that a better one of their pair has beaten; the caller holds `finishing`."""
    rivals: dict[str, list[StoredTrial]] = defaultdict(list)
    for trial in load([results.path]).trials:
        if trial.weights:
            rivals[_pair(trial)].append(trial)
    for trials in rivals.values():
        _remove_all_but(min(trials, key=_place), trials)


def _remove_all_but(best: StoredTrial, trials: Iterable[StoredTrial]) -> None:
    for trial in trials:
        if trial is not best and trial.weights and not (trial.folder / KEEP).exists():
            with contextlib.suppress(OSError):  # gone already, or another user's
                trial.weights.unlink()


def _pair(trial: StoredTrial) -> str:
    """What decides which trials are each other's rivals, as text."""
    record = trial.record
    values = {**record.config, "data_fingerprint": record.dataset.get("fingerprint")}
    values |= {"device": record.device, "protocol_version": record.protocol_version}
    return repr([values.get(name) for name in ("arch", "backbone", *COMPARABLE)])


def _place(trial: StoredTrial) -> tuple[float, str]:
    """Sorts by validation mean IoU, best first; among equals the earliest, so that nothing changes for nothing."""
    value = trial.record.validation.get("mean_iou")
    score = value if isinstance(value, int | float) and math.isfinite(value) else -1.0
    return -score, trial.record.finished
