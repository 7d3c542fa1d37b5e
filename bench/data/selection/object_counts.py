"""Count each image's objects, or else measure its share of foreground, to choose images by it."""

import json
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bench.core.dataset_protocol import Dataset, Sample
from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX, DatasetSpec
from bench.data.facts.file_facts import look_up
from bench.data.reading.contents import first_file, stamps_for, threads_for
from bench.data.remote.failures import Unreachable

BACKGROUND = "background"
COUNTING = "counting objects"  # the step, for the progress; which images are chosen depends on it
_KIND = "counts-2"  # changed whenever the counts change


def count_objects(dataset: Dataset, samples: Sequence[Sample], spec: DatasetSpec, cache_key: str) -> Mapping[str, int]:
    """Map the names of the samples to their numbers of objects; samples that can't be read are left out.

    A data set's `object_counts` are taken where it has them, and `instances` are counted. Other data sets have the
    share of foreground in tenths instead, rounded up: 0 without any, 1 up to 10 %, 10 above 90 %. Foreground is every
    class but "background", or but class 0 where no class has that name. Reading all labels takes a while; the counts
    are cached as they are made, each until its files change. `sampling` counts only some.
    """
    if table := getattr(dataset, "object_counts", None):
        return dict(table())
    first = first_file(samples)
    stamp = stamps_for(first)
    keys = [json.dumps([s.name, s.token, [[str(path), *stamp(path)] for path in s.files]]) for s in samples]
    place = json.dumps([cache_key, spec.classes])
    facts = look_up(_KIND, place, samples, keys, _counter(dataset, spec), COUNTING, threads_for(first))
    return {sample.name: int(bytes(fact)) for sample, fact in zip(samples, facts, strict=True) if fact}


def _counter(dataset: Dataset, spec: DatasetSpec) -> Callable[[Sample], bytes | None]:
    """Return the function that counts a sample, in digits; None for one that can't be read, which is reported later."""
    number = getattr(dataset, "instances", None)
    background = spec.classes.index(BACKGROUND) if BACKGROUND in spec.classes else 0

    def count(sample: Sample) -> bytes | None:
        try:
            if number:
                found = int(np.count_nonzero(np.bincount(number(sample).ravel())[1:]))
            else:
                found = foreground_tenths(dataset.read(sample)[1], background)
        except Unreachable:
            raise
        except (BenchError, OSError):
            return None
        return str(found).encode()

    return count


def foreground_tenths(labels: np.ndarray, background: int) -> int:
    """Compute the share of foreground among the labelled pixels, in tenths rounded up, from labels uint8 (H, W)."""
    counts = np.bincount(labels.ravel(), minlength=256)[:IGNORE_INDEX]
    foreground = int(counts.sum() - counts[background])
    return math.ceil(10 * foreground / int(counts.sum())) if foreground else 0
