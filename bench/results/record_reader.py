"""Read a record and check it once, against its dataclass: whoever gets it may rely on its types."""

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.specs import FINAL_STATUSES, RETRIED_STATUSES, SCHEMA_VERSION, Budget, TrialRecord
from bench.core.trial_config import TrialConfig
from bench.core.untrusted import safe_json
from bench.core.untrusted.plain_files import read_file
from bench.core.untrusted.typed_values import fits, hints_of, misfit
from bench.results.quantities import QUANTITIES
from bench.results.quantities.quantity import Quantity
from bench.results.trial_files import RECORD

MOST_BYTES = 16 * 2**20  # a record of 255 classes has 0.1 MiB
MOST_VALUES = 20_000
_SECTIONS: Mapping[str, Mapping[str, Any]] = {
    "dataset": {
        "fingerprint": str,
        "classes": list[str],
        "images": dict[str, int],
        "split_images": dict[str, int],
        "notes": list[str],
    },
    "metrics": {"iou": dict[str, float | None], "tuned": dict[str, Any] | None},
    "weights": {"problem": str},
    "memory": {"method": str | None},
}
"""What sections must hold under a name, if they have it."""


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


def read_checked(path: Path) -> TrialRecord:
    """Read a record's file.

    Raises:
        OSError: there is none, or it is no plain file.
        BenchError: it is of a newer schema, or a value has another type than its field.
        ValueError: it is no JSON of a sensible size.
    """
    values = safe_json.loads(read_file(path, MOST_BYTES), most=MOST_VALUES)
    if not isinstance(values, dict):
        raise ValueError("it is no table")
    version = values.get("schema_version", 1)
    if type(version) is int and version > SCHEMA_VERSION:  # its fields may have other types
        raise BenchError(f"written by a newer segbench (schema {version}). Update segbench to see it.")
    if problem := misfit_of(values) or _unknown_status(values):
        raise ValueError(problem)
    record = TrialRecord.from_dict(values)
    check_config(record.config)
    return record


def misfit_of(values: Mapping[str, Any]) -> str | None:
    """Describe the first value, of a record or of parts of one, that its field can't hold; None if all fit."""
    found = misfit(values, hints_of(TrialRecord)) or _misfit_inside(values) or _out_of_range(values)
    return found or next(filter(None, (_misfit_of_quantity(row, values) for row in QUANTITIES.values())), None)


def _misfit_inside(values: Mapping[str, Any]) -> str | None:
    found = (misfit(values.get(section, {}), hints) for section, hints in _SECTIONS.items())
    return next(filter(None, found), None)


def _out_of_range(values: Mapping[str, Any]) -> str | None:
    numbers = ("repeat", "wall_seconds", "schema_version", "protocol_version")
    wrong = (name for name in numbers if not 0 <= (values.get(name) or 0) < math.inf)
    return next((f"'{name}' is {values[name]}, but it must be 0 or more" for name in wrong), None)


def _misfit_of_quantity(row: Quantity, values: Mapping[str, Any]) -> str | None:
    """Describe a measured number that is none or below 0; NaN is what a training that diverged has measured."""
    value = values.get(row.part, {}).get(row.name) if row.part else None
    if not fits(value, float | None):
        return f"'{row.part}.{row.name}' is {value!r:.60}, but it must be a number or null"
    if value is not None and value < 0 and not row.signed:
        return f"'{row.part}.{row.name}' is {value!r:.60}, but it must be 0 or more"
    return None


def _unknown_status(values: Mapping[str, Any]) -> str | None:
    status = values.get("status", "ok")  # one that is missing is named with all else that is
    known = (*FINAL_STATUSES, *RETRIED_STATUSES)
    return None if status in known else f"'status' is {status!r:.60}, but it must be one of {', '.join(known)}"


def check_config(config: Mapping[str, Any]) -> None:
    """Raise ValueError unless the values make a configuration; an older version's may have fewer."""
    if problem := misfit(config, _config_hints()):
        raise ValueError(f"config: {problem}")
    if missing := {"arch", "dataset"} - set(config):
        raise ValueError(f"config has no {', '.join(sorted(missing))}")
    TrialConfig.from_dict(config)


@cache
def _config_hints() -> dict[str, Any]:
    return {name: str if hint is Budget else hint for name, hint in hints_of(TrialConfig).items()}
