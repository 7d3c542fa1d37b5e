"""Open a data set on this machine: call its adapter, group, divide and choose its samples, and check them."""

import gc
import hashlib
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.core.code.import_by_name import import_by_name, plugin_hash
from bench.core.dataset_protocol import Dataset, Sample
from bench.core.errors import BenchError, first_few
from bench.core.files import file_hash
from bench.core.specs import DatasetSpec
from bench.core.untrusted.masking import said
from bench.core.untrusted.plain_files import require_plain
from bench.data.download import fetch
from bench.data.facts.file_facts import only_sampled
from bench.data.reading.values import Values, parse_bands
from bench.data.remote.address import is_address, place_of
from bench.data.remote.mirror import address_of, mirror_of, note_of
from bench.data.selection.choose import read_params, select

BUILT_IN = "bench.datasets"  # the package of the adapters that share code
SPLITS = ("train", "val", "test")
SPLIT_WORDS = {"train": "training", "val": "validation", "test": "test"}  # for messages


@dataclass(frozen=True)
class Source:
    """A data set and the samples of its three splits."""

    spec: DatasetSpec
    dataset: Dataset
    samples: tuple[Sample, ...]
    data_dir: Path | None
    adapter_hash: str  # hash of the code that reads the data, since changed code may read other pixels
    notes: tuple[str, ...]  # facts for readers of the results
    warnings: tuple[str, ...]  # what a user should look at before training
    bands: tuple[int, ...] = ()  # the indexes of the chosen bands; empty: those that the data set gives
    scale_values: str = ""  # the rule by which values are scaled, as it was given
    values: Values | None = None  # what becomes of the pictures' values; None: they are read as they are stored

    @property
    def settled(self) -> frozenset[str]:
        """The names of the warnings of bench/data/label_doubts.py that the user has settled."""
        return frozenset(getattr(self.dataset, "settled", ()))

    def of_split(self, split: str) -> list[Sample]:
        """Return the samples of "train", "val" or "test", in order."""
        return [sample for sample in self.samples if sample.split == split]


_opened: ContextVar[dict[str, Source] | None] = ContextVar("opened", default=None)


@contextmanager
def opened_once() -> Iterator[None]:
    """Open each data set once inside the context, whoever asks for it; nobody must change its files meanwhile."""
    token = _opened.set({}) if _opened.get() is None else None
    try:
        yield
    finally:
        if token:
            _opened.reset(token)


def forget_opened() -> None:
    """Let go of the data sets of `opened_once`, which may be large; they are opened again if anybody asks for them."""
    if known := _opened.get():
        known.clear()


def open_source(
    spec: DatasetSpec, data_dir: Path | str | None = None, params: Mapping[str, Any] | None = None
) -> Source:
    """Open a data set by its adapter; download its data first if it can be downloaded and no folder is given.

    A spec without classes takes those that the data set finds in its folder.

    Raises:
        BenchError: the folder is missing, a split is empty or unknown, or names are not unique.
    """
    folder = _folder(spec, data_dir) if data_dir is not None else None
    known, key = _opened.get(), repr((spec, folder, sorted((params or {}).items())))
    if known is None:
        return _open(spec, folder, params or {})
    found = known.get(key) or _open(spec, folder, params or {})
    if not only_sampled():
        known[key] = found
    return found


def _folder(spec: DatasetSpec, data_dir: Path | str) -> Path:
    """Return the folder of a data set's files, or the one that stands for an address."""
    place = place_of(data_dir)
    if not is_address(place):
        return Path(place)
    if spec.source or not spec.adapter.startswith(f"{BUILT_IN}."):
        raise BenchError(
            f"'{spec.name}' can't be read from '{place}': it opens its files itself. Copy them to a folder here, and "
            "give that."
        )
    return mirror_of(place)


def _open(spec: DatasetSpec, folder: Path | None, params: Mapping[str, Any]) -> Source:
    if folder is not None:
        require_plain(folder)
    elif spec.needs_data_dir:
        folder = fetch(spec)
    own, selection = read_params(spec, params)
    adapter = import_by_name(spec.adapter)
    with _without_collection():
        dataset = adapter(folder, **own, **({"source": spec.source} if spec.source else {}))
        if not spec.classes:
            spec = replace(spec, classes=tuple(dataset.classes))
        adapter_hash = _code_hash(spec, adapter)
        bands = parse_bands(selection.bands)
        if bands and hasattr(dataset, "choose_bands"):
            dataset = dataset.choose_bands(bands)
        chosen = select(spec, dataset, folder, selection, f"{adapter_hash} {sorted(own.items())}")
        _check(spec, chosen.samples, folder, params)
    remote = (note_of(folder),) if folder and address_of(folder) else ()
    notes = tuple(map(said, (*remote, *dataset.notes, *chosen.notes)))
    warnings = tuple(map(said, (*getattr(dataset, "warnings", ()), *chosen.warnings)))
    made = Source(spec, dataset, chosen.samples, folder, adapter_hash, notes, warnings)
    return replace(made, bands=bands, scale_values=selection.scale_values)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Pause the search for garbage, which would go through a million new objects that are none again and again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _code_hash(spec: DatasetSpec, adapter: Callable[..., Dataset]) -> str:
    """Hash the code that reads the data: a plug-in with its imports, a built-in adapter with all that it may use."""
    file = Path(inspect.getfile(adapter))
    if spec.adapter.startswith(f"{file}:"):
        return plugin_hash(file)[:16]
    built_in = adapter.__module__.startswith(f"{BUILT_IN}.")
    files = sorted(file.parent.rglob("*.py")) if built_in else [file]
    return hashlib.sha256("".join(map(file_hash, files)).encode()).hexdigest()[:16]


def _check(spec: DatasetSpec, samples: tuple[Sample, ...], folder: Path | None, params: Mapping[str, Any]) -> None:
    counts = Counter(str(sample.split) for sample in samples)
    empty = [split for split in SPLITS if not counts[split]]
    if empty:
        place = f" in '{folder}'" if folder else ""
        place += f" with {', '.join(f'{name} {value}' for name, value in params.items())}" if params else ""
        raise BenchError(
            f"The data set '{spec.name}'{place} has no {' and no '.join(empty)} images "
            f"({', '.join(f'{split} {counts[split]}' for split in SPLITS)}). "
            "Each split needs at least one image; without a val split, training needs at least two groups of images."
        )
    if unknown := set(counts) - set(SPLITS):
        raise BenchError(f"The data set '{spec.name}' has the splits {sorted(unknown)}. Accepted: {', '.join(SPLITS)}.")
    twice = [name for name, count in Counter(sample.name for sample in samples).items() if count > 1]
    if twice:
        raise BenchError(f"The data set '{spec.name}' has names that are not unique: {first_few(twice)}.")
