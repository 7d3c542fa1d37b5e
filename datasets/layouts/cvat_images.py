"""CVAT's export "CVAT for images 1.1": one annotations.xml with the shapes of all images.

    annotations.xml, images/NAME.jpg               images may lie in sub-folders, such as of subsets
    TASK/annotations.xml, TASK/images/...          several tasks with the same labels, by `layout=cvat-images`

Labels: those of the file's `meta`, in its order, from 1 on; `background` is 0. Without meta the labels of all shapes,
sorted. Shapes with a larger `z_order` lie on top, and of equal ones the later. Polygons, boxes, ellipses and masks are
filled, also turned ones; a polyline is one pixel wide. Points, cuboids, skeletons and tags are counted in a note.
Splits: the subset of an image, if it is a split's name.
Known faults: "CVAT for video" is refused. A file with a document type is refused, since entities could fill the memory.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from bench.core.errors import BenchError
from bench.data.reading.contents import here
from bench.datasets.annotated import Annotated, Shape, class_table, contents
from bench.datasets.drawing import Bitmap, Form, Line, Polygon, alternating, box, ellipse, rotated
from bench.datasets.image_index import MOST_FILES, chosen_files, files_near, heads, points_of
from bench.datasets.layout import Contents, Layout
from bench.datasets.split_names import split_of


def fits(folder: Path) -> bool:
    """Return whether there is an XML file that begins as CVAT's."""
    return any(_is_cvat(path, head) for path, head in heads(folder, ".xml", MOST_FILES))


def _is_cvat(path: Path, head: str) -> bool:
    return "<annotations>" in head and ("<version>1" in head or "<image " in head or "<track " in head)


def read(folder: Path) -> Contents:
    """Read the XML files and the images that they name."""
    paths = chosen_files(folder, ".xml", _is_cvat)
    if not paths:
        shown = ", ".join(path.name for path in files_near(folder, ".xml", anywhere=True)) or "none"
        raise BenchError(f"'{folder}' has no XML file of CVAT for images. There is: {shown}.")
    roots = {path: _parse(path) for path in paths}
    classes, labels = class_table(_names(roots))
    left_out: Counter[str] = Counter()
    images = [
        _image(path, image, labels, left_out) for path, root in roots.items() for image in root.iter("image")
    ]  # fmt: skip
    return contents(folder, images, classes, left_out=left_out)


def _parse(path: Path) -> ElementTree.Element:
    try:
        text = here(path).read_text(encoding="utf-8-sig")
        if "<!DOCTYPE" in text:
            raise BenchError(f"{path}: it has a document type (<!DOCTYPE), which CVAT doesn't write. Remove it.")
        root = ElementTree.fromstring(text)
    except (OSError, UnicodeDecodeError, ElementTree.ParseError) as error:
        raise BenchError(f"{path}: can't be read as XML ({error}).") from error
    if next(root.iter("track"), None) is not None:
        raise BenchError(f"{path}: it has the tracks of a video. Export it from CVAT as 'CVAT for images 1.1'.")
    return root


def _names(roots: dict[Path, ElementTree.Element]) -> list[str]:
    """Return the labels of the meta part; files must agree. Without meta, those of the shapes, sorted."""
    lists = {
        path: [found.findtext("name", "") for found in root.iterfind("meta//label") if found.find("parent") is None]
        for path, root in roots.items()
    }
    given = {path: names for path, names in lists.items() if names}
    if not given:
        return sorted({shape.get("label", "") for root in roots.values() for i in root.iter("image") for shape in i})
    (first, names), *others = given.items()
    for path, other in others:
        if other != names:
            raise BenchError(f"{path}: its labels are {', '.join(other)}, but {', '.join(names)} in {first}. Tasks of "
                             "one data set need the same labels.")  # fmt: skip
    return names


def _image(path: Path, image: ElementTree.Element, labels: dict[str, int], left_out: Counter[str]) -> Annotated:
    name = image.get("name", "")
    if not name:
        raise BenchError(f"{path}: the image with the id {image.get('id')} has no name.")
    place = f"{path}, {name}"
    height, width = (int(_number(image, key, place)) for key in ("height", "width"))
    found: list[tuple[float, Shape]] = []
    for number, shape in enumerate(image, 1):
        label, what = shape.get("label"), f"shape {number} ({shape.tag})"
        if shape.tag not in _FORMS:
            left_out[shape.tag] += 1
            continue
        if label not in labels:
            raise BenchError(f"{place}, {what}: the label '{label}' isn't among {', '.join(list(labels)[:20])}.")
        form = _FORMS[shape.tag](shape, f"{place}, {what}")
        found.append((_number(shape, "z_order", place, 0), Shape(labels[label], form, what)))
    found.sort(key=lambda pair: pair[0])
    entry = [[shape.tag, sorted(shape.items())] for shape in image]
    shapes = tuple(shape for _, shape in found)
    return Annotated(name, (height, width), path, entry, shapes, split_of(image.get("subset", "")))


def _number(element: ElementTree.Element, name: str, place: str, default: float | None = None) -> float:
    text = element.get(name)
    if text is None and default is not None:
        return default
    try:
        return points_of([[text, 0]], place)[0][0]
    except BenchError as error:
        raise BenchError(f"{place}: {name} is {text!r}, not a number.") from error


def _numbers(element: ElementTree.Element, place: str, names: str) -> list[float]:
    return [_number(element, name, place) for name in names.split()]


def _points(shape: ElementTree.Element, place: str) -> Sequence[tuple[float, float]]:
    return points_of([pair.split(",") for pair in shape.get("points", "").split(";")], place)


def _turned(polygon: Polygon, shape: ElementTree.Element, place: str, middle: tuple[float, float]) -> Polygon:
    degrees = _number(shape, "rotation", place, 0)
    return rotated(polygon, degrees, middle) if degrees else polygon


def _box(shape: ElementTree.Element, place: str) -> Form:
    left, top, right, bottom = _numbers(shape, place, "xtl ytl xbr ybr")
    return _turned(box(left, top, right, bottom), shape, place, ((left + right) / 2, (top + bottom) / 2))


def _ellipse(shape: ElementTree.Element, place: str) -> Form:
    x, y, x_radius, y_radius = _numbers(shape, place, "cx cy rx ry")
    return _turned(ellipse(x, y, x_radius, y_radius), shape, place, (x, y))


def _mask(shape: ElementTree.Element, place: str) -> Form:
    """Return a mask: run lengths along the rows of a box that begin outside, as `3, 5, 1`."""
    left, top, width, height = (int(value) for value in _numbers(shape, place, "left top width height"))
    words = shape.get("rle", "").replace(",", " ").split()

    def decode() -> np.ndarray:
        runs = [int(word) for word in words]  # ValueError is reported with the shape's place
        return alternating(runs, (height, width)).reshape(height, width)

    return Bitmap(left, top, (height, width), decode)


_FORMS: dict[str, Callable[[ElementTree.Element, str], Form]] = {
    "polygon": lambda shape, place: Polygon(_points(shape, place)),
    "polyline": lambda shape, place: Line(_points(shape, place)),
    "box": _box,
    "ellipse": _ellipse,
    "mask": _mask,
}

LAYOUT = Layout(
    name="cvat-images",
    summary="CVAT for images 1.1: one XML file with polygons, boxes, ellipses and masks.",
    files="annotations.xml",
    fits=fits,
    read=read,
    deep=True,
)
