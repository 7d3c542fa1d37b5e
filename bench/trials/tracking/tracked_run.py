"""Put what a tracker is told of a trial into words: its configuration, its validations, and how it ended."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.core.specs import TrialRecord

SECTIONS = ("validation", "training", "speed", "memory", "energy", "model")  # of a record, beside its metrics
_NOT_IN_NAMES = re.compile(r"[^\w.\-/ ]", re.ASCII)  # what MLflow refuses


@dataclass(frozen=True)
class TrackedRun:
    """The run of one trial."""

    identity: str  # the name of the trial's folder
    name: str  # for readers
    group: str  # what all seeds of a configuration have in common
    config: Mapping[str, Any] = field(default_factory=dict)  # whole

    def parameters(self) -> dict[str, str | float | bool]:
        """Return the configuration without levels: `params.filters`; lists as JSON, and nothing that isn't set."""
        return {name: _plain(value) for name, value in _flat(self.config) if value is not None}


@dataclass(frozen=True)
class Ending:
    """The ending of a trial: its status, the reason, and what it measured."""

    status: str
    reason: str = ""
    values: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, record: TrialRecord) -> "Ending":
        """Return the ending that a record tells of: `test/mean_iou`, `speed/latency_ms_p50`, ..., `wall_seconds`."""
        values = {f"test/{name}": value for name, value in _numbers(record.metrics)}
        for section in SECTIONS:
            values |= {f"{section}/{name}": value for name, value in _numbers(getattr(record, section))}
        values |= dict(_numbers({"wall_seconds": record.wall_seconds}))
        return cls(record.status, record.reason, values)

    @property
    def ok(self) -> bool:
        return self.status == "ok"


def validation_values(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a row of the history: `val/mean_iou`, and `train/loss` of what isn't a score."""
    named = {f"val/{name[4:]}" if name.startswith("val_") else f"train/{name}": value for name, value in row.items()}
    return dict(_numbers(named))


def _numbers(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the numbers of a section by name, without levels: `iou.pet`."""
    for name, value in _flat(values):
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield _NOT_IN_NAMES.sub("_", name), float(value)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _plain(value: Any) -> str | float | bool:
    return value if isinstance(value, str | bool | int | float) else json.dumps(value)
