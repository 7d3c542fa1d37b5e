"""The file of a checkpoint: arrays and values that JSON can hold, in one archive whose parts have checksums."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import BenchError
from bench.core.files import write_atomically

_VALUES = "values"
Arrays = Mapping[str, Sequence[np.ndarray]]  # lists of arrays by name


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a training."""

    values: Mapping[str, Any]
    arrays: Arrays

    @property
    def size(self) -> int:
        """The bytes that the arrays take."""
        return sum(array.nbytes for some in self.arrays.values() for array in some)


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint whole, so that a power cut leaves all of it or nothing under this name."""
    kinds = {name: [array.dtype.name for array in some] for name, some in checkpoint.arrays.items()}
    text = json.dumps({"values": checkpoint.values, "kinds": kinds}).encode()
    parts: dict[str, Any] = {_VALUES: np.frombuffer(text, np.uint8)}
    for name, some in checkpoint.arrays.items():
        parts |= {f"{name}_{i}": _plain(array) for i, array in enumerate(some)}
    with write_atomically(path) as part, part.open("wb") as file:
        np.savez(file, **parts)


def read(path: Path) -> Checkpoint:
    """Read a checkpoint; raise BenchError with the reason if the file is damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            known = json.loads(stored[_VALUES].tobytes())
            arrays = {
                name: [stored[f"{name}_{i}"].view(np.dtype(kind)) for i, kind in enumerate(kinds)]
                for name, kinds in known["kinds"].items()
            }
            return Checkpoint(known["values"], arrays)
    except (OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BenchError(f"it is damaged ({reason})") from error


def _plain(array: np.ndarray) -> np.ndarray:
    """Return the array as a type of NumPy's own: files can't hold bfloat16."""
    return array.view(f"u{array.itemsize}") if array.dtype.kind == "V" else array
