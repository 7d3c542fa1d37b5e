"""Know the folders in which Hugging Face's datasets and tensorflow-datasets keep a data set."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.core.untrusted.plain_files import read_file

HF_SAVED = ("dataset_dict.json", "state.json")  # the files by which a data set of `save_to_disk` is known
_TFDS = ("dataset_info.json", "features.json")
_MOST_BYTES = 2**24  # of a description
_TABLES = ("*.parquet", "*/*.parquet", "*.arrow", "*/*.arrow")


@dataclass(frozen=True)
class Library:
    """A library, and what to write for a data set in one of its folders."""

    how: Callable[[Path], str]


_HF = Library(lambda folder: f"a data set of Hugging Face: write hf:{folder}")
_OF_TFDS = Library(lambda folder: f"prepared by tensorflow-datasets: write tfds:{_name(folder)} --data-dir {folder}")


def library_of(folder: Path) -> Library | None:
    """Return the library that wrote a folder, from the names in it; None for any other folder."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if names.issuperset(_TFDS):
        return _OF_TFDS
    if not names.isdisjoint(HF_SAVED) or any(any(folder.glob(form)) for form in _TABLES):
        return _HF
    return None


def _name(folder: Path) -> str:
    """Return the data set's name from its description; NAME if that can't be read."""
    try:
        return str(json.loads(read_file(folder / _TFDS[0], _MOST_BYTES, links=True))["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return "NAME"
