"""Records on disk: a results folder with one folder per trial, each written completely and then renamed.

results/segbench.json                        the marker: {"schema_version": 1}
results/trials/ID/record.json                the record; a folder without `.running` always has one
                 history.jsonl               a line at each evaluation
                 images.parquet              the per-image table of the test split
                 samples/*.png               image, truth and prediction side by side
                 worst/*.png                 the same for the test images with the lowest mean IoU, which is in the name
                 weights.weights.h5          the tested weights, if they are kept (see weight_retention.py)
                 weights.keep                empty: these weights are never removed
                 evaluations/                results of `bench evaluate`
                 log.txt                     what the trial printed
results/trials/ID.running/                   the same while the trial runs, with trial.json, progress.json, and at its
                                             end outcome.json; with record.json, only the renames are missing
results/trials/ID.replaced/                  an older trial's, until the new one is in its place
results/trials/ID.lock                       held by the runner that runs the trial
"""

import json
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.core.durable import replace_folder, sync_folder
from bench.core.errors import BenchError
from bench.core.files import is_part, printable, write_atomically
from bench.core.specs import FINAL_STATUSES, SCHEMA_VERSION, TrialRecord
from bench.core.untrusted import safe_json
from bench.core.untrusted.plain_files import check_inside, is_file, is_folder, list_odd, odd_kind, read_file
from bench.results.record_reader import read_checked

MARKER = "segbench.json"
RECORD = "record.json"
HISTORY = "history.jsonl"
IMAGES = "images.parquet"
LAYERS = "layers.json"
SAMPLES = "samples"
WORST = "worst"
WEIGHTS = "weights.weights.h5"  # Keras asks for this ending
KEEP = "weights.keep"
EVALUATIONS = "evaluations"
LOG = "log.txt"
RETRY_LOG = "log-of-failed-retry.txt"  # the log of a --force that failed while the old record stays
REQUEST = "trial.json"
PROGRESS = "progress.json"
OUTCOME = "outcome.json"  # written by the trial's process into its folder: the parts of a record, with the status
IF_KILLED = "if-killed.json"  # the parts that are kept if the system kills the process because memory ran out
RUNNING, REPLACED, LOCK = ".running", ".replaced", ".lock"  # what follows a trial's identity
_OF_WORK = (REQUEST, PROGRESS, OUTCOME, IF_KILLED)  # not kept when the trial has ended
LEAST_BYTES = 2 * 2**20  # free on the disk for a trial to start: its record, history and tables
_FOLDERS = (SAMPLES, WORST, EVALUATIONS)  # in a trial's folder
MOST_BYTES = 64 * 2**20  # of a history or a progress file
_ANOTHER = "give another folder with --results."


@dataclass(frozen=True)
class StoredTrial:
    """A record and its folder."""

    record: TrialRecord
    folder: Path

    def history(self) -> list[dict[str, Any]]:
        """Read a row per evaluation, in order; a line cut short by a crash is left out."""
        try:
            data = read_file(self.folder / HISTORY, MOST_BYTES)
        except OSError:
            return []
        return list(_json_lines(data.decode("utf-8-sig", errors="replace")))

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


def write_json(path: Path, value: Any, *, sync: bool = True) -> None:
    """Write a value as JSON with `write_atomically`."""
    with write_atomically(path, sync=sync) as part:
        part.write_bytes(json.dumps(value, indent=1, sort_keys=False).encode() + b"\n")


