"""Split images into training and validation by hashes of their names, the same on every machine."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.core.dataset_protocol import Sample
from bench.core.errors import BenchError
from bench.core.files import share

VALIDATION_SHARE = 0.1  # of the training groups


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


def train_subset(names: Sequence[str], fraction: float) -> np.ndarray:
    """Return the positions of a fraction of the training images, int64, ascending; at least one.

    A larger fraction contains every smaller one.

    Raises:
        BenchError: the fraction is outside (0, 1].
    """
    if not 0 < fraction <= 1:
        raise BenchError(f"The training fraction is {fraction}. Accepted: above 0 and at most 1.")
    count = max(1, round(len(names) * fraction))
    order = sorted(range(len(names)), key=lambda i: (share("subset", names[i]), names[i]))
    return np.sort(np.array(order[:count], dtype=np.int64))
