"""Data sets of tensorflow-datasets (`tfds:NAME`) and of Hugging Face's datasets (`hf:OWNER/NAME`, `hf:PATH`).

A child process opens the data set and copies its images and masks to files in the cache, each with the bytes that the
library stores, or losslessly. So this process imports neither the libraries nor TensorFlow. From then on the files are
read as a folder's images and masks are.

    libraries/NAME-HASH/index.json   see library_export.py
                        images/, labels/

Classes: those of the parameter `classes` (a classes.json); else the names that the data set gives; else the values
found in the masks, as in a folder.
Splits: those of the data set; see split_names.py where there is no test split or only one.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.core.child_process import ask
from bench.core.errors import BenchError
from bench.core.files import cache_folder, cache_path, locked, name_part, text_hash
from bench.core.specs import IGNORE_INDEX
from bench.datasets.classes_file import FILE, ClassesFile, Value, read_classes
from bench.datasets.folder import Folder, of_contents
from bench.datasets.layout import Contents, Item, Masks
from bench.datasets.library_export import current_index, index_file

_SECONDS = 7 * 24 * 3600.0  # for a download


def load_tfds(
    data_dir: Path | None, *, source: str, image: str = "", mask: str = "", classes: str = "", exif: str = ""
) -> Folder:
    """Load a data set of tensorflow-datasets; download and prepare it first if `data_dir` doesn't have it.

    Args:
        data_dir: tensorflow-datasets' folder, or that of one prepared version; None: the library's default.
        source: the name, configuration and version, as `tfds.builder` takes them.
        image: the feature with the images; empty: found by type and name.
        mask: the feature with the masks, likewise.
        classes: the path of a classes.json.
        exif: as in folder.py.
    """
    request = {"source": source, "data_dir": _text(data_dir), "image": image, "mask": mask}
    return _load(f"tfds:{source}", "bench.datasets.tfds_export:export", request, classes, exif)


def load_hf(
    data_dir: Path | None,
    *,
    source: str,
    config: str = "",
    image: str = "",
    mask: str = "",
    classes: str = "",
    exif: str = "",
) -> Folder:
    """Load a data set of Hugging Face; download it first if it is nowhere on this machine.

    Args:
        data_dir: the data set on disk, if its last part is the data set's name or it was saved by `save_to_disk`; else
            Hugging Face's cache; None: the library's default.
        source: OWNER/NAME, or the name of the folder.
        config: the configuration, where the data set has several.
        image, mask, classes, exif: as in `load_tfds`.
    """
    request = {"source": source, "data_dir": _text(data_dir), "config": config, "image": image, "mask": mask}
    return _load(f"hf:{source}", "bench.datasets.hf_export:export", request, classes, exif)


def _text(path: Path | None) -> str | None:
    return str(path) if path else None


def _load(name: str, exporter: str, request: dict[str, Any], classes: str, exif: str) -> Folder:
    folder, index = _exported(name, exporter, request)
    items = [
        Item(row["name"], folder / row["image"], folder / row["labels"], row["split"], row["name"])
        for row in index["rows"]
    ]
    given = read_classes(Path(classes)) if classes else _named(folder, index["classes"])
    contents = Contents(items, Masks(), notes=tuple(index["notes"]))
    place = f"{name}, feature {index['mask']} (give a classes.json by --dataset-param classes=PATH)"
    return of_contents(contents, given, exif, place, classes or FILE)


def _named(folder: Path, names: Mapping[str, list[int]] | None) -> ClassesFile | None:
    """Return the classes that the data set names, unless there are too few or too many to be labels."""
    if not names or not 2 <= len(names) <= IGNORE_INDEX:
        return None
    in_order = list(names.values()) == [[value] for value in range(len(names))]
    labels: dict[Value, int] = (
        {} if in_order else {value: label for label, values in enumerate(names.values()) for value in values}
    )
    return ClassesFile(index_file(folder), tuple(names), labels, by_hand=False)


def _exported(name: str, exporter: str, request: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    """Return the folder of a data set's files in the cache and its index; export them first if need be."""
    digest = text_hash(json.dumps([exporter, request], sort_keys=True))[:12]
    folder = cache_path("libraries") / f"{name_part(name)}-{digest}"
    index = current_index(folder)
    if index is None:
        cache_folder("libraries")
        with locked(folder):
            if current_index(folder) is None:  # no other process has copied it meanwhile
                _ask(name, exporter, {**request, "target": str(folder)})
        index = current_index(folder)
    if index is None:
        raise BenchError(f"The files of {name} changed while they were read. Run it again.")
    return folder, index


def _ask(name: str, exporter: str, request: dict[str, Any]) -> None:
    (answer,) = ask(exporter, [request], None, _SECONDS)
    if "error" in answer:
        raise BenchError(f"{name} can't be opened: {answer['error']}" if "unexpected" in answer else answer["error"])
