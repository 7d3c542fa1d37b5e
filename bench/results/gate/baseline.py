"""The baseline file of `bench check`: the stored configurations of each hardware class, in one file.

A class is replaced as a whole, and the others stay. The file holds only what the paired bootstrap needs: the per-image
counts of each trial as int32 (images, classes, 3), images in the order of their names, zlib-compressed, in base64; a
data set's own metrics likewise. The names of the images are held as a hash.
"""

import base64
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import BenchError
from bench.core.untrusted import safe_json
from bench.core.untrusted.plain_files import read_file
from bench.results.gate.measured import HardwareClass, Measured, Subject, by_class, identity
from bench.results.record_reader import check_config
from bench.results.trial_files import write_json

BASELINE_VERSION = 2  # 1 had no classes
_MOST_BYTES = 2**30  # of the file, and of the counts of a trial
_MOST_VALUES = 10_000_000

Changes = list[dict[str, str]]  # `reason`, `time` and `commit`: why, when and by which code a class was stored


def write_baseline(
    file: Path, subjects: Sequence[Subject], change: Mapping[str, str]
) -> tuple[list[HardwareClass], list[HardwareClass]]:
    """Write the ok trials to a baseline file, in place of those of the same hardware classes.

    Args:
        change: `reason`, `time` and `commit`; it is added to the changes of these classes.

    Returns:
        The classes that were written, and the others of the file, which stay as they were.
    """
    stored = _stored(file) if file.exists() else {}
    written = by_class(subject for subject in subjects if subject.ok)
    if not written:
        raise BenchError("No trial is ok, so there is nothing to make a baseline of.")
    for hardware, some in written.items():
        changes = [*_changes(stored.get(hardware, {})), dict(change)]
        stored[hardware] = {**asdict(hardware), "changes": changes, "configurations": list(map(_to_json, some))}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, {"schema_version": BASELINE_VERSION, "classes": [stored[name] for name in sorted(stored)]})
    return list(written), [hardware for hardware in sorted(stored) if hardware not in written]


def read_baseline(file: Path) -> list[Subject]:
    """Read the configurations of all classes; raise BenchError if the file is missing, broken or of a newer schema."""
    try:
        return [
            _from_json(values, hardware.device)
            for hardware, one in _stored(file).items()
            for values in one["configurations"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, zlib.error) as error:
        if isinstance(error, BenchError):
            raise
        raise BenchError(f"The baseline '{file}' is broken ({error}). Remove it and make one with --update.") from error


def last_changes(file: Path) -> dict[HardwareClass, dict[str, str]]:
    """Return why, when and by which commit each class was stored last."""
    return {hardware: (_changes(one) or [{}])[-1] for hardware, one in _stored(file).items()}


def _changes(stored: Mapping[str, Any]) -> Changes:
    return [{str(name): str(value) for name, value in dict(one).items()} for one in stored.get("changes", [])]


def _stored(file: Path) -> dict[HardwareClass, dict[str, Any]]:
    """Read the file's classes, as JSON has them."""
    try:
        values = safe_json.loads(read_file(file, _MOST_BYTES, links=True), most=_MOST_VALUES)
        version = int(values["schema_version"])
        if version > BASELINE_VERSION:
            raise BenchError(
                f"The baseline '{file}' was written by a newer segbench (schema {version}). Update segbench."
            )
        classes = values["classes"] if version > 1 else _classes_of_the_first_schema(values)
        for one in classes:
            _changes(one)
        return {HardwareClass(*(str(one[name]) for name in ("device", "backend", "precision"))): one for one in classes}
    except OSError as error:
        raise BenchError(
            f"The baseline '{file}' can't be read ({error.strerror}). `bench check RESULTS --update --reason TEXT` "
            "makes one."
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, BenchError):
            raise
        raise BenchError(f"'{file}' isn't a baseline of `bench check` ({error}).") from error


def _classes_of_the_first_schema(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Sort the configurations of a file of schema 1 by class; its one list of changes is that of each."""
    classes: dict[HardwareClass, dict[str, Any]] = {}
    changes = _changes({"changes": values["changes"]})
    for one in values["configurations"]:
        check_config(one["config"])
        config = identity(one["config"])
        hardware = HardwareClass(str(one["device"]), str(config["backend"]), str(config["precision"]))
        added = {**asdict(hardware), "changes": changes, "configurations": []}
        classes.setdefault(hardware, added)["configurations"].append(one)
    return list(classes.values())


def _to_json(subject: Subject) -> dict[str, Any]:
    trials = [
        {"seed": trial.seed, "values": dict(trial.values), **(_packed(trial) if trial.counts is not None else {})}
        for trial in subject.ok
    ]
    names = ("configuration", "fingerprint", "protocol", "memory_method", "images")
    return {"config": dict(subject.config), **{name: getattr(subject, name) for name in names}, "trials": trials}


def _packed(trial: Measured) -> dict[str, Any]:
    counts = np.asarray(trial.counts)
    own = {name: _pack(values.astype("<f8")) for name, values in trial.own.items()}
    return {"shape": list(counts.shape), "counts": _pack(counts.astype("<i4")), **({"own": own} if own else {})}


def _pack(values: NDArray[Any]) -> str:
    return base64.b64encode(zlib.compress(values.tobytes(), 9)).decode()


def _unpack(text: str, dtype: str) -> NDArray[Any]:
    packed = zlib.decompressobj()
    values = packed.decompress(base64.b64decode(text), _MOST_BYTES)
    if packed.unconsumed_tail or not packed.eof:
        raise ValueError(f"its counts are cut short, or have more than {_MOST_BYTES:,} bytes")
    return np.frombuffer(values, dtype)


def _from_json(values: Mapping[str, Any], device: str) -> Subject:
    names = ("configuration", "fingerprint", "memory_method", "images")
    check_config(values["config"])
    return Subject(
        **{name: str(values[name]) for name in names},
        config=identity(values["config"]),
        device=device,
        protocol=int(values["protocol"]),
        groups=(),
        trials=tuple(map(_trial, values["trials"])),
    )


def _trial(values: Mapping[str, Any]) -> Measured:
    numbers = {str(name): float(value) for name, value in values["values"].items()}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError("a value is not finite")
    if "counts" not in values:
        return Measured(int(values["seed"]), "ok", values=numbers)
    counts = _unpack(values["counts"], "<i4").reshape(values["shape"]).astype(np.int64)
    own = {str(name): _unpack(text, "<f8") for name, text in values.get("own", {}).items()}
    return Measured(int(values["seed"]), "ok", values=numbers, counts=counts, own=own)
