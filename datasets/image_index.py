"""Find the image that an annotation file names, and the annotation files of a folder.

Annotation files name images as they were where they were drawn: `../images/a.jpg`, `C:\\work\\a.jpg`, an address. The
image is the file in the data folder whose path ends like that name, so no name leads out of the folder.
"""

import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from bench.core.errors import BenchError
from bench.datasets.pairing import SUFFIXES, is_junk, walk

_HEAD = 4096  # bytes that tell what a JSON file is
_MOST_FILES = 20  # that are looked at to recognise a layout


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


def files_near(folder: Path, suffix: str, depth: int = 2) -> Iterator[Path]:
    """Yield the files of a suffix in a folder and `depth` folders below it, those of each folder first, sorted."""
    if not folder.is_dir():
        return
    there = sorted(path for path in folder.iterdir() if not is_junk(path.name))
    yield from (path for path in there if path.suffix.lower() == suffix and path.is_file())
    if depth:
        for path in there:
            if path.is_dir():
                yield from files_near(path, suffix, depth - 1)


def heads(folder: Path, suffix: str) -> Iterator[tuple[Path, str]]:
    """Yield the first few annotation files of a folder, each with the beginning of its text."""
    for _, path in zip(range(_MOST_FILES), files_near(folder, suffix), strict=False):
        try:
            with path.open("rb") as file:
                yield path, file.read(_HEAD).decode("utf-8-sig", "replace").lstrip()
        except OSError:
            continue


def read_json(path: Path) -> Any:
    """Read a JSON file; raise BenchError in one line if it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise BenchError(f"{path}: can't be read as JSON ({error}).") from error


def base_name(name: str) -> str:
    """Return the last part of a path that was written on any system."""
    return PurePosixPath(name.replace("\\", "/")).name
