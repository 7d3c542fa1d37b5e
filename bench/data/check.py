"""Check every sample of a data set: find faults that would stop training, and count the classes and sizes."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from bench.core.dataset_protocol import Sample
from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX
from bench.data.duplicates import Look, duplicate_warnings, look_at_picture
from bench.data.label_doubts import Doubts, LabelCounts, label_doubts, thin_splits
from bench.data.packing.runs import Runs
from bench.data.reading.contents import threads_for
from bench.data.reading.decode import checked_counts, decode
from bench.data.remote.failures import Unreachable
from bench.data.remote.patience import threads
from bench.data.source import Source

Item = TypeVar("Item")


@dataclass
class Health:
    """The findings in the samples that were read."""

    read: int = 0
    splits: Counter[str] = field(default_factory=Counter)  # images that can be read, by split
    problems: list[tuple[str, str]] = field(default_factory=list)  # kind, message
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)  # height, width of the images
    labels: LabelCounts = field(default_factory=LabelCounts)
    looks: list[tuple[Sample, Look]] = field(default_factory=list)  # of the images that can be read

    @property
    def pixels(self) -> np.ndarray:
        """The number of pixels with each label, int64 (256,)."""
        return self.labels.pixels.sum(axis=0)

    @property
    def images(self) -> np.ndarray:
        """The number of images with each label, int64 (256,)."""
        return self.labels.images.sum(axis=0)

    @property
    def kinds(self) -> Counter[str]:
        """The number of problems of each kind."""
        return Counter(kind for kind, _ in self.problems)

    def share(self, label: int) -> float:
        """Return a label's share of the counted pixels."""
        counted = int(self.pixels[:IGNORE_INDEX].sum())
        return int(self.pixels[label]) / counted if counted else 0.0


def examine(
    source: Source, samples: Sequence[Sample], progress: Callable[[int, int], None] = lambda done, total: None
) -> Health:
    """Read the samples as training would, in parallel. Nothing is written, and faults are collected, not raised."""
    health = Health()
    with threads(threads_for(source.data_dir)) as pool:  # Pillow releases the GIL
        looks = pool.map(lambda sample: _look(source, sample), samples)
        for done, (sample, found) in enumerate(zip(samples, looks, strict=True), 1):
            if isinstance(found, tuple):
                size, counts, look = found
                health.read += 1
                health.splits[str(sample.split)] += 1
                health.sizes[size] += 1
                health.labels.add(str(sample.split), counts)
                health.looks.append((sample, look))
            else:
                health.problems.append((getattr(found, "kind", "unreadable"), str(found)))
            progress(done, len(samples))
    return health


def find_doubts(source: Source, health: Health) -> Doubts:
    """Judge a data set all of whose samples were examined; the warnings are those of the data set too."""
    found = label_doubts(source.spec.classes, health.labels, source.settled)
    samples, looks = [sample for sample, _ in health.looks], [look for _, look in health.looks]
    thin = thin_splits(samples) if source.spec.is_own else ()
    return Doubts(found.errors, (*source.warnings, *found.warnings, *thin, *duplicate_warnings(samples, looks)))


def _look(source: Source, sample: Sample) -> tuple[tuple[int, int], np.ndarray, Look] | Exception:
    """Return the image size, the pixel count of each label, int64 (256,), and the image's hashes, or the fault."""
    try:
        decoded = decode(source, sample, None)
        counts = checked_counts(source, sample, Runs.of(decoded.labels))
    except Unreachable:
        raise
    except (BenchError, OSError) as error:
        return error
    return decoded.picture.size, counts, look_at_picture(decoded.picture)


def evenly(items: Sequence[Item], count: int) -> list[Item]:
    """Choose at most `count` items, evenly spaced."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in places]
