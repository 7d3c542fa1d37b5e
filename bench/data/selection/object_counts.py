"""Count each image's objects, or else measure its share of foreground, to choose images by it."""

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from bench.core.dataset_protocol import Dataset, Sample
from bench.core.errors import BenchError
from bench.core.files import cached, file_stamp
from bench.core.specs import IGNORE_INDEX, DatasetSpec

BACKGROUND = "background"
_VERSION = "counts-1"  # changed whenever the counts change


def count_objects(dataset: Dataset, samples: Sequence[Sample], spec: DatasetSpec, cache_key: str) -> Mapping[str, int]:
    """Map the names of the samples to their numbers of objects; samples that can't be read are left out.

    A data set's `object_counts` are taken where it has them, and `instances` are counted. Other data sets have the
    share of foreground in tenths instead, rounded up: 0 without any, 1 up to 10 %, 10 above 90 %. Foreground is every
    class but "background", or but class 0 where no class has that name. Reading all labels takes a while; the result is
    cached until a file changes.
    """
    if table := getattr(dataset, "object_counts", None):
        return dict(table())
    stamps = [[s.name, s.token, [[str(path), *file_stamp(path)] for path in s.files]] for s in samples]

    def count() -> dict[str, int]:
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow releases the GIL
            found = list(pool.map(_counter(dataset, spec), samples))
        return {sample.name: count for sample, count in zip(samples, found, strict=True) if count is not None}

    return cached("counts", json.dumps([_VERSION, cache_key, spec.classes, stamps]), count)


def _counter(dataset: Dataset, spec: DatasetSpec) -> Callable[[Sample], int | None]:
    """Return the function that counts one sample; None for one that can't be read, which is reported later."""
    number = getattr(dataset, "instances", None)
    background = spec.classes.index(BACKGROUND) if BACKGROUND in spec.classes else 0

    def count(sample: Sample) -> int | None:
        try:
            if number:
                return int(np.count_nonzero(np.bincount(number(sample).ravel())[1:]))
            return foreground_tenths(dataset.read(sample)[1], background)
        except (BenchError, OSError):
            return None

    return count


def foreground_tenths(labels: np.ndarray, background: int) -> int:
    """Compute the share of foreground among the labelled pixels, in tenths rounded up, from labels uint8 (H, W)."""
    counts = np.bincount(labels.ravel(), minlength=256)[:IGNORE_INDEX]
    foreground = int(counts.sum() - counts[background])
    return math.ceil(10 * foreground / int(counts.sum())) if foreground else 0
