"""Match the images and masks of layouts that have each kind in a folder of its own, under known names."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from bench.datasets.layout import Item
from bench.datasets.pairing import image_files, is_junk

FEWEST_GROUPS = 3  # one for each split


@dataclass(frozen=True)
class Files:
    """The image files of a folder, by their names without the ending that the layout gives them."""

    folder: Path
    found: Mapping[str, Path]
    ending: str = ""  # such as "_mask", before the suffix

    @classmethod
    def of(cls, folder: Path, ending: str = "") -> Self:
        """Find the image files of a folder and its sub-folders whose names have the ending."""
        files = image_files(folder) if folder.is_dir() else {}
        return cls(folder, {n.removesuffix(ending): path for n, path in files.items() if n.endswith(ending)}, ending)

    def path(self, name: str) -> Path:
        """Return the file of a name; where there is none, a pattern that says where it should be."""
        return self.found.get(name) or self.folder / f"{name}{self.ending}.*"


def match(images: Files, masks: Files, *, names: Iterable[str] | None = None, prefix: str = "", split: str = "",
          group: Callable[[str], str] = lambda name: "") -> list[Item]:  # fmt: skip
    """Return an item for each name, or for each image and each mask; reading one reports the file that is missing.

    Args:
        prefix: comes before the names of the items.
        group: gives the group of a name.
    """
    chosen = {*images.found, *masks.found} if names is None else names
    return [Item(prefix + n, images.path(n), masks.path(n), split, group(n)) for n in sorted(chosen)]


def folders(folder: Path) -> dict[str, Path]:
    """Map the names of a folder's sub-folders to their paths, in the order of the names; empty if it isn't there."""
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.name: path for path in there if path.is_dir() and not is_junk(path.name)}


def enough_groups(items: list[Item], what: str) -> tuple[list[Item], tuple[str, ...]]:
    """Drop the groups where those to be divided are too few for each split to get one; return the items and a note.

    Args:
        what: the groups' name in the note, in the plural.
    """
    groups = {item.group for item in items if item.split in ("", "train")}
    if len(groups) >= FEWEST_GROUPS:
        return items, ()
    note = f"{len(groups)} {what} are too few to be divided: images of one may be in two splits"
    return [replace(item, group="") for item in items], (note,)
