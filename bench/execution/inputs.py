"""From files, folders and patterns on the command line to the pictures that are predicted, each with its name."""

import glob
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp")  # taken from a folder


@dataclass(frozen=True)
class Picture:
    """A picture's file, and what its outputs are called (without suffix)."""

    path: Path
    name: str


def find_pictures(arguments: Iterable[str]) -> list[Picture]:
    """Every picture once, in order: files as they are given, folders (not what is below them) and patterns sorted.

    A file that isn't there stays: reading it says so. BenchError for a folder or pattern without pictures.
    """
    paths = [path for argument in arguments for path in _expand(argument)]
    paths = list({path.resolve(): path for path in paths}.values())
    return [Picture(path, name) for path, name in zip(paths, _names(paths), strict=True)]


def _expand(argument: str) -> list[Path]:
    path = Path(argument).expanduser()
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        if not found:
            raise BenchError(f"The folder '{argument}' has no pictures ({', '.join(SUFFIXES)}).")
        return found
    if path.exists() or not glob.has_magic(argument):
        return [path]
    found = sorted(Path(name) for name in glob.glob(str(path), recursive=True))
    found = [file for file in found if file.is_file()]
    if not found:
        raise BenchError(f"No file matches '{argument}'.")
    return found


def _names(paths: Sequence[Path]) -> list[str]:
    """The stem of each file; of those that share one the whole name; of those that share that the folders too."""
    absolute = [path.resolve() for path in paths]
    forms = [[path.stem, path.name, "_".join(path.parts[1:])] for path in absolute]
    counts = [Counter(form.lower() for form in column) for column in zip(*forms, strict=True)]
    return [next((f for f, count in zip(own, counts, strict=True) if count[f.lower()] == 1), own[-1]) for own in forms]
