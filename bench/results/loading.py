"""Read the trials of results folders, and name what can't be read."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.core.errors import BenchError
from bench.core.specs import TrialRecord
from bench.core.untrusted import safe_json
from bench.core.untrusted.plain_files import is_file, is_folder, is_there, list_odd, odd_kind, read_file
from bench.results.marker import why_unreadable
from bench.results.record_reader import read_record
from bench.results.trial_files import (
    CHECKPOINTS,
    EVALUATIONS,
    HISTORY,
    LOCK,
    MOST_BYTES,
    REPLACED,
    ROBUSTNESS,
    RUNNING,
    SAMPLES,
    WEIGHTS,
    WORST,
)

_FOLDERS = (SAMPLES, WORST, EVALUATIONS, ROBUSTNESS, CHECKPOINTS)  # in a trial's folder


@dataclass(frozen=True)
class StoredTrial:
    """A record and its folder."""

    record: TrialRecord
    folder: Path

    def history(self) -> list[dict[str, Any]]:
        """Read a row per evaluation, in order; a line cut short by a crash is left out."""
        return read_history(self.folder)

    def samples(self) -> list[Path]:
        """List the overlays in order."""
        return _pictures(self.folder / SAMPLES)

    def worst(self) -> list[Path]:
        """List the overlays of the test images with the lowest mean IoU, the worst first."""
        return _pictures(self.folder / WORST)

    @property
    def weights(self) -> Path | None:
        """Return the file of the tested weights; None if they were not kept."""
        path = self.folder / WEIGHTS
        return path if is_file(path) else None


@dataclass
class Loaded:
    """The contents of results folders: trials, and a line for everything that could not be read."""

    trials: list[StoredTrial] = field(default_factory=list)
    running: list[Path] = field(default_factory=list)  # folders of trials that are running
    abandoned: list[Path] = field(default_factory=list)  # folders of trials whose runner died
    problems: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)  # a line for each part that a trial was read without

    def folders(self) -> list[Path]:
        """List one folder of each trial: of one that is run again the running one, unless its runner died."""
        every = [*self.abandoned, *(trial.folder for trial in self.trials), *self.running]
        return list({folder.with_name(folder.name.removesuffix(RUNNING)): folder for folder in every}.values())


def load(paths: Iterable[Path | str]) -> Loaded:
    """Read all trials of some results folders, with a line for everything that can't be read.

    Raises:
        BenchError: no path is a results folder of this schema or an older one.
    """
    loaded, usable = Loaded(), 0
    for path in map(Path, paths):
        if problem := why_unreadable(path):
            loaded.problems.append(problem)
            continue
        usable += 1
        for folder in _trial_folders(path / "trials", loaded):
            _load_trial(folder, loaded)
    if not usable:
        raise BenchError(" ".join(loaded.problems) or "No results folder was given.")
    return loaded


def _trial_folders(trials: Path, loaded: Loaded) -> list[Path]:
    """List the folders in `trials`, with a problem for each link, FIFO or device instead of one."""
    found = [trials] if odd_kind(trials) else sorted(trials.glob("*"))
    for path in found:
        try:
            if is_there(path) and (kind := odd_kind(path)):
                loaded.problems.append(f"{path.name} is {kind}, left out.")
        except BenchError as error:  # a damaged disk
            loaded.problems.append(str(error))
    return [path for path in found if is_folder(path)]


def _load_trial(folder: Path, loaded: Loaded) -> None:
    if folder.suffix == RUNNING:
        target = loaded.running if is_claimed(folder) else loaded.abandoned
        target.append(folder)
        return
    # A crash between two renames leaves the old record, which counts if the new one is missing.
    if folder.suffix == REPLACED and os.path.lexists(folder.with_suffix("")):
        return
    try:
        loaded.trials.append(StoredTrial(read_record(folder), folder))
    except BenchError as error:
        loaded.problems.append(str(error))
        return
    try:
        loaded.parts += [f"{folder.name}: {odd}, so it is read without." for odd in list_odd(folder, _FOLDERS)]
    except OSError as error:
        loaded.parts.append(f"{folder.name}: it can't be listed ({error.strerror}).")


def is_claimed(running: Path) -> bool:
    """Return whether a runner holds the lock of that running folder."""
    lock = running.with_suffix(LOCK)
    if odd_kind(lock):  # a lock is truncated, and so would be what it leads to
        return False
    try:
        with FileLock(lock).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a read-only folder: no runner of this machine uses it
        return False


def _pictures(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.glob("*.png") if is_file(path)) if is_folder(folder) else []
    except OSError:  # of a damaged disk, which `load` has named
        return []


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Read what the history in a trial's folder has, as `StoredTrial.history`; the trial may be running."""
    try:
        data = read_file(folder / HISTORY, MOST_BYTES)
    except OSError:
        return []
    return list(_json_lines(data.decode("utf-8-sig", errors="replace")))


def _json_lines(text: str) -> Iterable[dict[str, Any]]:
    for line in text.splitlines():
        try:
            row = safe_json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row
