"""Find the stored trial that a user names."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from bench.core.errors import BenchError, first_few
from bench.results.loading import StoredTrial, load
from bench.results.record_reader import read_record
from bench.results.trial_files import MARKER, RECORD


def short_id(folder: Path) -> str:
    """Return a trial's id: the last parts of its folder's name (key, device, repeat)."""
    return folder.name.removesuffix(".running").split("_", 3)[-1]


def matching(folders: Sequence[Path], text: str) -> list[Path]:
    """Find the folders whose name or id is `text`, or else those whose begins with it; raise BenchError for none."""
    if not text:
        raise BenchError("The run's id is empty. `bench list runs` shows the ids; give one, or the beginning of one.")
    names = [(folder, (folder.name.removesuffix(".running"), short_id(folder))) for folder in folders]
    exact = [folder for folder, both in names if text in both]
    if found := exact or [folder for folder, both in names if any(name.startswith(text) for name in both)]:
        return found
    near = difflib.get_close_matches(text, [name for _, both in names for name in both], n=2, cutoff=0.7)
    hint = f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
    raise BenchError(f"There is no run '{text}'.{hint} `bench list runs` shows all {len(folders)}.")


def find(folders: Sequence[Path], text: str) -> Path:
    """Do as `matching` for one folder; raise BenchError for several."""
    found = matching(folders, text)
    if len(found) == 1:
        return found[0]
    some = first_few((folder.name for folder in found), 5)
    raise BenchError(f"'{text}' matches {len(found)} runs: {some}. Give more of it.")


def find_run(text: str, results: Path) -> StoredTrial:
    """Find the finished trial whose folder's path is `text`, or whose id is `text` or begins with it."""
    path = Path(text).expanduser()
    if (path / MARKER).is_file():
        raise BenchError(f"'{text}' is a results folder. Give one of its runs: `bench list runs --results {text}`.")
    if text and (path / RECORD).is_file():
        return StoredTrial(read_record(path), path.resolve())
    if len(path.parts) > 1:
        raise BenchError(f"'{text}' isn't the folder of a trial (it has no {RECORD}). `bench list runs` shows the ids.")
    loaded = load([results])
    stored = {trial.folder: trial for trial in loaded.trials}
    found = find([*stored, *(f for f in loaded.running if f.with_suffix("") not in stored)], text)
    if found not in stored:
        raise BenchError(f"The run '{found.stem}' hasn't ended yet; `bench show {text}` shows its progress.")
    return StoredTrial(stored[found].record, found.resolve())
