"""Judge a data set by its labels: errors that would stop training, and warnings of what is rarely meant.

`bench prepare --check` and packs use the same rules, so a run says what the check says.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.core.dataset_protocol import Sample
from bench.core.errors import first_few
from bench.core.specs import IGNORE_INDEX
from bench.data.source import SPLIT_WORDS, SPLITS

MOST_IGNORED = 0.5  # of all pixels; more is rarely meant
IGNORED, ABSENT, ONE_CLASS = "ignored", "absent", "one class"  # the names of warnings that a data set can settle
_MOST_NAMES = 5
_TRAIN = SPLITS.index("train")


def _zeros() -> np.ndarray:
    return np.zeros((len(SPLITS), 256), np.int64)


@dataclass
class LabelCounts:
    """The pixels and images with each label in each split, int64 (3, 256), the splits in the order of SPLITS."""

    pixels: np.ndarray = field(default_factory=_zeros)
    images: np.ndarray = field(default_factory=_zeros)

    def add(self, split: str, counts: np.ndarray) -> None:
        """Add an image by its number of pixels with each label, int64 (256,)."""
        self.pixels[SPLITS.index(split)] += counts
        self.images[SPLITS.index(split)] += counts > 0


@dataclass(frozen=True)
class Doubts:
    """The errors and warnings of a data set, one line each."""

    errors: tuple[str, ...] = ()  # training can't begin
    warnings: tuple[str, ...] = ()


def label_doubts(classes: Sequence[str], counts: LabelCounts, settled: Collection[str] = ()) -> Doubts:
    """Judge the counts of a whole data set.

    Args:
        settled: the names of warnings that the user has settled, such as "ignored".
    """
    labelled = counts.pixels[:, : len(classes)].sum(axis=1)
    unlabelled = [split for split, pixels, all_of_it in zip(SPLITS, labelled, counts.pixels.sum(axis=1), strict=True)
                  if all_of_it and not pixels]  # fmt: skip
    errors = [
        f"the {SPLIT_WORDS[split]} split has no labelled pixel: all {counts.images[SPLITS.index(split), IGNORE_INDEX]} "
        f"of its images have the ignored label {IGNORE_INDEX} throughout. Label some of them, or move labelled images "
        "there."
        for split in unlabelled
    ]
    found = {
        IGNORED: _ignored(counts),
        ONE_CLASS: _one_class(classes, counts),
        ABSENT: _absent(classes, counts),
    }
    return Doubts(tuple(errors), tuple(text for name, text in found.items() if text and name not in settled))


def thin_splits(samples: Iterable[Sample]) -> tuple[str, ...]:
    """Doubt a validation or test split of one image or one group."""
    groups: dict[str, list[str]] = {}
    for sample in samples:
        groups.setdefault(str(sample.split), []).append(sample.group)
    thin = {split: "image" if len(found) == 1 else "group" for split, found in groups.items() if len(set(found)) == 1}
    return tuple(
        f"the {SPLIT_WORDS[split]} split has one {thin[split]}: {_RESTS[split]}" for split in _RESTS if split in thin
    )


_RESTS = {
    "val": "what is chosen by its scores, such as the best epoch, rests on that alone. Add others.",
    "test": "its scores have no interval, and rest on that alone. Add others.",
}


def _ignored(counts: LabelCounts) -> str:
    pixels = int(counts.pixels.sum())
    share = int(counts.pixels[:, IGNORE_INDEX].sum()) / pixels if pixels else 0.0
    if share <= MOST_IGNORED:
        return ""
    return (
        f"{share:.0%} of all pixels have the label {IGNORE_INDEX}, which is neither trained on nor scored. If it is a "
        'class, name it in classes.json; if it is meant to be ignored, say so there: "ignore": [255].'
    )


def _one_class(classes: Sequence[str], counts: LabelCounts) -> str:
    seen = np.flatnonzero(counts.pixels[_TRAIN, : len(classes)])
    if len(seen) != 1 or len(classes) == 1:
        return ""
    return (
        f"every labelled pixel of the training split is '{classes[seen[0]]}', so nothing can be learnt. Check that the "
        "masks were exported with all classes, and which values classes.json gives them."
    )


def _absent(classes: Sequence[str], counts: LabelCounts) -> str:
    """Name the classes that no image has, or else those that no training image has; "" if training has one class."""
    if np.count_nonzero(counts.pixels[_TRAIN, : len(classes)]) < 2:
        return ""
    for images, where in ((counts.images.sum(axis=0), "no image"), (counts.images[_TRAIN], "no training image")):
        if absent := [name for name, count in zip(classes, images, strict=False) if not count]:
            names = first_few((f"'{name}'" for name in absent), _MOST_NAMES)
            what = "the class" if len(absent) == 1 else "the classes"
            return f"{where} has {what} {names}. Add such images, or name only the others in a classes.json."
    return ""
