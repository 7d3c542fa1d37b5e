"""Take the splits of a layout from names of folders and lists; let validation images stand for a test split."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.core.errors import BenchError
from bench.data.reading.contents import here
from bench.datasets.layout import Item
from bench.datasets.pairing import NUMPY, SUFFIXES

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
    count = sum(item.split == "val" for item in items)
    return changed, (f"there are no labelled test images: the {count} validation images are the test split",)


def split_in(text: str) -> str:
    """Return the one split that the words of a name mean, as "train" for "instances_train2017"; else an empty text."""
    found = {split_of(word) for word in re.findall(r"[a-z]+", text.lower())} - {""}
    return found.pop() if len(found) == 1 else ""


def divide(folder: Path, items: Sequence[Item]) -> tuple[list[Item], tuple[str, ...]]:
    """Take the splits of lists if there are any, else those of the items; return items and notes.

    Raises:
        BenchError: some items have a split and some have none, so that nothing says where those belong.
    """
    if listed := lists_of(folder, [item.name for item in items]):
        chosen = [replace(item, split=listed[item.name]) for item in items if item.name in listed]
        left = len(items) - len(chosen)
        return chosen, (f"{left} of {len(items)} images are in no list and left out",) if left else ()
    without = [item.name for item in items if not item.split]
    if without and len(without) < len(items):
        named = next(item for item in items if item.split)
        raise BenchError(
            f"'{folder}': '{named.name}' is of the split {named.split}, by its folder or file, but {len(without)} "
            f"images, such as '{without[0]}', are of none. Move them to folders called train, val or test, or name the "
            "images of each split in the lists train.txt and test.txt."
        )
    return list(items), ()


def lists_of(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Map each name to its split by lists such as train.txt and valid.txt; empty without lists.

    Raises:
        BenchError: a list is missing, names what isn't there, or names what another list has.
    """
    lists = _lists(folder)
    if not lists:
        return {}
    if "train" not in lists or len(lists) == 1:
        shown = ", ".join(file.name for file in lists.values())
        missing = "train.txt" if "train" not in lists else "test.txt and no val.txt"
        raise BenchError(f"'{folder}' has {shown} but no {missing}. Write one name a line, or rename {shown} if it is "
                         "no list of images.")  # fmt: skip
    splits: dict[str, str] = {}
    known = Names(names)
    for split, file in lists.items():
        for number, name in read_list(file, known):
            if name not in known:
                raise BenchError(f"{file}, row {number}: '{name}' has neither an image nor a mask.")
            if splits.setdefault(name, split) != split:
                raise BenchError(f"{file}, row {number}: '{name}' is also in {lists[splits[name]].name}.")
    if not splits:
        raise BenchError(
            f"'{folder}': {', '.join(file.name for file in lists.values())} have no name. Write one a line."
        )
    return splits


def _lists(folder: Path) -> dict[str, Path]:
    """Map the splits, in their order, to the files that list them."""
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        split = split_of(file.stem) if file.suffix.lower() == ".txt" else ""
        if split and found.setdefault(split, file) != file:
            raise BenchError(f"'{folder}' has both {found[split].name} and {file.name}. Keep one of them.")
    return {split: found[split] for split in SPLITS if split in found}


def read_lines(file: Path) -> list[str]:
    """Read the lines of a text in UTF-8; raise BenchError if the file can't be read."""
    try:
        return here(file).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise BenchError(f"{file}: can't be read ({error}). Save it as UTF-8.") from error
    except OSError as error:
        raise BenchError(f"{file}: can't be read ({error}).") from error


class Names:
    """The names of a data set's images, which lists may write in other forms."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(names)
        self._plain = {unicodedata.normalize("NFC", name): name for name in self._names}

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def find(self, line: str) -> str:
        """Return the name that a line of a list means; the line itself if it means none.

        A line may have an image's suffix, and folders before the name, as `images/a.jpg`; what follows the path of an
        image, as that of its mask, doesn't count.
        """
        path = _PATH.match(line)
        for text in (line, path[0]) if path else (line,):
            for plain in (unicodedata.normalize("NFC", text), unicodedata.normalize("NFC", text.replace("\\", "/"))):
                parts = plain.split("/")
                for tail in ("/".join(parts[start:]) for start in range(len(parts))):
                    if found := self._plain.get(tail) or self._plain.get(_without_suffix(tail)):
                        return found
        return line


def _without_suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if dot + suffix.lower() in SUFFIXES | NUMPY else name


_PATH = re.compile(rf"\S+?(?:{'|'.join(map(re.escape, sorted(SUFFIXES | NUMPY)))})(?=[\s,;])", re.IGNORECASE)


def read_list(file: Path, names: Names) -> list[tuple[int, str]]:
    """Return the row and the name of each line that isn't empty; raise BenchError if two lines mean one image."""
    rows = [(number, line.strip().strip('"')) for number, line in enumerate(read_lines(file), 1)]  # of CVAT's lists
    found: dict[str, str] = {}
    for number, line in rows:
        name = names.find(line)
        if line and found.setdefault(name, line) != line:
            raise BenchError(f"{file}, row {number}: '{line}' and '{found[name]}' both mean the image '{name}'.")
    return [(number, names.find(line)) for number, line in rows if line]
