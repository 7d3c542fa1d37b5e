"""The results of `bench robustness` in a trial's folder, each written whole and thus kept when the rest is interrupted.

robustness/KIND_SEVERITY_IMAGES.json     what was scored, and the mean IoU; it comes last, and without it nothing counts
           KIND_SEVERITY_IMAGES.parquet  the per-image table
           KIND_5_IMAGES.png             the image that lost most: image, truth, prediction
"""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.durable import sync_file
from bench.core.errors import BenchError
from bench.core.specs import PROTOCOL_VERSION, REDUCED_PROTOCOL_VERSION
from bench.core.untrusted.plain_files import check_inside, is_file, is_folder
from bench.evaluation.corruptions.corruption_table import Condition, conditions
from bench.evaluation.image_table import ImageTable, write_table
from bench.results.loading import StoredTrial
from bench.results.trial_files import ROBUSTNESS, read_json, write_json

ADVICE = "Make room, or copy the run's folder to a disk that can be written."
_KNOWN = frozenset(conditions())


@dataclass(frozen=True)
class StoredCondition:
    """The stored result of one condition."""

    condition: Condition
    images: int
    file: Path  # its JSON
    protocol: object = None  # the version of how its pictures were decoded; None if it isn't known

    @property
    def table(self) -> Path:
        """The file of the per-image table."""
        return self.file.with_suffix(".parquet")

    @property
    def picture(self) -> Path | None:
        """The file with the image that lost most, if there is one."""
        path = self.file.with_suffix(".png")
        return path if is_file(path) else None


def file_of(trial: StoredTrial, condition: Condition, images: int) -> Path:
    """Return the JSON file of a condition, scored on that many images."""
    return trial.folder / ROBUSTNESS / f"{condition.kind}_{condition.severity}_{images}.json"


def is_stored(trial: StoredTrial, condition: Condition, images: int) -> bool:
    """Return whether there is a result of these weights under what the condition means today."""
    return _read(trial, file_of(trial, condition, images)) is not None


def stored(trial: StoredTrial) -> dict[int, dict[Condition, StoredCondition]]:
    """Return a trial's results by the number of images; those of other weights or amounts are left out."""
    found: dict[int, dict[Condition, StoredCondition]] = defaultdict(dict)
    folder = trial.folder / ROBUSTNESS
    for file in sorted(folder.glob("*.json")) if is_folder(folder) else []:
        if one := _read(trial, file):
            found[one.images][one.condition] = one
    return found


def store(trial: StoredTrial, condition: Condition, table: ImageTable, facts: dict[str, Any]) -> None:
    """Write a condition's table, then its JSON with `facts` and what the result is of; raise BenchError if it can't."""
    file = check_folder(trial) / file_of(trial, condition, len(table.names)).name
    try:
        file.parent.mkdir(exist_ok=True)
        write_table(file.with_suffix(".parquet"), *table)
        sync_file(file.with_suffix(".parquet"))
        write_json(file, {**_stamp(trial, condition), "images": len(table.names), **facts})
    except OSError as error:
        raise BenchError(f"'{file}' can't be written ({error.strerror}). {ADVICE}") from error


def check_folder(trial: StoredTrial) -> Path:
    """Return the folder of the results, which need not exist; raise BenchError if it is a link or the like."""
    folder = trial.folder / ROBUSTNESS
    check_inside(trial.folder, folder, "copy the run's folder.")
    return folder


def _stamp(trial: StoredTrial, condition: Condition) -> dict[str, Any]:
    """Return what must be equal for a stored result to count."""
    amount = json.loads(json.dumps(condition.amount))
    return {
        "kind": condition.kind,
        "severity": condition.severity,
        "amount": amount,
        "run_finished": trial.record.finished,
        "fingerprint": trial.record.dataset.get("fingerprint"),
        "protocols": [PROTOCOL_VERSION, REDUCED_PROTOCOL_VERSION],  # how this version decodes pictures
    }


def _read(trial: StoredTrial, file: Path) -> StoredCondition | None:
    values = read_json(file)
    try:
        condition, images = Condition(str(values["kind"]), int(values["severity"])), int(values["images"])
    except (KeyError, TypeError, ValueError):
        return None
    if condition not in _KNOWN or file != file_of(trial, condition, images):
        return None
    there = is_folder(file.parent) and is_file(file.with_suffix(".parquet"))
    fits = there and all(values.get(name) == its for name, its in _stamp(trial, condition).items())
    return StoredCondition(condition, images, file, values.get("protocol_version")) if fits else None
