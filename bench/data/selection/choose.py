"""The parameters of every data set (SELECTION in bench/core/specs.py): groups, splits, and which images are taken.

They are applied in this order: groups, division into splits, `empty_fraction`, `balance`. The last two take the images
with the smallest hashes of their names, so the choice is the same on every machine and for every seed, and it moves no
image to another split.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.core.dataset_protocol import Dataset, Sample
from bench.core.errors import BenchError, first_few
from bench.core.files import share
from bench.core.specs import FOLDER, OF_PIXELS, SELECTION, DatasetSpec
from bench.data.reading.values import parse_bands, parse_scale
from bench.data.selection import groups
from bench.data.selection.object_counts import count_objects
from bench.data.splits import cut_validation, divide


@dataclass(frozen=True)
class Selection:
    """The values of the parameters; their meanings stand in SELECTION."""

    group_by: str = ""
    split: str = "group"
    balance: int = 0
    empty_fraction: float = 1.0
    sample_splits: str = "all"
    bands: str = ""
    scale_values: str = ""

    def __post_init__(self) -> None:
        """Raise BenchError for a value out of range."""
        if self.balance < 0:
            raise BenchError(
                f"The parameter balance is {self.balance}. Accepted: 0 for all images, or a limit of 1 or more."
            )
        if not 0 <= self.empty_fraction <= 1:
            raise BenchError(
                f"The parameter empty_fraction is {self.empty_fraction}. Accepted: a share from 0 to 1, such as 0.2."
            )
        parse_bands(self.bands)
        parse_scale(self.scale_values)
        for param in SELECTION:
            if param.choices and getattr(self, param.name) not in param.choices:
                given, accepted = getattr(self, param.name), ", ".join(param.choices)
                raise BenchError(f"The parameter {param.name} is '{given}'. Accepted: {accepted}.")

    @property
    def thins(self) -> bool:
        """Tell whether images are left out."""
        return self.balance > 0 or self.empty_fraction < 1

    def __str__(self) -> str:
        """Name the values that differ from the default."""
        named = [p for p in SELECTION if p.name not in OF_PIXELS]
        return ", ".join(f"{p.name} {asdict(self)[p.name]}" for p in named if asdict(self)[p.name] != p.default)


@dataclass(frozen=True)
class Selected:
    """The samples that were taken, all with a split, and what a reader should know of the choice."""

    samples: tuple[Sample, ...]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_params(spec: DatasetSpec, given: Mapping[str, Any]) -> tuple[dict[str, Any], Selection]:
    """Divide the given parameters into those of the adapter and the selection; raise BenchError for a name twice."""
    aliases = {param.name: param.alias_of for param in spec.params if param.alias_of}
    named: dict[str, Any] = {}
    for name, value in given.items():
        if aliases.get(name, name) in named:
            raise BenchError(f"'{name}' and another name of it are given: {', '.join(given)}. Give one of them.")
        named[aliases.get(name, name)] = value
    own = {param.name for param in spec.params}
    common = {param.name for param in SELECTION} - own
    return (
        {name: value for name, value in named.items() if name not in common},
        Selection(**{name: value for name, value in named.items() if name in common}),
    )


def select(
    spec: DatasetSpec, dataset: Dataset, folder: Path | None, selection: Selection, cache_key: str = ""
) -> Selected:
    """Group, divide and thin the samples of a data set.

    Args:
        cache_key: identifies the adapter and its parameters; the counts of objects are cached under it.

    Raises:
        BenchError: the groups or splits can't be made as asked for.
    """
    samples, source = _grouped(spec, tuple(dataset.samples), folder, selection.group_by)
    samples, warnings = _divided(spec, samples, selection.split, source)
    if source:
        warnings = (*groups.singles(samples, source), *warnings)
    notes = _validating(spec, tuple(dataset.samples), samples)
    if not selection.thins:
        return Selected(samples, notes, warnings)
    pool = [s for s in samples if selection.sample_splits == "all" or s.split == "train"]
    counts = count_objects(dataset, pool, spec, cache_key)
    left_out = {sample.name for sample in pool} - _chosen(pool, counts, selection, _hash_name(dataset))
    # Few images may leave no validation split; a new one is cut off then.
    taken = cut_validation([sample for sample in samples if sample.name not in left_out])
    return Selected(taken, (*notes, f"{len(taken)} of {len(samples)} images chosen ({selection})"), warnings)


def _grouped(
    spec: DatasetSpec, samples: tuple[Sample, ...], folder: Path | None, pattern: str
) -> tuple[tuple[Sample, ...], str]:
    """Return the samples with their groups, and what the user gave the groups by; "" for the data set's own groups."""
    if pattern:
        return groups.by_pattern(samples, pattern, spec.name), "group_by"
    if folder is not None and spec.name.startswith(FOLDER) and (folder / groups.TABLE).exists():
        return groups.by_table(samples, folder / groups.TABLE), groups.TABLE
    return samples, ""


