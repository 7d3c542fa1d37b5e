"""Read COCO's annotation files: categories, images, and segmentations as polygons or run lengths."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import BenchError
from bench.datasets.drawing import Bounds, Region, alternating
from bench.datasets.image_index import read_json
from bench.datasets.layout import Size

_POINTS = 6  # numbers that the smallest polygon needs; pycocotools takes four for a box


@dataclass(frozen=True)
class CocoFile:
    """One annotation file."""

    path: Path
    categories: dict[int, str]  # id -> name, in the order of the ids
    images: list[dict[str, Any]]
    annotations: dict[Any, list[dict[str, Any]]] = field(repr=False)  # id of an image -> its annotations

    def size(self, image: dict[str, Any]) -> Size | None:
        """Return an image's height and width; None if the file doesn't have them."""
        height, width = image.get("height"), image.get("width")
        return (height, width) if type(height) is type(width) is int and height > 0 and width > 0 else None


def read_coco(path: Path) -> tuple[CocoFile, int]:
    """Read a file, and count the annotations of images that it doesn't list.

    Raises:
        BenchError: it is no COCO file, or a part of an entry is missing; the message names the entry.
    """
    given = read_json(path)
    names = ("images", "annotations", "categories")
    parts: list[Any] = [given.get(part) if isinstance(given, dict) else None for part in names]
    if not all(isinstance(part, list) and all(isinstance(entry, dict) for entry in part) for part in parts):
        raise BenchError(f"{path}: it is no COCO file, which has the lists images, annotations and categories.")
    images, annotations, categories = parts
    _check(path, "image", images, {"id": object, "file_name": str})
    _check(path, "annotation", annotations, {"image_id": object})
    _check(path, "category", categories, {"id": int, "name": str})
    known = {image["id"] for image in images}
    if len(known) < len(images):
        raise BenchError(f"{path}: two of its images have one id.")
    by_image = defaultdict(list)
    for annotation in annotations:
        by_image[annotation["image_id"]].append(annotation)
    strange = sum(len(found) for image, found in by_image.items() if image not in known)
    table = {found["id"]: found["name"] for found in sorted(categories, key=lambda found: found["id"])}
    return CocoFile(path, table, images, by_image), strange


def _check(path: Path, what: str, entries: Sequence[dict[str, Any]], needed: dict[str, type]) -> None:
    for place, entry in enumerate(entries, 1):
        for name, kind in needed.items():
            value = entry.get(name)
            if not isinstance(value, kind) or isinstance(value, bool | list | dict | None):
                raise BenchError(f"{path}: {what} {entry.get('id', f'number {place}')} has the {name} {value!r}.")


def same_categories(files: Sequence[CocoFile]) -> dict[int, str]:
    """Return the categories of all files by id; raise BenchError if two files give one id two names."""
    table: dict[int, str] = {}
    for file in files:
        for number, name in file.categories.items():
            if table.setdefault(number, name) != name:
                raise BenchError(f"{file.path}: the category {number} is '{name}', but '{table[number]}' in "
                                 f"{files[0].path.name}. Files of one data set need the same categories.")  # fmt: skip
    return dict(sorted(table.items()))


@dataclass(frozen=True)
class Segmentation:
    """A COCO segmentation: polygons, or run lengths down the columns, compressed or not.

    pycocotools draws the polygons, so that labels are those of published figures.
    """

    given: Any

    @property
    def bounds(self) -> Bounds:
        if not isinstance(self.given, list):
            height, width = self.given.get("size", (1, 1))
            return 0, 0, width, height
        xs, ys = ([value for polygon in _drawable(self.given) for value in polygon[first::2]] for first in (0, 1))
        return min(xs), min(ys), max(xs), max(ys)

    def region(self, size: Size) -> Region:
        """Return the pixels of the object; ValueError says what is wrong with it."""
        if isinstance(self.given, list):
            masks = coco_masks()
            encoded = masks.frPyObjects(_polygons(self.given), *size)
            return Region(0, 0, masks.decode(masks.merge(encoded)).astype(bool))
        counts, own = self.given.get("counts"), self.given.get("size")
        if own != list(size):
            raise BenchError(f"its run lengths are of the size {own}, its image has {list(size)}")
        runs = counts if isinstance(counts, list) else decompress(counts)
        return Region(0, 0, alternating(runs, size).reshape(size[::-1]).T)

    def fault(self) -> str:
        """Say why nothing can be drawn; an empty text if it can."""
        if isinstance(self.given, dict):
            return "" if isinstance(self.given.get("size"), list) and "counts" in self.given else "incomplete"
        if not isinstance(self.given, list) or not any(self.given):
            return "missing"
        if not all(isinstance(part, list) and len(part) % 2 == 0 for part in self.given):
            return "damaged"
        return "" if _drawable(self.given) else "of fewer than three points"


def _drawable(given: list[list[float]]) -> list[list[float]]:
    return [polygon for polygon in given if len(polygon) >= _POINTS]


def _polygons(given: list[list[float]]) -> list[list[float]]:
    """Check the coordinates, on which pycocotools could fail without a message."""
    drawable = _drawable(given)
    for polygon in drawable:
        found = np.array(polygon, np.float64)
        if not (np.abs(found) <= 1e6).all():
            raise BenchError("a coordinate is no place in an image")
    return [[float(value) for value in polygon] for polygon in drawable]


def decompress(text: Any) -> list[int]:
    """Decode the compressed counts of a run-length text.

    A number is written in groups of five bits, the lowest first, each as the character 48 + group + 32 if more follow;
    from the fourth number on it is the difference to the number before the last. pycocotools isn't asked, since it
    writes past its memory if a text is damaged.
    """
    if not isinstance(text, str) or not all("0" <= character < "p" for character in text):
        raise BenchError("its counts are neither a list nor a text of run lengths")
    counts: list[int] = []
    value = shift = 0
    for group in (ord(character) - 48 for character in text):
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise BenchError("its counts end within a number")
    return counts


def coco_masks() -> Any:
    """Import pycocotools' masks, or say how to install them."""
    try:
        from pycocotools import mask
    except ImportError as error:
        raise BenchError("COCO's annotations need pycocotools: pip install pycocotools") from error
    return mask
