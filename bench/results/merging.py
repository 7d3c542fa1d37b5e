"""Join several results folders into one: each trial once, with conflicts listed."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from filelock import Timeout

from bench.core.errors import BenchError
from bench.core.specs import TrialRecord
from bench.core.untrusted.plain_files import odd_names
from bench.results.clean_text import clean
from bench.results.dataframe import drop_duplicates
from bench.results.store import RECORD, ResultsFolder, StoredTrial, load


@dataclass
class Merged:
    """The outcome of a merge."""

    copied: list[str] = field(default_factory=list)  # folders of trials that were copied
    kept: int = 0  # trials that were already there
    same: int = 0  # duplicates that agree
    conflicts: list[str] = field(default_factory=list)  # duplicates that disagree: which was kept, which left out
    problems: list[str] = field(default_factory=list)  # what could not be read or copied


def merge(paths: Sequence[Path], out: Path) -> Merged:
    """Copy the trials of some results folders into `out`, which may already hold trials.

    Trials with equal key, device and repeat are duplicates: an ok one is kept first, otherwise one that need not run
    again, otherwise the latest. Nothing in `paths` is changed.

    Raises:
        BenchError: no path is a results folder, or `out` can't be written.
    """
    results = ResultsFolder(out)
    loaded = load([*([out] if results.trials.is_dir() else []), *(path for path in paths if not _same(path, out))])
    merged = Merged(problems=[clean(problem) for problem in loaded.problems])
    merged.problems += [f"{clean(str(folder))}: not merged, because it is running." for folder in loaded.running]
    results.create()
    chosen, _ = drop_duplicates(loaded.trials)
    by_identity = {_identity(trial.record): trial for trial in chosen}
    for trial in loaded.trials:
        _compare(trial, by_identity[_identity(trial.record)], merged)
    for trial in chosen:
        if _same(trial.folder.parent, results.trials):
            merged.kept += 1
        else:
            _copy(trial, results, merged)
    return merged


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _identity(record: TrialRecord) -> str:
    return repr((record.key, record.device, record.repeat))


def _compare(trial: StoredTrial, chosen: StoredTrial, merged: Merged) -> None:
    """Count a duplicate that agrees with the chosen trial, and list one that doesn't."""
    if trial is chosen:
        return
    one, other = trial.record, chosen.record
    if one.to_dict() == other.to_dict():
        merged.same += 1
        return
    told = ", ".join(clean(record.status) + _score(record) for record in (other, one))
    merged.conflicts.append(f"{clean(str(chosen.folder))} kept, {clean(str(trial.folder))} left out: {told}.")


def _score(record: TrialRecord) -> str:
    value = record.metrics.get("mean_iou") if isinstance(record.metrics, dict) else None
    return f" with mean IoU {value:.4f}" if isinstance(value, float) else ""


def _copy(trial: StoredTrial, results: ResultsFolder, merged: Merged) -> None:
    """Copy a trial's complete folder, then rename it; replace only the same trial."""
    name = _free_name(trial, results)
    target, part = results.folder(name), results.path / f".{name}.part"
    try:
        with results.claim(name).acquire(timeout=0):
            shutil.rmtree(part, ignore_errors=True)
            shutil.copytree(trial.folder, part, ignore=odd_names)
            old = results.trials / f"{name}.replaced"
            shutil.rmtree(old, ignore_errors=True)
            if target.exists():
                target.rename(old)
            part.rename(target)
            shutil.rmtree(old, ignore_errors=True)
    except Timeout:
        merged.problems.append(f"{clean(name)}: not merged, because it is running in '{clean(str(results.path))}'.")
    except (OSError, shutil.Error) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise BenchError(f"'{trial.folder}' can't be copied to '{results.path}' ({error}).") from error
    else:
        merged.copied.append(name)


def _free_name(trial: StoredTrial, results: ResultsFolder) -> str:
    """Return the folder's name, with digits of the identity appended if another trial has that name."""
    name = trial.folder.name.removesuffix(".replaced")
    found = results.find(name)
    if found is None and not (results.folder(name) / RECORD).exists():
        return name
    if found is not None and _identity(found) == _identity(trial.record):
        return name
    return f"{name}_{hashlib.sha256(_identity(trial.record).encode()).hexdigest()[:6]}"
