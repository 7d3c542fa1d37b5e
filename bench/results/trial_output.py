"""Read what a trial's process leaves in its folder: outcome, progress and log.

A plug-in runs in that process, so there may be anything. A record takes an outcome's fields only, and of each file no
more is read than segbench itself would write.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from bench.core.specs import FINAL_STATUSES, OUTCOME_FIELDS, RETRIED_STATUSES
from bench.core.untrusted import safe_json
from bench.core.untrusted.plain_files import MIB, is_file, read_file
from bench.results.clean_text import clean, shorten
from bench.results.record_reader import misfit_of
from bench.results.trial_files import LOG, OUTCOME, PROGRESS

OUTCOME_BYTES = 2 * MIB  # one of 255 classes has 0.1 MiB
OUTCOME_VALUES = 15_000  # fewer than a record may have, which adds the configuration
PROGRESS_BYTES = 2**16
LOG_LINES, LINE_LENGTH, TAIL_BYTES = 20, 500, 2**16  # kept of a failed trial's log
LOG_BYTES, LOG_ENDS = 16 * MIB, MIB  # a longer log keeps its first and last bytes
_NUMBERS = (
    *("fraction", "time", "pid", "train_seconds", "steps", "images", "epochs", "loss", "images_per_second"),
    "val_mean_iou",
)
_OF_ATTEMPTS = ("started", "seconds", "attempts")
_LARGEST = 1e12
_LATEST = 1e11  # seconds since 1970: the year 5138


def read_outcome(folder: Path) -> dict[str, Any]:
    """Read the outcome; {} if there is none, and one that failed, with the reason, if it can't be used."""
    try:
        values = safe_json.loads(read_file(folder / OUTCOME, OUTCOME_BYTES), most=OUTCOME_VALUES)
    except FileNotFoundError:
        return {}
    except OSError as error:
        return _unusable(error.strerror or str(error))
    except ValueError as error:
        return _unusable(str(error))
    return usable(values)


_NOTHING = "it says ok, but has neither metrics nor speed"


def usable(values: Any) -> dict[str, Any]:
    """Return the fields of an outcome that a record takes, all of the right types; a failed one if that can't be."""
    if not isinstance(values, dict):
        return _unusable("it is no table")
    if "status" not in values:
        return _unusable("it has no status")
    if problem := misfit_of(values):
        return _unusable(problem)
    if values["status"] not in (*FINAL_STATUSES, *RETRIED_STATUSES):
        return _unusable(f"its status is '{values['status']}'")
    if values["status"] == "ok" and not any(values.get(part) for part in ("metrics", "speed", "validation")):
        return _unusable(_NOTHING)
    found = {name: values[name] for name in OUTCOME_FIELDS if name in values}
    return {**found, "reason": _one_line(values.get("reason", ""))}


def of_its_kind(outcome: dict[str, Any], measure: str) -> dict[str, Any]:
    """Return a usable outcome as a trial with that `measure` may have it: a tuning trial has no scores of the test."""
    if measure == "validation":
        return {name: value for name, value in outcome.items() if name not in ("metrics", "speed")}
    if outcome["status"] == "ok" and not (outcome.get("metrics") or outcome.get("speed")):
        return _unusable(_NOTHING)
    return outcome


def _unusable(problem: str) -> dict[str, Any]:
    return {
        "status": "failed",
        "reason": _one_line(f"The trial's process wrote an outcome that can't be used: {problem}"),
    }


def _one_line(text: str) -> str:
    return shorten(clean(text[:LINE_LENGTH]), LINE_LENGTH)


def read_progress(folder: Path) -> dict[str, Any]:
    """Read the progress: texts (`phase`, `note`) and numbers (`fraction` is in [0, 1]); {} if there is none yet."""
    try:
        values = safe_json.loads(read_file(folder / PROGRESS, PROGRESS_BYTES))
    except (OSError, ValueError):
        return {}
    if not isinstance(values, dict):
        return {}
    found = {name: values[name] for name in _NUMBERS if name in values and _is_number(values[name])}
    if "fraction" in found:
        found["fraction"] = min(1.0, max(0.0, round(found["fraction"], 6)))
    if isinstance(phase := values.get("phase"), str):
        found["phase"] = shorten(clean(phase))
    if isinstance(note := values.get("note"), str):
        found["note"] = shorten(clean(note), LINE_LENGTH)
    return found


def earlier_attempts(request: Mapping[str, Any]) -> dict[str, float]:
    """Return what a request says of earlier attempts: `started`, `seconds` and `attempts`; {} for a first attempt."""
    found = request.get("earlier")
    if not isinstance(found, dict) or not all(is_moment(found.get(name)) for name in _OF_ATTEMPTS):
        return {}
    return {name: found[name] for name in _OF_ATTEMPTS}


def is_moment(value: Any) -> TypeGuard[float]:
    """Tell whether a value can be a time: seconds since 1970, or of a duration."""
    return _is_number(value) and 0 <= value <= _LATEST


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and abs(value) <= _LARGEST


def log_tail(folder: Path) -> tuple[str, ...]:
    """Return the last lines of the log, long ones cut."""
    try:
        if not is_file(folder / LOG):
            return ()
        with (folder / LOG).open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            text = file.read(TAIL_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return ()
    return tuple(shorten(line, LINE_LENGTH) for line in text.splitlines()[-LOG_LINES:])


def trim_log(path: Path) -> None:
    """Cut the middle out of a log that has grown too long; its process may go on appending to it."""
    if not is_file(path) or path.stat().st_size <= LOG_BYTES:
        return
    with path.open("r+b") as file:
        left_out = os.fstat(file.fileno()).st_size - 2 * LOG_ENDS
        file.seek(-LOG_ENDS, os.SEEK_END)
        end = file.read(LOG_ENDS)
        file.seek(LOG_ENDS)
        file.write(f"\n[{left_out / MIB:,.1f} MiB are left out here]\n".encode() + end)
        file.truncate()
