"""Keep what opening a data set has found in one file of the cache, by which later commands open it in a moment.

opened/NAME-HASH.arrow has the samples of a data set of one folder and parameters, and facts such as its notes. It holds
for one state: the code, the parameters, and every file of the folder. With another state it is written again.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple, overload

import pyarrow as pa

from bench.core.dataset_protocol import Sample
from bench.data.opened.table_file import keep, recall

_KIND = "samples-3"  # changed whenever the facts or the columns change
_MOST_FILES = 4  # of a sample; one with more isn't kept


class KeptSamples(Sequence[Sample]):
    """The samples of a table, which are made when the first of them is asked for."""

    def __init__(self, table: pa.Table, folder: Path):
        self._table, self._folder = table, folder

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._made)

    @overload
    def __getitem__(self, place: int) -> Sample: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Sample]: ...
    def __getitem__(self, place: int | slice) -> Sample | Sequence[Sample]:
        return self._made[place]

    def __reduce__(self) -> tuple[type[tuple[Sample, ...]], tuple[tuple[Sample, ...]]]:
        """Send the samples themselves to other processes."""
        return tuple, (self._made,)

    @property
    def by_split(self) -> Counter[str]:
        """The number of samples of each split."""
        return Counter(self.texts("split"))

    def texts(self, column: str) -> list[str]:
        """Return the name, split or group of each sample, all of which are UTF-8."""
        return list(self._table.column(column).to_pylist())

    @cached_property
    def _made(self) -> tuple[Sample, ...]:
        names, splits, groups, tokens, *files = (column.to_pylist() for column in self._table.columns)
        folder = self._folder
        paths = [tuple([folder / one for one in some if one is not None]) for some in zip(*files, strict=True)]
        return tuple(map(Sample, names, splits, groups, paths or [()] * len(names), tokens))


class Opening(NamedTuple):
    """The content of a file."""

    facts: dict[str, Any]
    samples: KeptSamples


def recall_opening(path: Path, state: str, folder: Path) -> Opening | None:
    """Return what is kept for a state of the data; None if there is nothing."""
    kept = recall(path, _KIND)
    if kept is None or kept.facts["state"] != state:
        return None
    return Opening(kept.facts["found"], KeptSamples(kept.table, folder))


def keep_opening(
    path: Path, state: str, folder: Path, samples: Sequence[Sample], facts: Mapping[str, Any]
) -> KeptSamples | None:
    """Keep the samples and facts of a state; return the samples, or None if they can't be kept.

    A file of a sample that lies elsewhere may change without a new state, so such samples aren't kept. Nor are names
    that are no UTF-8.
    """
    files = [[_below(file, f"{folder}{os.sep}") for file in sample.files] for sample in samples]
    if any(len(some) > _MOST_FILES or None in some for some in files):
        return None
    try:
        table = _table(samples, files)
    except ValueError:  # a lone surrogate
        return None
    return KeptSamples(table, folder) if keep(path, _KIND, {"state": state, "found": facts}, table) else None


def _table(samples: Sequence[Sample], files: Sequence[Sequence[str | None]]) -> pa.Table:
    columns = {
        "name": pa.array([sample.name for sample in samples], pa.large_string()),
        "split": pa.array([sample.split for sample in samples], pa.string()).dictionary_encode(),
        "group": pa.array([sample.group for sample in samples], pa.large_string()),
        "token": pa.array([sample.token for sample in samples], pa.large_string()).dictionary_encode(),
    }
    for number, some in enumerate(zip_longest(*files)):
        columns[f"file{number}"] = pa.array(some, pa.large_string())
    return pa.table(columns)


def _below(file: Path, folder: str) -> str | None:
    """Return a file's path below a folder; None if it lies elsewhere."""
    text = os.fspath(file)
    return text[len(folder) :] if text.startswith(folder) and ".." not in file.parts else None
