"""Read folders arranged as Pascal VOC's: JPEGImages/, SegmentationClass/ and lists in ImageSets/Segmentation/."""

from dataclasses import replace
from pathlib import Path

from bench.core.errors import BenchError
from bench.datasets.layout import Item
from bench.datasets.matching import Files, match
from bench.datasets.pairing import walk
from bench.datasets.split_names import Names, read_list, split_of

LISTS = "ImageSets/Segmentation"
_BOTH = "trainval"  # the list of the names of train.txt and val.txt together


def voc_items(folder: Path, images: Files, masks: Files) -> tuple[list[Item], tuple[str, ...]]:
    """Return the items that the lists name, or without lists those that have a mask; and notes on the others.

    Images of the test list without a mask are left out, since public test labels are secret. Any other name of a list
    needs its image and its mask.
    """
    splits = _lists(folder / LISTS, Names([*images.found, *masks.found])) or dict.fromkeys(masks.found, "")
    secret = {name for name, split in splits.items() if split == "test" and name not in masks.found}
    items = match(images, masks, names=splits.keys() - secret)
    unlabelled = len(images.found.keys() - masks.found.keys() - (splits.keys() - secret))
    unlisted = len(masks.found.keys() - splits.keys())
    notes = (
        f"{unlabelled} of {len(images.found)} images have no mask and are left out" if unlabelled else "",
        f"{unlisted} of {len(masks.found)} masks are in no list and left out" if unlisted else "",
    )
    return [replace(item, split=splits[item.name]) for item in items], tuple(filter(None, notes))


def _lists(folder: Path, known: Names) -> dict[str, str]:
    """Map each listed name to its split; lists without the name of a split count only if no list has one."""
    found = {path: "train" if path.stem == _BOTH else split_of(path.stem) for path in walk(folder)}
    named = {path: split for path, split in found.items() if split} or found
    splits: dict[str, str] = {}
    for file in sorted(named, key=lambda path: (path.stem == _BOTH, path)):
        for number, name in read_list(file, known):
            if splits.setdefault(name, named[file]) != named[file] and file.stem != _BOTH:
                raise BenchError(f"{file}, row {number}: '{name}' is also in the list of the split {splits[name]}.")
    return splits
