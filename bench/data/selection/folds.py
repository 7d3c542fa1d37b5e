"""Divide images into folds of whole groups: each fold is tested once, by a model that was trained on the others.

Groups are dealt out by size, the largest first and equal ones in the order of a hash of their names, each to the fold
with the fewest images so far. That depends on names alone, so it is the same on every machine and for every seed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.core.errors import BenchError
from bench.core.files import share
from bench.data.loading.images import Images

_ADVICE = (
    "Give another --folds, smaller groups (--group-by), or --dataset-param split=random, which divides single images "
    "where that is no leak."
)
VALIDATION_SHARE = 1 / 8  # of the groups that aren't tested, as where segbench divides the images itself


@dataclass(frozen=True)
class Listing:
    """The images that are divided, with their groups and the data set's own splits."""

    names: Sequence[str]
    groups: Sequence[str]
    splits: Sequence[str]
    fixed_test: bool  # whether the data set itself says which images are the test split


def in_fold(images: Images, folds: int, fold: int, params: Mapping[str, Any]) -> Images:
    """Return the images with the splits of one fold; as they are if there are no folds. See `fold_splits`."""
    if not folds:
        return images
    listing = Listing(images.names, images.groups, images.splits, images.fixed_test)
    splits, note = fold_splits(listing, folds, fold, params)
    return replace(images, splits=splits, notes=(*images.notes, note))


def fold_splits(images: Listing, folds: int, fold: int, params: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """Return the split of each image in one fold, counted from 1, and a note for readers of the results.

    A test split that the data set itself fixes stays: the folds then divide the other images, each validates on one
    part, and all are tested on the same images.

    Args:
        params: the data set's parameters, which say whether groups stay together, and whether training images alone
            are thinned.

    Raises:
        BenchError: there are fewer groups than folds, or the folds would test images that were chosen for training.
    """
    if not images.fixed_test and params.get("sample_splits") == "train":
        raise BenchError(
            f"--folds {folds} tests every image once, and sample_splits=train leaves images out of training alone. "
            "Leave out --folds, or the parameter."
        )
    groups = images.names if params.get("split") == "random" else images.groups
    free = [place for place, split in enumerate(images.splits) if split != "test" or not images.fixed_test]
    parts = _dealt([groups[place] for place in free], folds, 1 if images.fixed_test else 2)
    held = {group for group, part in parts.items() if part == fold}
    others = sorted(parts.keys() - held, key=lambda group: (share("validation", group), group))
    validating = held if images.fixed_test else {*others[: max(1, round(len(others) * VALIDATION_SHARE))]}
    splits = list(images.splits)
    for place in free:
        group = groups[place]
        splits[place] = "val" if group in validating else "test" if group in held else "train"
    return tuple(splits), _note(images.fixed_test, folds, Counter(parts.values()))


def _dealt(groups: Sequence[str], folds: int, needed: int) -> dict[str, int]:
    """Return the fold of each group, from 1.

    Args:
        needed: the groups that must be left beside any fold.
    """
    sizes = Counter(groups)
    if len(sizes) < folds:
        raise BenchError(f"--folds {folds} divides {len(sizes)} groups of images, and a group stays whole. {_ADVICE}")
    filled = [(0, fold) for fold in range(1, folds + 1)]
    found = {}
    for group in sorted(sizes, key=lambda group: (-sizes[group], share("fold", group), group)):
        images, fold = min(filled)
        filled[fold - 1] = images + sizes[group], fold
        found[group] = fold
    left = len(sizes) - max(Counter(found.values()).values())
    if left < needed:
        raise BenchError(
            f"--folds {folds} leaves {left} of {len(sizes)} groups beside one fold, and training and validation need "
            f"{needed}. {_ADVICE}"
        )
    return found


def _note(fixed_test: bool, folds: int, groups: Mapping[int, int]) -> str:
    fewest, most = min(groups.values()), max(groups.values())
    count = str(most) if fewest == most else f"{fewest} to {most}"
    if fixed_test:
        return (
            f"the data set fixes the test split: {folds} folds of {count} groups divide the other images, and all are "
            "tested on the same images"
        )
    return f"{folds} folds of {count} groups: each image is tested once"
