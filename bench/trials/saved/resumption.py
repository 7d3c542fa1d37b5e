"""The checkpoints of a trial that trains: when they are written, and which one a new process goes on from."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.core.code.own_code import own_code
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.core.untrusted.plain_files import MIB, is_file
from bench.profiling.environment import host_environment, versions
from bench.results.store import LEAST_BYTES
from bench.results.trial_files import CHECKPOINTS
from bench.training import checkpoint
from bench.training.budget import Meter
from bench.training.checkpoint import Checkpoint
from bench.trials.identity import trial_key

KEPT = 2  # the older one is for the case that the newer one is damaged
LONG_SECONDS = 600.0  # of training: a longer one has checkpoints unless it is told otherwise


class Checkpoints:
    """The checkpoints in a trial's folder.

    Args:
        folder: the trial's.
        config: of the trial; `checkpoint_every` is None for the default and 0 for never.
        fingerprint: of its data.
    """

    def __init__(self, folder: Path, config: TrialConfig, fingerprint: str):
        self._folder, self._every = folder / CHECKPOINTS, config.checkpoint_every
        self._stamp = stamp(config, fingerprint)
        self._written = time.monotonic()
        self.notes: list[str] = []  # a line for each that could not be read or written

    def is_due(self, meter: Meter, *, validated: bool) -> bool:
        """Return whether to write one now; `validated` says whether a validation has just ended."""
        if self._every is not None:
            return 0 < self._every <= time.monotonic() - self._written
        known = meter.budget.unit == "seconds"
        expected = meter.budget.amount if known else meter.seconds / (meter.fraction or 1.0)
        return validated and expected > LONG_SECONDS

    def write(self, found: Checkpoint, step: int) -> None:
        """Write the checkpoint after a step and remove the oldest; a full disk leaves a note, and the trial goes on."""
        self._written = time.monotonic()
        try:
            self._folder.mkdir(exist_ok=True)
            free = shutil.disk_usage(self._folder).free
            if free < found.size + LEAST_BYTES:
                needed = f"{found.size / MIB:.0f} MiB are needed, {free / MIB:.0f} MiB are free"
                self.notes.append(f"no checkpoint after step {step}, because the disk is full ({needed})")
                return
            marked = Checkpoint({**found.values, "stamp": self._stamp}, found.arrays)
            checkpoint.write(self._folder / f"{step:09d}.npz", marked)
            for path in self._newest_first()[KEPT:]:
                path.unlink(missing_ok=True)
        except OSError as error:
            self.notes.append(f"no checkpoint after step {step} ({error.strerror or error})")

    def newest(self) -> Checkpoint | None:
        """Read the newest checkpoint of this trial that is whole; None if there is none."""
        for path in self._newest_first():
            try:
                found = checkpoint.read(path)
                _check(found.values.get("stamp"), self._stamp)
            except BenchError as error:
                self.notes.append(f"the checkpoint after step {int(path.stem)} is not used: {error}")
            else:
                return found
        return None

    @contextmanager
    def removed_unless_fitting(self) -> Iterator[None]:
        """Remove the checkpoints, so that they do no more harm, if one can't be restored; raise BenchError."""
        try:
            yield
        except (ValueError, TypeError, KeyError) as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise BenchError(
                f"The trial's checkpoint doesn't fit the model as it was built now ({error!r:.200}). It was removed; "
                "the same command starts the trial again."
            ) from error

    def _newest_first(self) -> list[Path]:
        found = [path for path in self._folder.glob("*.npz") if path.stem.isdecimal() and is_file(path)]
        return sorted(found, key=lambda path: int(path.stem), reverse=True)


def stamp(config: TrialConfig, fingerprint: str) -> dict[str, str]:
    """Return what must be equal for a trial to go on from a checkpoint, by the name that a message has for it."""
    variables = host_environment(gpu=False)["variables"]
    return {
        "configuration": trial_key(config, fingerprint),
        "code of segbench": own_code(),
        "environment variables": " ".join(f"{name}={value}" for name, value in sorted(variables.items())),
        **versions(),
    }


def _check(its: Any, mine: dict[str, str]) -> None:
    known = its if isinstance(its, dict) else {}
    other = next((name for name in (*mine, *known) if known.get(name) != mine.get(name)), None)
    if other is not None:
        raise BenchError(f"it was made with another {other} ({known.get(other)}, now {mine.get(other)})")
