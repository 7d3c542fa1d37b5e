"""Split images into training and validation by hashes of their names, the same on every machine."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from bench.core.dataset_protocol import Sample
from bench.core.errors import BenchError
from bench.core.files import share

VALIDATION_SHARE = 0.1  # of the training groups, cut off where a data set has official training images only
TRAIN_SHARE, HASHED_VALIDATION_SHARE = 0.7, 0.1  # of all groups where nothing is official; the rest is test
MANY_GROUPS = 100  # from this many groups on, independent hashes come close enough to these shares


def divide(samples: Sequence[Sample], by_group: bool = True) -> tuple[Sample, ...]:
    """Give a split to the samples without one, and cut off a validation split if there is none.

    Args:
        by_group: keep each group in one split; else each image is divided by its own name.
    """

    def key(sample: Sample) -> str:
        return sample.group if by_group else sample.name

    splits = hashed_splits(key(sample) for sample in samples if sample.split is None)
    divided = [
        Sample(s.name, splits[key(s)], s.group, s.files, s.token) if s.split is None else s for s in samples
    ]  # `replace` takes five times as long
    return cut_validation(divided)


def hashed_splits(groups: Iterable[str]) -> dict[str, str]:
    """Map each group to a split by a hash of its name: 70 % train, 10 % val, 20 % test.

    With `MANY_GROUPS` or more, each group's split depends on its own hash alone, so that absent or added groups don't
    move others. Fewer groups are sorted by hash and cut at the shares, since chance could leave a split too small.
    With three groups or more, every split gets at least one.
    """
    found = sorted((share("split", group), group) for group in set(groups))
    few, order = len(found) < MANY_GROUPS, [group for _, group in found]
    shares = [place / len(found) if few else own for place, (own, _) in enumerate(found)]
    train = sum(value < TRAIN_SHARE for value in shares)
    both = sum(value < TRAIN_SHARE + HASHED_VALIDATION_SHARE for value in shares)
    train = max(1, min(train, len(order) - 2))
    both = max(train + 1, min(both, len(order) - 1))
    return {group: "train" if place < train else "val" if place < both else "test" for place, group in enumerate(order)}


def cut_validation(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Move a tenth of the training groups to "val" if a data set has no "val" of its own.

    Whether a group moves depends only on its name, so absent or added files don't move others. If no group would move
    in a small data set, the one with the smallest hash does.
    """
    groups = {sample.group for sample in samples if sample.split == "train"}
    if len(groups) < 2 or any(sample.split == "val" for sample in samples):
        return tuple(samples)
    shares = {group: share("validation", group) for group in groups}
    first = min(groups, key=lambda group: (shares[group], group))
    moved = {group for group in groups if shares[group] < VALIDATION_SHARE or group == first}
    return tuple(replace(s, split="val") if s.split == "train" and s.group in moved else s for s in samples)


def sample(names: Sequence[str], groups: Sequence[str], limit: int | None) -> np.ndarray:
    """Return the positions of at most `limit` images, int64, ascending; of all images for None.

    Each group has its share of them, rounded up or down: the images are ordered by hashes of group and name, and
    evenly spaced ones are taken. That depends on names alone, so it is the same for every size, seed and machine.
    """
    if limit is None or len(names) <= limit:
        return np.arange(len(names), dtype=np.int64)
    keys = [
        (share("sample", group), group, share("sample", name), name) for group, name in zip(groups, names, strict=True)
    ]
    order = np.array(sorted(range(len(names)), key=keys.__getitem__), dtype=np.int64)
    return np.sort(order[(np.arange(limit) * len(names) + len(names) // 2) // limit])


def check_enough(images: int, limit: int | None) -> None:
    """Raise BenchError if there are fewer training images than are asked for."""
    if limit is not None and limit > images:
        raise BenchError(
            f"--train-images is {limit:,}, and the data set has {images:,} training images. Accepted: 1 to {images:,}, "
            "or all."
        )


def train_subset(names: Sequence[str], fraction: float, limit: int | None = None) -> np.ndarray:
    """Return the positions of some of the training images, int64, ascending; at least one.

    A larger part contains every smaller one, whether it is given as a share or as a number.

    Args:
        fraction: the share of them.
        limit: their number, in place of the share.

    Raises:
        BenchError: the fraction is outside (0, 1], or there are fewer images than `limit`.
    """
    check_enough(len(names), limit)
    if not 0 < fraction <= 1:
        raise BenchError(f"The training fraction is {fraction}. Accepted: above 0 and at most 1.")
    count = limit or max(1, round(len(names) * fraction))
    order = sorted(range(len(names)), key=lambda i: (share("subset", names[i]), names[i]))
    return np.sort(np.array(order[:count], dtype=np.int64))
