"""Find and name the images to predict from files, folders and patterns on the command line; without keras."""

import glob
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import BenchError
from bench.datasets.pairing import SUFFIXES

_ARRAYS = frozenset({".npy", ".npz"})  # NumPy files, which count in a folder without pictures


@dataclass(frozen=True)
class InputImage:
    """An image's file, and the name of its outputs (without suffix)."""

    path: Path
    name: str


def find_images(arguments: Iterable[str]) -> list[InputImage]:
    """List every image once: files as they are given, and those in a folder or of a pattern sorted.

    Subfolders are not searched. A file that doesn't exist is listed, too, and reported when it is read.

    Raises:
        BenchError: a folder or a pattern has no images, or none of the files exists.
    """
    paths = [path for argument in arguments for path in _expand(argument)]
    if paths and not any(path.exists() for path in paths):
        raise BenchError(f"There is no file or folder '{paths[0]}'. Give images, folders of images, or patterns.")
    paths = list({path.resolve(): path for path in paths}.values())
    return [InputImage(path, name) for path, name in zip(paths, _names(paths), strict=True)]


def _expand(argument: str) -> list[Path]:
    path = Path(argument).expanduser()
    if path.is_dir():
        there = sorted(path.iterdir())
        for suffixes in (SUFFIXES, _ARRAYS):
            if found := [file for file in there if file.suffix.lower() in suffixes]:
                return found
        raise BenchError(f"The folder '{argument}' has no images ({', '.join(sorted(SUFFIXES | _ARRAYS))}).")
    if path.exists() or not glob.has_magic(argument):
        return [path]
    found = sorted(Path(name) for name in glob.glob(str(path), recursive=True))
    found = [file for file in found if not file.is_dir()]  # a FIFO is reported when it is read
    if not found:
        raise BenchError(f"No file matches '{argument}'.")
    return found


def _names(paths: Sequence[Path]) -> list[str]:
    """Name each file by its stem, or by its full name if others share the stem, or by its path if others share both."""
    absolute = [path.resolve() for path in paths]
    forms = [[path.stem, path.name, "_".join(path.parts[1:])] for path in absolute]
    counts = [Counter(form.lower() for form in column) for column in zip(*forms, strict=True)]
    return [next((f for f, count in zip(own, counts, strict=True) if count[f.lower()] == 1), own[-1]) for own in forms]
