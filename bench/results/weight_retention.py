"""The choice of trials whose weights are kept in a results folder.

With `--keep-weights best`, among all trials that are ranked together (COMPARABLE, on the same versions) and have the
same architecture and backbone, only the one with the best validation score keeps its weights; the test split must not
choose. An architecture of a plug-in is another one after an edit. Weights that were asked for (`all`, or a trial that
another one starts from) have an empty file beside them and are never removed.
"""

import contextlib
import math
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.untrusted.plain_files import is_file, is_folder
from bench.results.analysis.configurations import COMPARABLE
from bench.results.dataframe import trials_frame
from bench.results.loading import StoredTrial
from bench.results.quantities import MEAN_IOU
from bench.results.quantities.quantity import LOWER
from bench.results.record_reader import read_record
from bench.results.store import ResultsFolder
from bench.results.trial_files import KEEP, LOCK, REPLACED, RUNNING, WEIGHTS

_DECIDES = f"val_{MEAN_IOU.name}"
_CODE = "code"  # the hash of code that isn't built in
_SHARE = 0.05  # of a run's time, the most for its choices: each looks at every trial of the folder


def keep(folder: Path) -> None:
    """Mark the weights in a trial's folder as never to be removed; do nothing if it can't be written to."""
    with contextlib.suppress(OSError):
        (folder / KEEP).touch(exist_ok=False)  # which follows no link


def _with_weights(results: ResultsFolder) -> list[Path]:
    """List the folders of ended trials that have weights: those of a long night are few, its records many."""
    names = [name for name in os.listdir(results.trials) if not name.endswith((RUNNING, REPLACED, LOCK))]
    found = [results.trials / name for name in names if os.path.lexists(f"{results.trials}/{name}/{WEIGHTS}")]
    return sorted(path for path in found if is_folder(path) and is_file(path / WEIGHTS))


def _readable(folders: Iterable[Path]) -> Iterator[StoredTrial]:
    for folder in folders:
        with contextlib.suppress(BenchError):
            yield StoredTrial(read_record(folder), folder)


def prune(results: ResultsFolder) -> None:
    """Remove the weights of trials that a better one of the same pair has beaten; the caller holds `finishing`."""
    folders = _with_weights(results)
    if all(os.path.lexists(folder / KEEP) for folder in folders):
        return
    trials = list(_readable(folders))
    frame = trials_frame(trials)
    frame[_CODE] = [str(trial.record.weights.get("source", "")) for trial in trials]
    if _DECIDES not in frame:
        frame[_DECIDES] = math.nan
    # Among equals the earliest stays, so that no weights are replaced without need.
    best_first = frame.sort_values([_DECIDES, "finished"], ascending=[MEAN_IOU.better == LOWER, True], kind="stable")
    beaten = best_first[best_first.duplicated(["arch", "backbone", _CODE, "software", *COMPARABLE])]
    for folder in map(Path, beaten["folder"]):
        if not os.path.lexists(folder / KEEP):
            with contextlib.suppress(OSError):  # already removed, or another user's
                (folder / WEIGHTS).unlink()


class Pruning:
    """A run's choices of weights: after each trial that has some, unless that took too much of the run's time.

    The caller holds `finishing`, and asks for the last choice at the end of the run.
    """

    def __init__(self, results: ResultsFolder):
        self._results, self._due = results, True  # a run that died may have left weights that are beaten
        self._next = time.monotonic()

    @property
    def due(self) -> bool:
        """True if weights have come since the last choice."""
        return self._due

    def after(self, identity: str) -> None:
        """Choose after the end of a trial, if it is time."""
        self._due = self._due or os.path.lexists(self._results.folder(identity) / WEIGHTS)
        if self._due and time.monotonic() >= self._next:
            self.choose()

    def choose(self) -> None:
        """Choose now."""
        began = time.monotonic()
        prune(self._results)
        ended = time.monotonic()
        self._due, self._next = False, ended + (ended - began) / _SHARE