class ResultsFolder:
    """A results folder that this version may write to.

    Args:
        path: the folder, which need not exist.

    Raises:
        BenchError: the folder has other files in it, or a newer schema.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        check_writable(self.path)
        self.trials = self.path / "trials"

    def create(self) -> None:
        """Make the folder and its marker if they don't exist; raise BenchError if nothing can be written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not (self.path / MARKER).exists():
                write_json(self.path / MARKER, {"schema_version": SCHEMA_VERSION})
            self.trials.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=self.trials):
                pass
        except OSError as error:
            raise BenchError(
                f"The results folder '{self.path}' can't be written ({error.strerror}). Give another with --results."
            ) from error

    def folder(self, identity: str) -> Path:
        """Return the folder of that trial after it has ended."""
        return self.trials / identity

    def running_folder(self, identity: str) -> Path:
        """Return the folder of that trial while it runs."""
        return self.trials / f"{identity}{RUNNING}"

    def replaced_folder(self, identity: str) -> Path:
        """Return the folder of that trial's older files while new ones take their place."""
        return self.trials / f"{identity}{REPLACED}"

    def claim(self, identity: str) -> FileLock:
        """Make the lock of a trial; the operating system frees it when its holder dies.

        Raises:
            BenchError: a file or folder of the trial is a link or a FIFO, or the results folder was removed.
        """
        for suffix in ("", RUNNING, REPLACED):
            self._check_inside(f"{identity}{suffix}")
        return self._lock(f"{identity}{LOCK}")

    def finishing(self) -> FileLock:
        """Make the lock for choosing which weights are kept: no trial may finish meanwhile."""
        return self._lock(".finishing.lock")

    def _lock(self, name: str) -> FileLock:
        self.check_present()  # FileLock would make the folder anew
        return FileLock(self._check_inside(name))

    def _check_inside(self, name: str) -> Path:
        check_inside(self.path, self.trials / name, _ANOTHER)
        return self.trials / name

    def check_present(self) -> None:
        """Raise BenchError if the folder was removed after it was made."""
        if not (self.path / MARKER).is_file() or not self.trials.is_dir():
            raise BenchError(
                f"The results folder '{self.path}' was removed during the run, which has stopped. "
                "The same command starts anew."
            )

    def check_room(self) -> None:
        """Raise BenchError if the disk has no room for the files of a trial."""
        free = shutil.disk_usage(self.trials).free
        if free < LEAST_BYTES:
            raise BenchError(
                f"The disk of '{self.path}' is full ({free / 2**20:.1f} MiB are free), so the run has stopped. "
                "Finished trials stay. Make room; the same command continues with what is missing."
            )

    def find(self, identity: str) -> TrialRecord | None:
        """Read the record of a finished trial; None if there is none.

        Raises:
            BenchError: there is one, but it can't be read now or by this version, so it must not be replaced.
        """
        try:
            (self.folder(identity) / RECORD).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            pass  # read_record says what is wrong
        return read_record(self.folder(identity))

    def finish(self, identity: str, record: TrialRecord) -> None:
        """Write a record into the trial's running folder, then move the folder to its final place.

        The trial has ended once the record is written: whatever happens then, `settle` moves the folder. A final
        record is never replaced by one that is to be retried; only the log of the latter is kept. The caller holds the
        trial's lock, and the other files of the folder are on the disk.

        Raises:
            BenchError: the old record can't be read, so it stays, and so does the running folder.
        """
        running, final = self.running_folder(identity), self.folder(identity)
        old = self.find(identity)
        if record.status not in FINAL_STATUSES and not may_replace(old):
            if (running / LOG).exists():
                (running / LOG).replace(final / RETRY_LOG)
            shutil.rmtree(running)
            return
        write_json(running / RECORD, record.to_dict())
        self._move_in(identity)

    def settle(self, identity: str, *, force: bool = False) -> TrialRecord | None:
        """Complete or undo a `finish` that was cut short; the caller holds the trial's lock.

        What was set aside comes back. Then a running folder with a record takes its place; where a final record is,
        it waits for `force`, as it is of a run with --force, so that no other run changes what has ended.

        Returns:
            The record that took its place, if one did.

        Raises:
            BenchError: a record can't be read, so it was left alone.
        """
        final, replaced, running = self.folder(identity), self.replaced_folder(identity), self.running_folder(identity)
        if replaced.exists() and not final.exists():
            replaced.rename(final)
            sync_folder(self.trials)
        old = self.find(identity)
        if replaced.exists() and old:
            shutil.rmtree(replaced, ignore_errors=True)
        if not (running / RECORD).exists() or not (force or may_replace(old)):
            return None
        record = read_record(running)
        self._move_in(identity)
        return record

    def _move_in(self, identity: str) -> None:
        """Move a running folder that has its record to the final place, without the files of its work."""
        running = self.running_folder(identity)
        for path in (*(running / name for name in _OF_WORK), *filter(is_part, running.rglob(".*"))):
            path.unlink(missing_ok=True)
        replace_folder(running, self.folder(identity), self.replaced_folder(identity))

    def unsettled(self) -> list[str]:
        """List the identities of trials that run now or whose runner died."""
        names = [path for path in self.trials.iterdir() if path.suffix in (RUNNING, REPLACED)]
        return sorted({path.stem for path in names} - {path.name for path in names})


def may_replace(old: TrialRecord | None) -> bool:
    """Tell whether any new record may take the place of an old one: there is none, or the trial is to run again."""
    return old is None or old.status not in FINAL_STATUSES


