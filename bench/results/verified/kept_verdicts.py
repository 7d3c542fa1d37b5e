"""Keep the verdicts of `bench verify` beside the record that they are on: `verifications.json`.

The file is written whole when a verification has ended, so one that was interrupted leaves nothing. A verdict counts as
long as the record is the one that was verified, and if the new run had the same code, data and weights.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.specs import TrialRecord
from bench.results.trial_files import VERIFICATIONS, read_json, write_json

_OF_MACHINE = ("cpu", "gpu", "cores", "memory_gib", "platform")


@dataclass(frozen=True)
class KeptVerdict:
    """The score of a new run and the prediction interval that it had to lie in."""

    metric: str
    value: float
    mean: float  # of the other seeds
    low: float
    high: float
    seed: int  # of the new run
    machine: str  # of the new run: device, processor, cores, memory, system
    finished: str  # when the new run ended
    verified: str  # when the run that was verified had ended
    same: bool  # whether code, data and weights of both runs were the same

    @property
    def is_inside(self) -> bool:
        """True if the score agrees, up to rounding errors."""
        return self.low - 1e-9 <= self.value <= self.high + 1e-9

    @property
    def distance(self) -> float:
        """The difference from the mean in units of the interval: 1 at its end, NaN where seeds don't differ."""
        end = self.high if self.value > self.mean else self.low
        if self.value == self.mean:
            return 0.0
        return (self.value - self.mean) / abs(end - self.mean) if end != self.mean else math.nan


def machine_of(record: TrialRecord) -> str:
    """Describe a record's machine by its device, processor, cores, memory and system; records hold no names."""
    return ", ".join([record.device, *(str(record.environment.get(name)) for name in _OF_MACHINE)])


def keep_verdict(folder: Path, verdict: KeptVerdict) -> None:
    """Add a verdict to those beside a record, unless it is on a new run that is known there.

    Raises:
        BenchError: the file can't be written.
    """
    known = kept_verdicts(folder)
    if any((o.metric, o.finished, o.seed) == (verdict.metric, verdict.finished, verdict.seed) for o in known):
        return
    try:
        write_json(folder / VERIFICATIONS, {"verdicts": [asdict(one) for one in (*known, verdict)]})
    except OSError as error:
        raise BenchError(f"'{folder / VERIFICATIONS}' can't be written ({error.strerror}).") from error


def kept_verdicts(folder: Path) -> list[KeptVerdict]:
    """Return the verdicts in a trial's folder; what isn't one is left out."""
    rows = read_json(folder / VERIFICATIONS).get("verdicts")
    return list(_whole(rows)) if isinstance(rows, list) else []


def counts(verdict: KeptVerdict, finished: str) -> bool:
    """Tell whether a verdict is on the run that ended at a time, with code and data that were the same."""
    return verdict.same and verdict.verified == finished


def _whole(rows: list[Any]) -> Iterator[KeptVerdict]:
    names = {one.name: one.type for one in fields(KeptVerdict)}
    for row in rows:
        if isinstance(row, dict) and row.keys() >= names.keys() and all(_fits(row[n], names[n]) for n in names):
            yield KeptVerdict(**{name: row[name] for name in names})


def _fits(value: Any, kind: Any) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return type(value) is kind
