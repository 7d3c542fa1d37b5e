"""A data set opened on this machine: its adapter called, its validation split cut, its samples checked."""

import hashlib
import inspect
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.pipeline.download import fetch
from bench.pipeline.splits import cut_validation
from bench.resolve import resolve
from bench.samples import Dataset, Sample
from bench.spec import DatasetSpec

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Source:
    """A data set and the samples of its three splits."""

    spec: DatasetSpec
    dataset: Dataset
    samples: tuple[Sample, ...]
    data_dir: Path | None
    adapter_hash: str  # of the adapter's file: another adapter reads other pixels

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the results should know."""
        return tuple(self.dataset.notes)

    def of_split(self, split: str) -> list[Sample]:
        """The samples of "train", "val" or "test", in order."""
        return [sample for sample in self.samples if sample.split == split]


def open_source(spec: DatasetSpec, data_dir: Path | str | None = None) -> Source:
    """Call a data set's adapter, downloading the archives first where no folder is given and it names some.

    BenchError for a missing folder (from the adapter), an empty split, or names that are not unique.
    """
    folder = Path(data_dir).expanduser().resolve() if data_dir is not None else None
    if folder is None and spec.needs_data_dir:
        folder = fetch(spec)
    adapter = resolve(spec.adapter)
    dataset = adapter(folder)
    samples = cut_validation(dataset.samples)
    _check(spec, samples, folder)
    adapter_hash = hashlib.sha256(Path(inspect.getfile(adapter)).read_bytes()).hexdigest()[:16]
    return Source(spec, dataset, samples, folder, adapter_hash)


def _check(spec: DatasetSpec, samples: tuple[Sample, ...], folder: Path | None) -> None:
    counts = Counter(sample.split for sample in samples)
    empty = [split for split in SPLITS if not counts[split]]
    if empty:
        place = f" in '{folder}'" if folder else ""
        raise BenchError(
            f"The data set '{spec.name}'{place} has no {' and no '.join(empty)} images "
            f"({', '.join(f'{split} {counts[split]}' for split in SPLITS)}). "
            "Each split needs at least one; without a val split of its own, training needs two groups of images."
        )
    if unknown := set(counts) - set(SPLITS):
        raise BenchError(f"The data set '{spec.name}' has the splits {sorted(unknown)}. Accepted: {', '.join(SPLITS)}.")
    twice = [name for name, count in Counter(sample.name for sample in samples).items() if count > 1]
    if twice:
        raise BenchError(f"The data set '{spec.name}' has names that are not unique: {', '.join(twice[:5])}.")
