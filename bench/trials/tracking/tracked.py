"""The observer that tells trackers of a run what it sees, and passes everything on to the view of the run."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from bench.core.files import file_stamp
from bench.core.specs import TrialRecord
from bench.core.trial_config import TrialConfig
from bench.results.loading import read_history
from bench.results.store import ResultsFolder
from bench.results.trial_files import HISTORY
from bench.trials.plan import PlannedTrial
from bench.trials.progress import Observer
from bench.trials.tracking.in_background import InBackground
from bench.trials.tracking.tracked_run import Ending, TrackedRun, validation_values
from bench.trials.tracking.tracker import open_tracker


@contextmanager
def tracked(
    shown: Observer, names: Sequence[str], results: Path, name_of: Callable[[TrialConfig], str]
) -> Iterator[Observer]:
    """Yield the observer that shows the run and tells the trackers of it; `shown` itself if there are none.

    Args:
        name_of: how a trial is called.
    """
    if not names:
        yield shown
        return
    trackers = [InBackground(name, partial(open_tracker, name, results)) for name in names]
    observer = TrackedView(shown, trackers, ResultsFolder(results), name_of)
    try:
        yield cast("Observer", observer)
    finally:
        observer.close()


class TrackedView:
    """An observer around another: it tells trackers when a trial starts, is validated and ends."""

    def __init__(
        self,
        shown: Observer,
        trackers: Sequence[InBackground],
        results: ResultsFolder,
        name_of: Callable[[TrialConfig], str],
    ):
        self._shown, self._trackers, self._results, self._name_of = shown, trackers, results, name_of
        self._runs: dict[str, _Following] = {}  # by the trial's identity, while it runs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shown, name)  # what no tracker needs to know

    def started(self, trial: PlannedTrial) -> None:
        self._shown.started(trial)
        config = trial.config
        run = TrackedRun(trial.identity, self._name_of(config), trial.configuration, config.to_dict())
        self._runs[trial.identity] = _Following(run)
        self._tell("begin", run)

    def progressed(self, trial: PlannedTrial, progress: dict[str, Any]) -> None:
        self._shown.progressed(trial, progress)
        self._follow(trial, self._results.running_folder(trial.identity))

    def ended(self, trial: PlannedTrial, record: TrialRecord) -> None:
        self._shown.ended(trial, record)
        if not (following := self._runs.get(trial.identity)):
            return
        if self._results.find(trial.identity) == record:  # else the folder is that of an earlier record, which stays
            self._follow(trial, self._results.folder(trial.identity))
        del self._runs[trial.identity]
        self._tell("end", following.run, Ending.of(record))

    def lost(self, trial: PlannedTrial, reason: str) -> None:
        self._shown.lost(trial, reason)
        if following := self._runs.pop(trial.identity, None):
            self._tell("end", following.run, Ending("interrupted", reason))

    def close(self) -> None:
        """Let the trackers write what they were told; a run that has no end by now was interrupted."""
        for following in self._runs.values():
            self._tell("end", following.run, Ending("interrupted", "The run was stopped."))
        self._runs.clear()
        for tracker in self._trackers:
            tracker.close()
        self._warn()

    def _follow(self, trial: PlannedTrial, folder: Path) -> None:
        """Tell the trackers of the validations that the trial's history has and they don't know yet."""
        following = self._runs[trial.identity]
        for step, values in following.new(folder):
            self._tell("log", following.run, step, values)

    def _tell(self, method: str, *given: Any) -> None:
        for tracker in self._trackers:
            tracker.tell(method, *given)
        self._warn()

    def _warn(self) -> None:
        for tracker in self._trackers:
            if line := tracker.problem():
                self._shown.warned(line)


class _Following:
    """A trial's history, as far as trackers know it; a trial that goes on from a checkpoint writes all of it anew."""

    def __init__(self, run: TrackedRun):
        self.run = run
        self._rows = 0
        self._stamp = (-1, -1)

    def new(self, folder: Path) -> Iterator[tuple[int, dict[str, float]]]:
        """Yield the training steps and values of each row that the folder's history has and that was not read yet."""
        stamp = file_stamp(folder / HISTORY)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        rows = read_history(folder)
        for row in rows[self._rows :]:
            step = row.get("steps")
            if isinstance(step, int):  # else a plug-in has written there
                yield step, validation_values(row)
        self._rows = max(len(rows), self._rows)
