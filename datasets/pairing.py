"""Find image files in a folder, and match masks to images by their names.

A mask belongs to the image of the same stem. Where there is none, endings and beginnings such as `_mask` or `image_`,
the image's suffix as in `a.jpg.png`, the case of letters and the Unicode form are left out of the comparison.
"""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from bench.core.errors import BenchError, first_few

_SUFFIXES = (
    ".jpg .jpeg .jpe .jfif .png .apng .bmp .dib .tif .tiff .gtif .gtiff .btf .tf8 .webp .gif .ppm .pgm .pbm .pnm .tga "
    ".jp2 .avif"
)
SUFFIXES = frozenset(_SUFFIXES.split())
NUMPY = frozenset(
    {".npy", ".npz"}
)  # files that count where a folder has no others: beside pictures they are something else
_WORDS = r"images?|imgs?|rgb|sat|photo|masks?|labels?|lbl|seg|segmentations?|gt|groundtruth|annotations?|targets?|L|P"
_END = re.compile(rf"[ ._-]+(?:{_WORDS})$", re.IGNORECASE)
_BEGINNING = re.compile(rf"^(?:{_WORDS})[ ._-]+", re.IGNORECASE)
_SUFFIX = re.compile(  # of the stem of a.jpg.png or a.ome.tif
    rf"(?:{_SUFFIXES.replace(' ', '|').replace('.', '[.]')}|[.]ome)$", re.IGNORECASE
)
_JUNK = {"thumbs.db", "desktop.ini", "__macosx", "@eadir"}


@dataclass(frozen=True)
class Pair:
    """An image and its mask; one of them is missing if nothing matches."""

    name: str  # the image's path below its folder without suffix, with "/"
    image: Path | None
    mask: Path | None


def image_files(folder: Path) -> dict[str, Path]:
    """Map the name of each image in a folder and its sub-folders to its file, in the order of the names.

    Raises:
        BenchError: two files have one name, or there are files but none with a suffix that is read.
    """
    files: dict[str, Path] = {}
    others = Counter[str]()
    paths = walk(folder)
    read = SUFFIXES if any(path.suffix.lower() in SUFFIXES for path in paths) else NUMPY
    for path in paths:
        if path.suffix.lower() not in read:
            others[path.suffix or path.name] += 1
            continue
        name = name_of(path.relative_to(folder))
        if name in files:
            raise BenchError(f"'{folder}' has both {files[name].name} and {path.name}. Keep one of them.")
        files[name] = path
    if not files and others:
        found = first_few(f"{count} {suffix}" for suffix, count in others.most_common())
        raise BenchError(
            f"'{folder}' has no image that is read, but {found}. Read are: {_SUFFIXES} {' '.join(sorted(NUMPY))}."
        )
    return files


def has_images(folder: Path) -> bool:
    """Return whether there is any image file in a folder or its sub-folders."""
    return any(path.suffix.lower() in SUFFIXES | NUMPY for path in walk(folder))


def walk(folder: Path) -> list[Path]:
    """List the files of a folder and its sub-folders, sorted; what systems leave there, such as ._x.jpg, is no file.

    Links to folders are followed, but none into a folder that is being walked.
    """
    found = []
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not is_junk(name) and not _leads_back(Path(place, name)))
        found += [Path(place, name) for name in names if not is_junk(name)]
    return sorted(found)


def _leads_back(folder: Path) -> bool:
    """Return whether a folder is a link to one of the folders around it."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def is_junk(name: str) -> bool:
    """Return whether a file or folder is hidden or left by an operating system."""
    return name.startswith(".") or name.lower() in _JUNK


def name_of(path: PurePath) -> str:
    """Return a relative path without its suffix as a name, with "/"; bytes that are no UTF-8 are written as \\xNN."""
    return os.fsencode(path.with_suffix("").as_posix()).decode("utf-8", "backslashreplace")


def pair(images: dict[str, Path], masks: dict[str, Path]) -> tuple[list[Pair], tuple[str, ...]]:
    """Match masks to images: by name, else by the name without words such as `_mask`; return notes on the latter.

    Raises:
        BenchError: there are images and masks, but not one matches.
    """
    matched = {name: masks[name] for name in images if name in masks}
    alike = _alike(set(images) - set(matched), set(masks) - set(matched))
    matched |= {image: masks[mask] for image, mask in alike.items()}
    if images and masks and not matched:
        raise BenchError(
            f"No mask has the name of an image. Images: {first_few(images)}. Masks: {first_few(masks)}. The names must "
            "agree but for the suffix and for endings such as _mask, _label or _image."
        )
    used = set(alike.values()) | set(matched) & set(masks)
    pairs = [Pair(name, path, matched.get(name)) for name, path in images.items()]
    pairs += [Pair(name, None, path) for name, path in masks.items() if name not in used]
    note = f"{len(alike)} masks have another name than their image, such as {_example(alike)}" if alike else ""
    return sorted(pairs, key=lambda found: found.name), (note,) if note else ()


def _alike(images: Iterable[str], masks: Iterable[str]) -> dict[str, str]:
    """Match names that are the same once their words, case and Unicode form are left out, where only one is."""
    found: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for place, names in enumerate((images, masks)):
        for name in names:
            found[_bare(name)][place].append(name)
    return {image[0]: mask[0] for image, mask in found.values() if len(image) == len(mask) == 1}


def _bare(name: str) -> str:
    """Return a name without words such as `_mask`, in lower case and composed Unicode form."""
    folder, _, stem = unicodedata.normalize("NFC", name).rpartition("/")
    for pattern in (_SUFFIX, _END, _SUFFIX, _BEGINNING):
        shorter = pattern.sub("", stem)
        stem = shorter or stem
    return f"{folder}/{stem}".casefold()


def _example(alike: dict[str, str]) -> str:
    image, mask = min(alike.items())
    return f"{mask} for {image}"