def _divided(
    spec: DatasetSpec, samples: tuple[Sample, ...], split: str, source: str
) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """Return the samples with a split each, and warnings of groups that the data set's own splits divide."""
    if split == "random" and not any(sample.split is None for sample in samples):
        raise BenchError(
            f"split=random can't be used with '{spec.name}': its images are divided already. Leave the parameter out."
        )
    divided = divide(samples, by_group=split == "group")
    found = groups.split_groups(divided)
    if not found:
        return divided, ()
    if split == "random":
        count = len({sample.group for sample in divided})
        return divided, (
            f"by split=random, {len(found)} of {count} groups lie in several splits, so that test scores may "
            f"be too good: {first_few(found)}",
        )
    said = groups.describe_split_groups(found)
    if source:
        raise BenchError(
            f"By {source}, {said}. What belongs together must be in one split, but the data set '{spec.name}' divides "
            f"its images itself. Change its lists of images, or leave out {source}."
        )
    return divided, (f"{said}, by the data set's own division; scores on its test split may be too good",)


def _validating(spec: DatasetSpec, before: Sequence[Sample], after: Sequence[Sample]) -> tuple[str, ...]:
    """Say how many images of a data set of the user's own were moved from the training to the validation split."""
    given = {sample.split for sample in before}
    moved = sum(sample.split == "val" for sample in after)
    if not spec.is_own or "train" not in given or given & {"val", None} or not moved:
        return ()
    train = moved + sum(sample.split == "train" for sample in after)
    return (f"{moved} of {train} training images are the validation split: about a tenth of the groups, by a hash",)


def _hash_name(dataset: Dataset) -> Callable[[Sample], str]:
    return getattr(dataset, "hash_name", lambda sample: sample.name)


def _chosen(
    pool: Sequence[Sample], counts: Mapping[str, int], selection: Selection, hash_name: Callable[[Sample], str]
) -> set[str]:
    """Choose the names that `empty_fraction` and `balance` keep; an image without a count can't be read and stays."""
    left = {sample.name: hash_name(sample) for sample in pool if sample.name in counts}
    unknown = {sample.name for sample in pool} - set(left)
    if selection.empty_fraction < 1:
        empty = _first(((name, key) for name, key in left.items() if not counts[name]), "empty")
        for name in empty[round(selection.empty_fraction * len(empty)) :]:
            del left[name]
    if not selection.balance:
        return set(left) | unknown
    taken: Counter[int] = Counter()
    for name in _first(left.items(), "balance"):
        taken[counts[name]] += 1
        if taken[counts[name]] > selection.balance:
            del left[name]
    return set(left) | unknown


def _first(names: Iterable[tuple[str, str]], purpose: str) -> list[str]:
    """Sort names by a hash: a random order that stays the same if other names are added or removed."""
    return [name for name, key in sorted(names, key=lambda pair: (share(purpose, pair[1]), pair[1], pair[0]))]
