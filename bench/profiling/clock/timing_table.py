"""Every timing of a trial, kept beside its record, so that speeds can be compared by samples instead of summaries.

`timings.parquet` has a row per sample: `kind` (a text of KINDS), `start` (float32: seconds since the trial's first
sample), `seconds` (float32) and `images` (int32: those processed in that time). Rows of a kind are in order of time.
"""

import time
from array import array
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.core.errors import BenchError
from bench.core.files import write_atomically
from bench.core.untrusted import safe_parquet

TIMINGS = "timings.parquet"
LATENCY, INFERENCE, TRAIN, FROZEN, BESIDE, LOADER, BARE, JOINT = KINDS = (
    "latency",  # an awaited call with one image
    "inference",  # an awaited call with a batch
    "train",  # a block of training steps, as it ran; of a speed-only trial, on a batch that stays on the device
    "train frozen",  # the same while the backbone is frozen
    "train beside others",  # the same where the speed was measured alone afterwards; "train" is then "joint"
    "loader",  # a batch read from the loader
    "bare",  # a block of steps on a batch that stays on the device, in turn with
    "joint",  # a block of steps with loader and augmentation
)
MOST, MOST_BLOCKS = 1_000, 200_000  # samples of a kind, and of blocks; of more, that many are kept, evenly spaced
_LIMITS = safe_parquet.Limits(rows=1_000_000, columns=100, values=10_000_000, size=64 * 2**20, text=64)
_KIND = "kind"
Note = Callable[[Sequence[float]], None]  # called with the seconds of consecutive samples, directly after the last one
_Columns = tuple["array[float]", "array[float]", "array[int]"]  # when samples ended, their seconds, their images


def ignore(seconds: Sequence[float]) -> None:
    """Keep nothing of some samples."""


def both(one: Note, other: Note) -> Note:
    """Make a function that gives some samples to two others."""

    def note(seconds: Sequence[float]) -> None:
        one(seconds)
        other(seconds)

    return note


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of one kind, in order of time."""

    start: NDArray[np.float64]  # (n,): seconds since the trial's first sample
    seconds: NDArray[np.float64]  # (n,)
    images: NDArray[np.int64]  # (n,)

    @property
    def per_image(self) -> NDArray[np.float64]:
        """The seconds per image of each sample."""
        return self.seconds / self.images


class TimingLog:
    """The samples of a running trial, noted between blocks or after the calls; no file and no device is read."""

    def __init__(self) -> None:
        self._columns: dict[str, _Columns] = defaultdict(lambda: (array("d"), array("d"), array("q")))

    def noting(self, kind: str, images: int) -> Note:
        """Make a function that notes samples of that kind, given their seconds when the last one has just ended."""
        return lambda seconds: self.note(kind, seconds, images)

    def note(self, kind: str, seconds: Sequence[float], images: int) -> None:
        """Note samples of `images` images each, of which one followed the other and the last has just ended."""
        ends, lengths, counts = self._columns[kind]
        begin = time.perf_counter() - sum(seconds)
        ends.extend(begin + passed for passed in accumulate(seconds))
        lengths.extend(seconds)
        counts.extend(repeat(images, len(seconds)))

    def set_apart(self, kind: str, other: str) -> None:
        """Count the samples of a kind as those of another from now on."""
        if kind in self._columns:
            self._columns[other] = self._columns.pop(kind)

    def state(self) -> dict[str, list[NDArray[Any]]]:
        """Return all samples by kind, for `restore`: seconds from now, which are negative, lengths, and images."""
        now = time.perf_counter()
        return {kind: [np.array(ends) - now, *map(np.array, rest)] for kind, (ends, *rest) in self._columns.items()}

    def restore(self, state: Mapping[str, Sequence[NDArray[Any]]]) -> None:
        """Add the samples of an earlier process before any other, as if it had ended just now."""
        now = time.perf_counter()
        for kind, (ends, lengths, counts) in state.items():
            self._columns[kind] = array("d", ends + now), array("d", lengths), array("q", counts)

    def samples(self) -> dict[str, Samples]:
        """Return the samples so far by kind, thinned to `MOST` or `MOST_BLOCKS` of each."""
        found = {kind: tuple(map(np.array, columns)) for kind, columns in self._columns.items()}
        first = min((ends[0] - lengths[0] for ends, lengths, _ in found.values()), default=0.0)
        return {
            kind: _thinned(
                Samples(ends - lengths - first, lengths, counts),
                MOST_BLOCKS if kind in (TRAIN, FROZEN, BESIDE) else MOST,
            )
            for kind, (ends, lengths, counts) in found.items()
        }

    def write(self, folder: Path) -> None:
        """Write `timings.parquet` into the trial's folder, which the trial brings to the disk at its end."""
        write_timings(folder / TIMINGS, self.samples())


def _thinned(samples: Samples, most: int) -> Samples:
    count = len(samples.seconds)
    kept = np.linspace(0, count - 1, min(count, most)).astype(np.intp)
    return Samples(samples.start[kept], samples.seconds[kept], samples.images[kept])


def write_timings(path: Path, samples: Mapping[str, Samples]) -> None:
    """Write samples by kind as Parquet, atomically."""
    kinds = np.repeat(np.array(list(samples), object), [len(some.seconds) for some in samples.values()])
    columns = {
        _KIND: pa.array(kinds, pa.string()),
        "start": pa.array(_joined([some.start for some in samples.values()]), pa.float32()),
        "seconds": pa.array(_joined([some.seconds for some in samples.values()]), pa.float32()),
        "images": pa.array(_joined([some.images for some in samples.values()]), pa.int32()),
    }
    with write_atomically(path, sync=False) as part:
        pq.write_table(pa.table(columns), part, compression="zstd", use_dictionary=[_KIND, "images"])


def _joined(parts: list[NDArray[np.float64]] | list[NDArray[np.int64]]) -> NDArray[np.float64]:
    return np.concatenate([np.zeros(0), *parts])


def read_timings(folder: Path | str) -> dict[str, Samples]:
    """Read the samples of a trial by kind; {} if its record was made before they were kept.

    Raises:
        BenchError: the file is no plain file, or no table of timings in Parquet of a sensible size.
    """
    path = Path(folder) / TIMINGS
    try:
        with safe_parquet.opened(path, _LIMITS, [_KIND]) as file:
            table = file.read([_KIND, "start", "seconds", "images"], use_threads=False)
        kinds = np.array(safe_parquet.texts(table, _KIND, _LIMITS.text), object)
        start, seconds = (_numbers(table, name, pa.types.is_floating).astype(float) for name in ("start", "seconds"))
        images = _numbers(table, "images", pa.types.is_integer)
        if not ((seconds > 0).all() and (images >= 1).all()):
            raise ValueError("a sample has no time or no image")
    except FileNotFoundError:
        return {}
    except safe_parquet.ERRORS as error:
        raise BenchError(f"'{path}' is no readable table of timings ({safe_parquet.reason(error)}).") from error
    places = {kind: kinds == kind for kind in KINDS}
    return {kind: Samples(start[some], seconds[some], images[some]) for kind, some in places.items() if some.any()}


def _numbers(table: pa.Table, name: str, right_kind: Callable[[pa.DataType], bool]) -> NDArray[Any]:
    """Return a column of finite numbers of the right kind; raise ValueError if it is another."""
    column = table.column(name)
    if not right_kind(column.type) or column.null_count:
        raise ValueError(f"the column '{name}' has {column.type} or gaps")
    values = column.to_numpy()
    if not np.isfinite(values).all():
        raise ValueError(f"the column '{name}' has values that are not finite")
    return values
