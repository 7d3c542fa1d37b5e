"""Join several results folders into one: each trial once, with conflicts listed."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from filelock import Timeout

from bench.core.durable import replace_folder, sync_tree
from bench.core.errors import BenchError
from bench.core.specs import FINAL_STATUSES
from bench.core.untrusted.plain_files import is_file, odd_names
from bench.results.analysis.same_trial import conflict, identity_of
from bench.results.clean_text import clean
from bench.results.deployed.other_models import read_others, store_other
from bench.results.loading import StoredTrial, load
from bench.results.merged.public_copy import copy_public
from bench.results.sizes.kept_memory import copy_kept
from bench.results.store import ResultsFolder
from bench.results.trial_files import LOCK, REPLACED, RUNNING, note_preset, presets_of

_KINDS = (RUNNING, REPLACED, LOCK)  # endings of what isn't the folder of a trial that has ended


@dataclass
class Merged:
    """The outcome of a merge."""

    copied: list[str] = field(default_factory=list)  # folders of trials that were copied
    kept: int = 0  # trials that were already there
    same: int = 0  # duplicates that agree
    conflicts: list[str] = field(default_factory=list)  # duplicates that disagree: which was kept, which left out
    problems: list[str] = field(default_factory=list)  # what could not be read or copied


def merge(paths: Sequence[Path], out: Path, *, public: bool = False) -> Merged:
    """Copy the trials of some results folders into `out`, which may already hold trials.

    Trials with equal key, device and repeat are duplicates. One of `out` that need not run again always stays; among
    others an ok one is kept first, otherwise one that need not run again, otherwise that of `out`, then the latest.
    Nothing in `paths` is changed, and no trial that runs in `out`. Records of models that were not trained here come
    along, and what training was measured to need at an image size.

    Args:
        paths: the results folders.
        out: the folder to copy to.
        public: copy only what may be published, see public_copy.py; records of other models stay behind.

    Raises:
        BenchError: no path is a results folder, or `out` can't be written.
    """
    results = ResultsFolder(out)
    loaded = load([*([out] if results.trials.is_dir() else []), *(path for path in paths if not _same(path, out))])
    merged = Merged(problems=[clean(problem) for problem in (*loaded.problems, *loaded.parts)])
    merged.problems += [f"{clean(str(folder))}: not merged, because it is running." for folder in loaded.running]
    results.create()
    alike: dict[str, list[StoredTrial]] = {}
    for trial in loaded.trials:
        alike.setdefault(identity_of(trial.record), []).append(trial)
    for some in alike.values():
        chosen = max(some, key=lambda trial: _rank(trial, mine=_is_in(trial, results)))
        for trial in some:
            _compare(trial, chosen, merged)
        if _is_in(chosen, results):
            merged.kept += 1
        else:
            _copy(chosen, results, merged, public=public)
    others = [path for path in paths if not _same(path, out)]
    if not public:
        _copy_others(others, out, merged)
    copy_kept(others, out)
    for name in (name for path in others for name in presets_of(path)):
        note_preset(out, name)
    return merged


def _copy_others(paths: Sequence[Path], out: Path, merged: Merged) -> None:
    """Copy the records of models that weren't trained here, of the same evaluation the latest."""
    there = {record.place: record.finished for record, _ in read_others([out])[0]}
    found, problems = read_others(paths)
    merged.problems += map(clean, problems)
    for record, table in found:
        if there.get(record.place, "") >= record.finished:
            continue
        try:
            if not is_file(table):  # a link could lead to any file
                raise BenchError(f"{table.parent.name}: not merged, because it has no file '{table.name}'.")
            store_other(out, record, table)
        except BenchError as error:
            merged.problems.append(clean(str(error)))


def _rank(trial: StoredTrial, *, mine: bool) -> tuple[bool, bool, bool, bool, str]:
    status = trial.record.status
    final = status in FINAL_STATUSES
    return mine and final, status == "ok", final, mine, clean(trial.record.finished)


def _is_in(trial: StoredTrial, results: ResultsFolder) -> bool:
    return _same(trial.folder.parent, results.trials)


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _compare(trial: StoredTrial, chosen: StoredTrial, merged: Merged) -> None:
    """Count a duplicate that agrees with the chosen trial, and list one that doesn't."""
    if trial is chosen:
        return
    if told := conflict(chosen, trial):
        merged.conflicts.append(told)
    else:
        merged.same += 1


def _copy(trial: StoredTrial, results: ResultsFolder, merged: Merged, *, public: bool) -> None:
    """Copy a trial's folder, then rename it; replace only the same trial, and only if it is to run again."""
    part = results.path / f".{_plain_name(trial)}.part"
    try:
        name = _free_name(trial, results)
        with results.claim(name).acquire(timeout=0):
            results.settle(name)
            mine = results.find(name)
            if mine and mine.status in FINAL_STATUSES:  # it has ended since all were read
                told = f"{clean(name)} kept, {clean(str(trial.folder))} left out: it ended just now."
                merged.conflicts.append(f"Conflict: {told}")
                return
            shutil.rmtree(part, ignore_errors=True)
            if public:
                copy_public(trial.folder, part)
            else:
                shutil.copytree(trial.folder, part, ignore=odd_names)
            sync_tree(part)
            replace_folder(part, results.folder(name), results.replaced_folder(name))
    except Timeout:
        merged.problems.append(f"{clean(name)}: not merged, because it is running in '{clean(str(results.path))}'.")
    except BenchError as error:
        merged.problems.append(f"{clean(str(trial.folder))}: left out, because mine can't be read: {clean(str(error))}")
    except (OSError, shutil.Error) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise BenchError(f"'{trial.folder}' can't be copied to '{results.path}' ({error}).") from error
    else:
        merged.copied.append(name)


def _plain_name(trial: StoredTrial) -> str:
    """Return the name of a trial's folder without what would make it another kind of file in a results folder."""
    name = trial.folder.name.lstrip(".")
    while name.endswith(_KINDS):
        name = name.rpartition(".")[0]
    return name or "trial"


def _free_name(trial: StoredTrial, results: ResultsFolder) -> str:
    """Return the folder's name, with digits of the identity appended if another trial has that name."""
    name = _plain_name(trial)
    found = results.find(name)
    if found is None or identity_of(found) == identity_of(trial.record):
        return name
    return f"{name}_{hashlib.sha256(identity_of(trial.record).encode()).hexdigest()[:6]}"
