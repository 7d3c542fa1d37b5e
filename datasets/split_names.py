"""Take the splits of a layout from names of folders and lists; let validation images stand for a test split."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.core.errors import BenchError
from bench.datasets.layout import Item

SPLITS = ("train", "val", "test")
_NAMES = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "tst"),
}
_SPLIT_OF = {name: split for split, names in _NAMES.items() for name in names}


def split_of(name: str) -> str:
    """Return the split that a folder's name means, such as "val" for "Validation"; an empty text for none."""
    return _SPLIT_OF.get(name.lower(), "")


def complete_splits(items: Sequence[Item]) -> tuple[list[Item], tuple[str, ...]]:
    """Use the validation images as the test split if there is no test split; return the items and a note.

    Public data sets keep their test labels secret, and published figures are of the validation split. A part of the
    training images then becomes the validation split, when the data set is opened. Images that are all of one split are
    divided by a hash of their names.
    """
    splits = {item.split for item in items}
    if len(splits) == 1 and splits != {""}:
        alone = splits.pop()
        return [replace(item, split="") for item in items], (
            f"all images are of the split {alone}: they are divided by a hash of their names",
        )
    if "test" in splits or "val" not in splits:
        return list(items), ()
    changed = [replace(item, split="test") if item.split == "val" else item for item in items]
    return changed, ("there are no labelled test images: the validation images are the test split",)


def split_in(text: str) -> str:
    """Return the one split that the words of a name mean, as "train" for "instances_train2017"; else an empty text."""
    found = {split_of(word) for word in re.findall(r"[a-z]+", text.lower())} - {""}
    return found.pop() if len(found) == 1 else ""


def divide(folder: Path, items: Sequence[Item]) -> tuple[list[Item], tuple[str, ...]]:
    """Take the splits of lists if there are any, else those of the items if all have one; return items and notes."""
    if listed := lists_of(folder, [item.name for item in items]):
        chosen = [replace(item, split=listed[item.name]) for item in items if item.name in listed]
        left = len(items) - len(chosen)
        return chosen, (f"{left} of {len(items)} images are in no list and left out",) if left else ()
    if all(item.split for item in items):
        return list(items), ()
    return [replace(item, split="") for item in items], ()


def lists_of(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Map each name to its split by the lists train.txt, val.txt and test.txt; empty without lists.

    Raises:
        BenchError: a list is missing, names what isn't there, or names what another list has.
    """
    lists = {split: folder / f"{split}.txt" for split in SPLITS if (folder / f"{split}.txt").exists()}
    if not lists:
        return {}
    if missing := [f"{split}.txt" for split in ("train", "test") if split not in lists]:
        raise BenchError(f"'{folder}' has {', '.join(f'{s}.txt' for s in lists)} but no {' and no '.join(missing)}.")
    splits: dict[str, str] = {}
    known = set(names)
    for split, file in lists.items():
        for number, name in read_list(file, known):
            if name not in known:
                raise BenchError(f"{file}, row {number}: '{name}' has neither an image nor a mask.")
            if splits.setdefault(name, split) != split:
                raise BenchError(f"{file}, row {number}: '{name}' is also in {splits[name]}.txt.")
    return splits


def read_lines(file: Path) -> list[str]:
    """Read the lines of a text in UTF-8; raise BenchError if the file can't be read."""
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"{file}: can't be read ({error}).") from error


def read_list(file: Path, names: set[str]) -> list[tuple[int, str]]:
    """Return the row and the name of each line that isn't empty; a name among `names` may have its suffix."""
    found = [(number, line.strip()) for number, line in enumerate(read_lines(file), 1) if line.strip()]
    return [
        (number, name if names is None or name in names else str(Path(name).with_suffix(""))) for number, name in found
    ]
