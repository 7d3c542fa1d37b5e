"""Copy a library's data set to files in the cache: one image and one mask a sample, and an index that is written last.

index.json   format, mask, classes (name -> values, or null), notes,
             rows: name, split ("train", "val", "test" or ""), image, labels (paths below the folder),
             watched, stamps: the folder that the library read, and the sizes and times of its files
"""

import io
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from bench.core.errors import BenchError
from bench.core.files import check_space
from bench.datasets.library_features import Feature, image_and_mask
from bench.datasets.pairing import SUFFIXES
from bench.datasets.split_names import split_of

FORMAT = 2  # changed whenever the exported files change
_NAMES = ("file_name", "filename", "file", "image_name", "image_id", "name", "id")  # features that may name a sample
_INDEX = "index.json"
_MOST = 400  # characters of a library's own message

Row = Mapping[str, Any]  # feature -> bytes of an image file, array, text, number or None


@dataclass(frozen=True)
class Opened:
    """A data set that a library has opened."""

    title: str  # its name for messages and notes, with the version
    features: Mapping[str, Feature]
    rows: Callable[[str, Sequence[str]], Iterator[Row]]  # of a split and the features that are wanted
    splits: Sequence[str]
    bytes: int  # approximate size
    watched: Path | None = None  # the folder that has the data, if its files may change


def answer(make: Callable[..., None], request: Mapping[str, Any]) -> dict[str, str]:
    """Call the function of a child process; return its error's whole message, if there is one, for the parent."""
    try:
        make(**request)
    except BenchError as error:
        return {"error": str(error)}
    return {}


def one_line(error: Exception) -> str:
    """Return a library's message as one sentence; some of them fill pages."""
    text = " ".join(str(error).split()) or type(error).__name__
    return (text if len(text) <= _MOST else f"{text[:_MOST]} ...").rstrip(".") + "."


def index_file(folder: Path) -> Path:
    """Return the index of a folder of exported files."""
    return folder / _INDEX


def current_index(folder: Path) -> dict[str, Any] | None:
    """Return the index of complete exported files whose source hasn't changed since; else None."""
    try:
        index = json.loads(index_file(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        return None
    watched = Path(index["watched"]) if index["watched"] else None
    unchanged = watched is None or not watched.exists() or index["stamps"] == _stamps(watched)
    return index if unchanged else None


def _stamps(folder: Path) -> list[list[Any]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return [[path.relative_to(folder).as_posix(), path.stat().st_size, path.stat().st_mtime_ns] for path in files]


def copy(opened: Opened, image: str, mask: str, target: Path) -> None:
    """Write the files and the index of a data set to `target`, whole or not at all."""
    image, mask = image_and_mask(opened.features, image, mask, opened.title)
    check_space(target.parent, opened.bytes, f"Copying {opened.title}")
    stamps = _stamps(opened.watched) if opened.watched else []
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # left by a process that died
    for name in ("images", "labels"):
        (part / name).mkdir(parents=True)
    splits, notes = _splits(opened.splits)
    rows, unlabelled = _write(opened, image, mask, splits, part)
    if not rows:
        raise BenchError(f"{opened.title} has no image with a mask in {mask}.")
    index = {
        "format": FORMAT,
        "mask": mask,
        "classes": opened.features[mask].classes,
        "notes": [
            f"read from {opened.title}: images from {image}, masks from {mask}",
            *notes,
            *(f"{count} images of the split {split} have no mask and are left out" for split, count in unlabelled),
        ],
        "rows": rows,
        "watched": str(opened.watched) if opened.watched else "",
        "stamps": stamps,
    }
    index_file(part).write_text(json.dumps(index), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)


def _splits(names: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Map each split of the library that is read to train, val, test or, for a division by hash, an empty text."""
    known = {name: split_of(name) for name in names if split_of(name)}
    if not known:
        joined = f"its splits {', '.join(names)} are joined and divided by a hash of the names"
        return dict.fromkeys(names, ""), [joined] if len(names) > 1 else []
    left = [name for name in names if name not in known]
    return known, [f"its split {name} is neither train, validation nor test, and left out" for name in left]


def _write(
    opened: Opened, image: str, mask: str, splits: Mapping[str, str], part: Path
) -> tuple[list[dict[str, str]], list[tuple[str, int]]]:
    """Write all images and masks; return the rows of the index, and how many images of each split have no mask."""
    named = [name for name in _NAMES if name in opened.features and opened.features[name].kind == "name"]
    rows: list[dict[str, str]] = []
    given: list[list[str]] = []
    unlabelled = Counter[str]()
    for split in splits:
        for number, row in enumerate(opened.rows(split, [image, mask, *named])):
            if row[mask] is None or row[image] is None:
                unlabelled[split] += 1
                continue
            stem = f"{split}-{number:06d}"
            files = {"image": ("images", row[image]), "labels": ("labels", row[mask])}
            written = {key: _write_file(part, f"{folder}/{stem}", value) for key, (folder, value) in files.items()}
            rows.append({"name": stem, "split": splits[split], **written})
            given.append([_clean(row[name]) for name in named])
    for names in zip(*given, strict=True):
        if "" not in names and len(set(names)) == len(names):
            return [{**row, "name": name} for row, name in zip(rows, names, strict=True)], list(unlabelled.items())
    return rows, list(unlabelled.items())


def _clean(value: Any) -> str:
    """Return a file name or id as a sample's name: without suffix, and safe as part of a path."""
    text = (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip()
    path = PurePosixPath(text.replace("\\", "/"))
    bare = path.with_suffix("") if path.suffix.lower() in SUFFIXES else path
    return re.sub(r"[^\w./-]+|\.\.+", "_", bare.as_posix()).strip("/.")


def _write_file(part: Path, stem: str, value: Any) -> str:
    """Write an image, the bytes of a file or an array (H, W) or (H, W, C); return its path below `part`."""
    content, suffix = _encoded(value)
    (part / f"{stem}{suffix}").write_bytes(content)
    return f"{stem}{suffix}"


def _encoded(value: Any) -> tuple[bytes, str]:
    if isinstance(value, bytes):
        return value, _suffix(value)
    array = _smallest(np.asarray(value))
    buffer = io.BytesIO()
    if array.dtype == np.uint8 and array.shape[2:] in ((), (3,), (4,)):
        Image.fromarray(array).save(buffer, "PNG")
        return buffer.getvalue(), ".png"
    layout = "contig" if array.ndim == 3 else None
    tifffile.imwrite(buffer, array, photometric="minisblack", planarconfig=layout, metadata=None)
    return buffer.getvalue(), ".tif"


def _suffix(content: bytes) -> str:
    """Return the suffix of an image file by its content; what can't be opened is named when it is read."""
    try:
        with Image.open(io.BytesIO(content)) as picture:
            return f".{(picture.format or 'bin').lower()}"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ".bin"


def _smallest(array: np.ndarray) -> np.ndarray:
    """Return an array without a last axis of one; longer whole numbers become 8 or 16 bits if they fit."""
    array = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if array.dtype in (np.uint8, np.uint16):
        return array
    if array.dtype.kind not in "iub":
        return array.astype(np.float32)
    fits = [
        kind for kind in (np.uint8, np.uint16) if array.size and array.min() >= 0 and array.max() <= np.iinfo(kind).max
    ]
    return array.astype(fits[0] if fits else np.int32)
