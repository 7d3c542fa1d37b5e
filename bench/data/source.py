"""Open a data set on this machine: call its adapter, group, divide and choose its samples, and check them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.core.code.import_by_name import import_by_name
from bench.core.dataset_protocol import Dataset, Sample
from bench.core.errors import BenchError, first_few
from bench.core.files import stamps_known
from bench.core.specs import DatasetSpec
from bench.core.untrusted.masking import said
from bench.data.download import fetch
from bench.data.facts.file_facts import noting_gaps, only_sampled, sampled, still_left
from bench.data.opened.call_adapter import call_adapter, call_again, without_collection
from bench.data.opened.folder_state import NOT_SEEN, FolderState, look_at
from bench.data.opened.kept_samples import KeptSamples, Opening, keep_opening, recall_opening
from bench.data.opened.late_dataset import LateDataset
from bench.data.opened.question import BUILT_IN, code_hash, question_of
from bench.data.reading.values import Values, parse_bands
from bench.data.remote.address import is_address, place_of
from bench.data.remote.mirror import address_of, mirror_of, note_of
from bench.data.selection.choose import read_params, select

SPLITS = ("train", "val", "test")
SPLIT_WORDS = {"train": "training", "val": "validation", "test": "test"}  # for messages


@dataclass(frozen=True)
class Source:
    """A data set and the samples of its three splits."""

    spec: DatasetSpec
    dataset: Dataset
    samples: Sequence[Sample]
    data_dir: Path | None
    adapter_hash: str  # hash of the code that reads the data, since changed code may read other pixels
    notes: tuple[str, ...]  # facts for readers of the results
    warnings: tuple[str, ...]  # what a user should look at before training
    bands: tuple[int, ...] = ()  # the indexes of the chosen bands; empty: those that the data set gives
    scale_values: str = ""  # the rule by which values are scaled, as it was given
    values: Values | None = None  # what becomes of the pictures' values; None: they are read as they are stored
    state: str = ""  # of the code, the parameters and every file of the folder; empty: it isn't known
    seen: FolderState = NOT_SEEN  # the folder as it was when the data set was opened
    fixed_test: bool = False  # whether the data set itself says which images are the test split

    @property
    def settled(self) -> frozenset[str]:
        """The names of the warnings of bench/data/label_doubts.py that the user has settled."""
        return frozenset(getattr(self.dataset, "settled", ()))

    @property
    def counts(self) -> Counter[str]:
        """The number of samples of each split."""
        if isinstance(self.samples, KeptSamples):
            return self.samples.by_split
        return Counter(str(sample.split) for sample in self.samples)

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
    if folder is None and spec.needs_data_dir:
        folder = fetch(spec)
    if folder is None:
        return _opened_anew(spec, None, params)
    seen = look_at(folder)
    question = question_of(spec, folder, params, seen)
    for known in (question, question and question.sampled) if sampled() is not None else (question,):
        if known and (kept := recall_opening(*known, folder)) and still_left(kept.facts["left"]):
            return replace(_reopened(spec, folder, params, kept), state=known.state, seen=seen)
    with stamps_known(seen.stamps), noting_gaps() as gaps:
        source = replace(_opened_anew(spec, folder, params), seen=seen)
    if only_sampled():
        question = question and question.sampled
    if question and (not gaps or only_sampled()) and keep_opening(*question, folder, source.samples, _facts(source)):
        return replace(source, state=question.state)
    return source


def _opened_anew(spec: DatasetSpec, folder: Path | None, params: Mapping[str, Any]) -> Source:
    own, selection = read_params(spec, params)
    adapter, bands = import_by_name(spec.adapter), parse_bands(selection.bands)
    with without_collection():
        dataset = call_adapter(spec, folder, own, bands)
        if not spec.classes:
            spec = replace(spec, classes=tuple(dataset.classes))
        adapter_hash = code_hash(spec, adapter)
        chosen = select(spec, dataset, folder, selection, f"{adapter_hash} {sorted(own.items())}")
        _check(spec, chosen.samples, folder, params)
    remote = (note_of(folder),) if folder and address_of(folder) else ()
    notes = tuple(map(said, (*remote, *dataset.notes, *chosen.notes)))
    warnings = tuple(map(said, (*getattr(dataset, "warnings", ()), *chosen.warnings)))
    made = Source(spec, dataset, chosen.samples, folder, adapter_hash, notes, warnings)
    fixed = any(sample.split == "test" for sample in dataset.samples)
    return replace(made, bands=bands, scale_values=selection.scale_values, fixed_test=fixed)


def _facts(source: Source) -> dict[str, Any]:
    """Return what is kept of an opening beside its samples."""
    texts = {name: list(getattr(source, name)) for name in ("notes", "warnings")}
    known = {
        "classes": list(source.spec.classes),
        "settled": sorted(source.settled),
        "fixed_test": source.fixed_test,
    }
    return {**texts, **known, "adapter_hash": source.adapter_hash, "left": list(map(asdict, sampled() or ()))}


def _reopened(spec: DatasetSpec, folder: Path, params: Mapping[str, Any], kept: Opening) -> Source:
    """Make a source of what is kept; its adapter is called when a sample is read."""
    own, selection = read_params(spec, params)
    facts, bands = kept.facts, parse_bands(selection.bands)
    known = {"settled": frozenset(facts["settled"])}
    made = Source(
        replace(spec, classes=tuple(facts["classes"])),
        LateDataset(partial(call_again, spec, folder, own, bands, kept.samples), known),
        kept.samples,
        folder,
        facts["adapter_hash"],
        notes=tuple(facts["notes"]),
        warnings=tuple(facts["warnings"]),
    )
    return replace(made, bands=bands, scale_values=selection.scale_values, fixed_test=facts["fixed_test"])


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
