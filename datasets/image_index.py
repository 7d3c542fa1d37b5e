"""Find the image that an annotation file names, and the annotation files of a folder.

Annotation files name images as they were where they were drawn: `../images/a.jpg`, `C:\\work\\a.jpg`, an address. The
image is the file in the data folder whose path ends like that name, so no name leads out of the folder.
"""

import itertools
import json
import math
import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from bench.core.errors import BenchError
from bench.data.reading.contents import here
from bench.datasets.pairing import SUFFIXES, is_junk, walk
from bench.datasets.split_names import split_in, split_of

_HEAD = 4096  # bytes that tell what a JSON file is
MOST_FILES = 20  # that are looked at to recognise a layout
_PLACES = {
    *("annotations", "annotation", "ann", "labels", "label", "json", "jsons", "xml", "csv", "labelme", "coco"),
    *("images", "image", "imgs", "img", "data"),
}  # sub-folders of one data set, besides those of splits


class ImageIndex:
    """The image files of a folder by the ends of their paths."""

    def __init__(self, folder: Path, without: frozenset[Path] = frozenset()) -> None:
        """List the images, but those in the folders `without`, which hold labels."""
        self.folder = folder
        images = (path for path in walk(folder) if path.suffix.lower() in SUFFIXES)
        self.files = [path for path in images if without.isdisjoint(path.parents)]
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for path in self.files:
            for name in (path.name, path.stem):
                self._by_name[_plain(name)].append(path)

    def find(self, name: str, near: Sequence[Path] = ()) -> Path | None:
        """Return the image that a name means, with or without its suffix; None if there is none.

        Args:
            near: folders, the most likely first, that decide where several files match equally well.

        Raises:
            BenchError: several files match, and neither `near` nor the folder images/ decides.
        """
        wanted = _plain(name.replace("\\", "/")).split("/")
        found = self._by_name.get(wanted[-1], [])
        if len(found) > 1:
            found = _longest(found, wanted)
        if len(found) > 1:  # a.jpg beside A.jpg, or with and without a suffix
            found = [path for path in found if path.name == base_name(name)] or found
        for place in (*near, self.folder / "images") if len(found) > 1 else ():
            found = [path for path in found if path.is_relative_to(place)] or found
        if len(found) > 1:
            shown = " and ".join(path.relative_to(self.folder).as_posix() for path in found[:2])
            raise BenchError(f"'{self.folder}': the annotations name the image '{name}', which may be {shown}.")
        return found[0] if found else None


def _longest(files: Sequence[Path], wanted: Sequence[str]) -> list[Path]:
    """Return the files with the most parts of their path, from the end, in common with the name."""

    def common(path: Path) -> int:
        own = [_plain(part) for part in reversed(path.parts)]
        pairs = zip(own, reversed(wanted), strict=False)
        return next((count for count, (one, other) in enumerate(pairs) if one != other), min(len(own), len(wanted)))

    counts = [common(path) for path in files]
    return [path for path, count in zip(files, counts, strict=True) if count == max(counts)]


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def files_near(folder: Path, suffix: str, depth: int = 2, *, anywhere: bool = False) -> Iterator[Path]:
    """Yield the files of a suffix in a folder and `depth` folders below it, those of each folder first, sorted.

    Args:
        anywhere: look into all sub-folders. By default only into those that a data set has, such as annotations/ and
            train/, since any other may be a data set of its own.
    """
    if not folder.is_dir():
        return
    with os.scandir(folder) as found:  # which knows what is a folder without asking for each of many images
        there = sorted((entry.name, entry.is_dir()) for entry in found if not is_junk(entry.name))
    yield from (folder / name for name, is_folder in there if not is_folder and name.lower().endswith(suffix))
    for name, is_folder in there if depth else ():
        if is_folder and (anywhere or _is_part(name)):
            yield from files_near(folder / name, suffix, depth - 1, anywhere=True)


def _is_part(name: str) -> bool:
    return name.lower() in _PLACES or bool(split_of(name) or split_in(name))


def chosen_files(folder: Path, suffix: str, wanted: Callable[[Path, str], bool]) -> list[Path]:
    """Return the files of a layout by their beginnings: those in the usual places, else, if it was named, in any."""
    near = [path for path, head in heads(folder, suffix) if wanted(path, head)]
    return near or [path for path, head in heads(folder, suffix, anywhere=True) if wanted(path, head)]


def heads(folder: Path, suffix: str, most: int | None = None, *, anywhere: bool = False) -> Iterator[tuple[Path, str]]:
    """Yield the annotation files of a folder, at most so many, each with the beginning of its text."""
    for path in itertools.islice(files_near(folder, suffix, anywhere=anywhere), most):
        try:
            with here(path).open("rb") as file:
                yield path, file.read(_HEAD).decode("utf-8-sig", "replace").lstrip()
        except OSError:
            continue


def read_json(path: Path) -> Any:
    """Read a JSON file; raise BenchError in one line if it is none."""
    try:
        return json.loads(here(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise BenchError(f"{path}: can't be read as JSON ({error}).") from error


def base_name(name: str) -> str:
    """Return the last part of a path that was written on any system."""
    return PurePosixPath(name.replace("\\", "/")).name


def points_of(given: Any, place: str) -> list[tuple[float, float]]:
    """Read a list of [x, y]; raise BenchError, which begins with `place`, if it is none."""
    try:
        points = [(float(x), float(y)) for x, y in given]
    except (TypeError, ValueError, OverflowError):
        points = []
    if not points or not all(math.isfinite(value) for point in points for value in point):
        raise BenchError(f"{place}: its points are {str(given)[:80]}, not a list of [x, y].")
    return points
