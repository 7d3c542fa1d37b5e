"""LabelMe's JSON files (Wada; also AnyLabeling's): one beside each image, with its shapes.

    NAME.json, NAME.jpg           in one folder or in sub-folders
    annotations/, images/         the JSON files may be elsewhere: `imagePath` names the image, or else their own name
    labels.txt                    optional: the labels in the order of their values

Labels: those of labels.txt, else the labels of all shapes, sorted, from 1 on; `_background_` is 0, `__ignore__` is
ignored. A later shape lies on top. Polygons, rectangles and circles are filled; a line or linestrip is one pixel wide.
A mask is its PNG image. Points have no pixels and are counted in a note.
Splits: sub-folders that are named after splits.
Known faults: the copy of the image in the JSON file (`imageData`) isn't read, a missing image is an error.
"""

import base64
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.core.errors import BenchError, first_few
from bench.data.reading.contents import here
from bench.datasets.annotated import Annotated, Shape, class_table, contents
from bench.datasets.drawing import Bitmap, Form, Line, Point, Polygon, box, ellipse
from bench.datasets.image_files import DECODE_ERRORS
from bench.datasets.image_index import MOST_FILES, base_name, heads, points_of, read_json
from bench.datasets.layout import Contents, Layout, Size
from bench.datasets.pairing import walk
from bench.datasets.split_names import split_of

_KEYS = ('"shapes"', '"imageData"')
_LABELS = "labels.txt"
_COPIES = "Their copies in the JSON files (imageData) aren't read: save them as images by labelme_export_json."


def fits(folder: Path) -> bool:
    """Return whether there is a JSON file with the keys of LabelMe's."""
    return any(
        head.startswith("{") and any(key in head for key in _KEYS) for _, head in heads(folder, ".json", MOST_FILES)
    )


def read(folder: Path) -> Contents:
    """Read all JSON files that have shapes."""
    there = [path for path in walk(folder) if path.suffix.lower() == ".json"]
    given = {path: read_json(path) for path in there}
    files = {path: found for path, found in given.items() if isinstance(found, dict) and "shapes" in found}
    if not files:
        raise BenchError(f"'{folder}' has no JSON file with shapes, as LabelMe writes.")
    classes, labels = class_table(_names(folder, files))
    left_out: Counter[str] = Counter()
    images = [_image(folder, path, found, labels, left_out) for path, found in files.items()]
    others = [path.name for path in there if path not in files and path.name != "classes.json"]
    notes = [f"{len(others)} JSON files have no shapes and are left out (the first: {others[0]})"] if others else []
    copies = any(found.get("imageData") for found in files.values())
    return contents(folder, images, classes, left_out=left_out, notes=notes, if_missing=_COPIES if copies else "")


def _names(folder: Path, files: dict[Path, dict[str, Any]]) -> list[str]:
    """Return the labels in the order of their values, and check that labels.txt has all."""
    used: dict[str, Path] = {}
    for path, content in files.items():
        for number, shape in enumerate(_shapes(path, content), 1):
            label = shape.get("label")
            if not isinstance(label, str):
                raise BenchError(f"{path}, shape {number}: its label is {label!r}, not a name.")
            used.setdefault(label, path)
    if not (folder / _LABELS).exists():
        return sorted(used)
    try:
        lines = here(folder / _LABELS).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"{folder / _LABELS}: can't be read ({error}).") from error
    names = [line.strip() for line in lines if line.strip()]
    if unknown := sorted(set(used) - set(names)):
        raise BenchError(f"{used[unknown[0]]}: the label '{unknown[0]}' isn't in {_LABELS}, which has "
                         f"{first_few(names, 20)}.")  # fmt: skip
    return names


def _shapes(path: Path, content: dict[str, Any]) -> list[dict[str, Any]]:
    shapes = content["shapes"]
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise BenchError(f"{path}: its shapes are no list of objects.")
    return shapes


def _image(
    folder: Path, path: Path, content: dict[str, Any], labels: dict[str, int], left_out: Counter[str]
) -> Annotated:
    shapes = []
    for number, shape in enumerate(_shapes(path, content), 1):
        kind, what = shape.get("shape_type") or "polygon", f"shape {number} ({shape['label']})"
        form = _form(kind, shape, f"{path}, {what}")
        if form is None:
            left_out[str(kind)] += 1
        else:
            shapes.append(Shape(labels[shape["label"]], form, what))
    named = content.get("imagePath")
    size = content.get("imageHeight"), content.get("imageWidth")
    entry = [[shape.get(key) for key in ("label", "shape_type", "points", "mask")] for shape in content["shapes"]]
    names = (named, path.stem) if isinstance(named, str) and base_name(named) else (path.stem, path.stem)
    return Annotated(names[0], _size(size), path, entry, tuple(shapes), _split(folder, path), other_name=names[1])


def _size(given: tuple[Any, Any]) -> Size | None:
    height, width = given
    return (height, width) if type(height) is type(width) is int else None


def _split(folder: Path, path: Path) -> str:
    return next((split for part in path.relative_to(folder).parts[:-1] if (split := split_of(part))), "")


def _form(kind: str, shape: dict[str, Any], place: str) -> Form | None:
    """Return what is to be drawn; None for a kind that has no pixels or isn't known."""
    few = {"rectangle": 2, "circle": 2, "mask": 2, "line": 2, "linestrip": 2, "polygon": 3, "rotation": 3}
    if kind not in few:
        return None
    points = points_of(shape.get("points"), place)
    if len(points) < few[kind]:
        raise BenchError(f"{place}: a {kind} needs {few[kind]} points, it has {len(points)}.")
    if kind in ("polygon", "rotation") or (kind == "rectangle" and len(points) == 4):
        return Polygon(points)
    if kind in ("line", "linestrip"):
        return Line(points)
    (x, y), (x_other, y_other) = points[:2]
    if kind == "rectangle":
        return box(x, y, x_other, y_other)
    if kind == "circle":
        radius = float(np.hypot(x_other - x, y_other - y))
        return ellipse(x, y, radius, radius)
    return _mask(points, shape.get("mask"), place)


def _mask(points: Sequence[Point], text: Any, place: str) -> Bitmap:
    """Return a mask that is a PNG image in base64; its points are the first and the last pixel."""
    (left, top), (right, bottom) = ((round(x), round(y)) for x, y in points[:2])

    def decode() -> np.ndarray:
        try:
            with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]) as picture:
                return np.array(picture) > 0
        except DECODE_ERRORS as error:
            raise ValueError(f"its mask is no PNG image in base64 ({error})") from error

    if not isinstance(text, str):
        raise BenchError(f"{place}: a mask needs a PNG image in base64 under 'mask'.")
    return Bitmap(left, top, (bottom - top + 1, right - left + 1), decode)


LAYOUT = Layout(
    name="labelme",
    summary="LabelMe's JSON file beside each image: polygons, rectangles, circles, lines and masks.",
    files="*.json with shapes",
    fits=fits,
    read=read,
    deep=True,
)