def check_writable(path: Path) -> None:
    """Raise BenchError unless `path` is empty, absent, or a results folder of this schema or older."""
    whole = str(path.resolve())
    if whole != printable(whole):
        raise BenchError(
            f"The results folder '{printable(whole)}' has a name that isn't UTF-8, which HDF5 and Parquet can't open. "
            "Give another with --results."
        )
    if path.exists() and not path.is_dir():
        raise BenchError(f"The results folder '{path}' is a file. Give a folder with --results.")
    if not path.exists() or all(map(is_part, path.iterdir())):  # another process may be making it now
        return
    if not (path / MARKER).is_file():
        raise BenchError(
            f"'{path}' is not empty and isn't a results folder (it has no {MARKER}). Give --results an empty folder."
        )
    check_inside(path, path / "trials", _ANOTHER)
    version = _marker_version(path)
    if version > SCHEMA_VERSION:
        raise BenchError(
            f"'{path}' was written by a newer segbench (schema {version}, this one writes {SCHEMA_VERSION}). "
            "Update segbench, or give --results another folder."
        )


def _marker_version(path: Path) -> int:
    try:
        version = safe_json.loads(read_file(path / MARKER, MOST_BYTES))["schema_version"]
        if type(version) is not int:
            raise ValueError(f"schema_version is {version!r:.40}")
    except OSError as error:
        raise BenchError(
            f"'{path / MARKER}' can't be read ({error.strerror}). Give --results another folder."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise BenchError(f"'{path / MARKER}' can't be read ({error}). Give --results another folder.") from error
    return version


def read_record(folder: Path) -> TrialRecord:
    """Read the record in a trial's folder; raise BenchError if it is missing, broken or of a newer schema."""
    try:
        return read_checked(folder / RECORD)
    except BenchError as error:
        raise BenchError(f"{folder.name}: {error}") from error
    except OSError as error:
        raise BenchError(f"{folder.name}: no readable {RECORD} ({error.strerror}).") from error
    except ValueError as error:
        raise BenchError(f"{folder.name}: {RECORD} is broken ({error}).") from error


def load(paths: Iterable[Path | str]) -> Loaded:
    """Read all trials of some results folders, with a line for everything that can't be read.

    Raises:
        BenchError: no path is a results folder of this schema or an older one.
    """
    loaded, usable = Loaded(), 0
    for path in map(Path, paths):
        if problem := _unreadable(path):
            loaded.problems.append(problem)
            continue
        usable += 1
        for folder in _trial_folders(path / "trials", loaded):
            _load_trial(folder, loaded)
    if not usable:
        raise BenchError(" ".join(loaded.problems) or "No results folder was given.")
    return loaded


def _unreadable(path: Path) -> str | None:
    """Explain why a path can't be read as a results folder of this schema or an older one."""
    if not (path / MARKER).is_file():
        return f"'{path}' isn't a results folder (it has no {MARKER}). `bench run --results DIR` makes one."
    try:
        version = _marker_version(path)
    except BenchError as error:
        return str(error)
    if version > SCHEMA_VERSION:
        return f"'{path}' was written by a newer segbench (schema {version}). Update segbench to see it."
    return None


def _trial_folders(trials: Path, loaded: Loaded) -> list[Path]:
    """List the folders in `trials`, with a problem for each link, FIFO or device instead of one."""
    found = [trials] if odd_kind(trials) else sorted(trials.glob("*"))
    loaded.problems += [f"{path.name} is {odd_kind(path)}, left out." for path in found if odd_kind(path)]
    return [path for path in found if is_folder(path)]


def _load_trial(folder: Path, loaded: Loaded) -> None:
    loaded.problems += [f"{folder.name}: {odd}, left out." for odd in list_odd(folder, _FOLDERS)]
    if folder.suffix == RUNNING:
        target = loaded.running if is_claimed(folder) else loaded.abandoned
        target.append(folder)
        return
    # A crash between two renames leaves the old record, which counts if the new one is missing.
    if folder.suffix == REPLACED and folder.with_suffix("").exists():
        return
    try:
        loaded.trials.append(StoredTrial(read_record(folder), folder))
    except BenchError as error:
        loaded.problems.append(str(error))


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


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; {} if there is none yet."""
    try:
        value = safe_json.loads(read_file(path, MOST_BYTES))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.png") if is_file(path)) if is_folder(folder) else []


def _json_lines(text: str) -> Iterable[dict[str, Any]]:
    for line in text.splitlines():
        try:
            row = safe_json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row
