"""Lead the life of a trial's folder: it is claimed, runs, ends with its record, and takes its place at once or not."""

import shutil
import tempfile
from pathlib import Path

from filelock import FileLock

from bench.core.durable import replace_folder, sync_folder
from bench.core.errors import BenchError
from bench.core.files import is_part
from bench.core.specs import FINAL_STATUSES, SCHEMA_VERSION, TrialRecord
from bench.core.untrusted.plain_files import check_inside, is_folder, is_there, remove
from bench.results.marker import ANOTHER, check_writable
from bench.results.record_reader import read_record
from bench.results.trial_files import (
    CHECKPOINTS,
    LOCK,
    LOG,
    MARKER,
    OF_WORK,
    RECORD,
    REPLACED,
    RETRY_LOG,
    RUNNING,
    write_json,
)

LEAST_BYTES = 2 * 2**20  # free on the disk for a trial to start: its record, history and tables


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

    @property
    def exists(self) -> bool:
        """Tell whether a run has made it."""
        return (self.path / MARKER).exists()

    def create(self) -> None:
        """Make the folder and its marker if they don't exist; raise BenchError if nothing can be written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not self.exists:
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
        check_inside(self.path, self.trials / name, ANOTHER)
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
        return read_record(self.folder(identity)) if is_there(self.folder(identity) / RECORD) else None

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
        if is_folder(running / RECORD):  # a plug-in may have left a folder of that name
            remove(running / RECORD)
        write_json(running / RECORD, record.to_dict())
        self._move_in(identity, record)

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
        if is_there(replaced) and not is_there(final):
            replaced.rename(final)
            sync_folder(self.trials)
        old = self.find(identity)
        if old and is_there(replaced):
            shutil.rmtree(replaced, ignore_errors=True)
        if not is_there(running / RECORD) or not (force or may_replace(old)):
            return None
        record = read_record(running)
        self._move_in(identity, record)
        return record

    def _move_in(self, identity: str, record: TrialRecord) -> None:
        """Move a running folder that has its record to the final place, without the files of its work."""
        running = self.running_folder(identity)
        if record.status in FINAL_STATUSES:  # any other trial goes on from its checkpoints
            shutil.rmtree(running / CHECKPOINTS, ignore_errors=True)
        for path in (*(running / name for name in OF_WORK), *filter(is_part, running.rglob(".*"))):
            remove(path)
        replace_folder(running, self.folder(identity), self.replaced_folder(identity))

    def unsettled(self) -> list[str]:
        """List the identities of trials that run now or whose runner died."""
        names = [path for path in self.trials.iterdir() if path.suffix in (RUNNING, REPLACED)]
        return sorted({path.stem for path in names} - {path.name for path in names})


def may_replace(old: TrialRecord | None) -> bool:
    """Tell whether any new record may take the place of an old one: there is none, or the trial is to run again."""
    return old is None or old.status not in FINAL_STATUSES
