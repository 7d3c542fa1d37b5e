"""Label Studio's JSON export, with brush masks, polygons, rectangles and ellipses.

    project-1-at-2026-01-01.json, images/NAME.jpg        "JSON"; the images may lie anywhere in the folder

An image has the name in the task's data, with or without the random beginning that an upload gets: `1a2b3c4d-NAME.jpg`.
Labels: the labels of all regions, sorted, from 1 on; `background` is 0. A later region lies on top.
Of several annotations of a task, the one marked as ground truth counts, else the first; a warning says of how many.
A task without an annotation, or with a skipped one, is left out.
Known faults: Label Studio's PNG files don't say whose masks they are, and are refused, as are the export JSON-MIN and
images that were turned in Label Studio.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from bench.core.errors import BenchError
from bench.datasets.annotated import Annotated, Shape, class_table, contents
from bench.datasets.drawing import Bitmap, Form, Polygon, box, ellipse, rotated
from bench.datasets.image_index import (
    MOST_FILES,
    base_name,
    chosen_files,
    files_near,
    heads,
    points_of,
    read_json,
)
from bench.datasets.label_studio_brush import decode_brush
from bench.datasets.layout import Contents, Layout, Size
from bench.datasets.pairing import SUFFIXES

_RANDOM = re.compile(r"[0-9a-f]{8}-")  # before the name of an uploaded file
_PNG = re.compile(r"task-\d+-annotation-.*\.png")
_SHAPES = {
    "brush": {"rle"},
    "polygon": {"points"},
    "ellipse": {"x", "y", "radiusX", "radiusY"},
    "rectangle": {"x", "y", "width", "height"},
}  # name -> keys of the value
_KEYS = ('"annotations"', '"data"', '"completions"', '"file_upload"')


def fits(folder: Path) -> bool:
    """Return whether there is a JSON file that begins as a list of Label Studio's tasks, or its PNG files."""
    return any(_is_tasks(path, head) for path, head in heads(folder, ".json", MOST_FILES)) or bool(_png(folder))


def _is_tasks(path: Path, head: str) -> bool:
    return head.startswith("[") and any(key in head for key in _KEYS)


def _png(folder: Path) -> list[str]:
    return [path.name for path in files_near(folder, ".png") if _PNG.fullmatch(path.name)][:1]


def read(folder: Path) -> Contents:
    """Read the tasks of all JSON exports and the images that they name."""
    paths = chosen_files(folder, ".json", _is_tasks)
    if not paths:
        found = "no list of tasks of Label Studio"
        if png := _png(folder):
            found = f"masks of Label Studio's PNG export, such as {png[0]}, which don't name their images"
        raise BenchError(f"'{folder}' has {found}. Export the project as 'JSON' "
                         "and put that file beside the images.")  # fmt: skip
    tasks = [(path, task) for path in paths for task in _tasks(path)]
    chosen = [(path, task, _annotation(path, task)) for path, task in tasks]
    labelled = [(path, task, found) for path, task, found in chosen if found is not None]
    classes, labels = class_table(sorted({
        name for path, task, found in labelled for region in _regions(path, task, found) for name in _label(region)
    }))  # fmt: skip
    left_out: Counter[str] = Counter()
    images = [_image(path, task, found, labels, left_out) for path, task, found in labelled]
    several = sum(len(_valid(task)) > 1 for _, task in tasks)
    warnings = [f"{several} tasks have several annotations: the one marked as ground truth counts, else the first. "
                "Mark or delete some in Label Studio to choose others."] if several else []  # fmt: skip
    bare = len(tasks) - len(labelled)
    notes = [f"{bare} tasks have no annotation and are left out"] if bare else []
    return contents(folder, images, classes, left_out=+left_out, notes=notes, warnings=warnings)


def _tasks(path: Path) -> list[dict[str, Any]]:
    given = read_json(path)
    tasks = given if isinstance(given, list) else []
    if not tasks or not all(isinstance(task, dict) and isinstance(task.get("data"), dict) for task in tasks):
        raise BenchError(f"{path}: it is no list of tasks with data and annotations. Export the project as 'JSON', "
                         "not as 'JSON-MIN'.")  # fmt: skip
    return tasks


def _valid(task: dict[str, Any]) -> list[dict[str, Any]]:
    given = task.get("annotations") or task.get("completions") or []
    found = given if isinstance(given, list) else []
    return [each for each in found if isinstance(each, dict) and not each.get("was_cancelled")]


def _annotation(path: Path, task: dict[str, Any]) -> dict[str, Any] | None:
    valid = _valid(task)
    return next((each for each in valid if each.get("ground_truth")), valid[0] if valid else None)


def _regions(path: Path, task: dict[str, Any], annotation: dict[str, Any]) -> list[dict[str, Any]]:
    regions = annotation.get("result", [])
    if not isinstance(regions, list) or not all(isinstance(found, dict) for found in regions):
        raise BenchError(f"{path}, task {task.get('id')}: its result is no list of regions.")
    return [found for found in regions if isinstance(found.get("value"), dict)]


def _kind(region: dict[str, Any]) -> str:
    """Return the shape of a region; an empty text for one that has no pixels or isn't known."""
    if region.get("type", "").startswith("keypoint"):
        return ""
    return next((kind for kind, keys in _SHAPES.items() if region["value"].keys() >= keys), "")


def _label(region: dict[str, Any]) -> list[str]:
    """Return the first label of a shape; none for one without."""
    value = region["value"]
    found = value.get(region.get("type", "")) or value.get(f"{_kind(region)}labels") or value.get("labels")
    return [str(found[0])] if _kind(region) and isinstance(found, list) and found else []


def _image(
    path: Path, task: dict[str, Any], annotation: dict[str, Any], labels: dict[str, int], left_out: Counter[str]
) -> Annotated:
    place = f"{path}, task {task.get('id')}"
    regions = _regions(path, task, annotation)
    named = {region.get("id") for region in regions if _label(region)}
    shapes, size = [], None
    for number, region in enumerate(regions, 1):
        what, label = f"region {number} ({region.get('type')})", _label(region)
        if not label:
            # A shape and its label may be two entries of one id.
            left_out[f"{region.get('type')} without a label"] += region.get("id") not in named
            continue
        own = _size(region, f"{place}, {what}")
        size = size or own
        if own != size:
            raise BenchError(f"{place}, {what}: its image has another size than for the region before.")
        shapes.append(Shape(labels[label[0]], _form(_kind(region), region["value"], own, f"{place}, {what}"), what))
    name = _name(task, place)
    entry = [[region.get("type"), region["value"]] for region in regions]
    return Annotated(name, size, path, entry, tuple(shapes), other_name=_RANDOM.sub("", base_name(name), count=1))


def _size(region: dict[str, Any], place: str) -> Size:
    """Return the height and width of a region's image."""
    if region.get("image_rotation"):
        raise BenchError(f"{place}: its image was turned in Label Studio, which isn't read. Turn the file instead.")
    height, width = region.get("original_height"), region.get("original_width")
    if not (type(height) is type(width) is int and height > 0 and width > 0):
        raise BenchError(f"{place}: its original_height is {height!r} and its original_width {width!r}, not pixels.")
    return height, width


def _form(kind: str, value: dict[str, Any], size: Size, place: str) -> Form:
    """Return what is to be drawn; numbers are percents of the image's width and height."""
    height, width = size
    if kind == "brush":
        return Bitmap(0, 0, size, lambda: decode_brush(value["rle"], size))
    if kind == "polygon":
        points = points_of(value["points"], place)
        return Polygon([(x * width / 100, y * height / 100) for x, y in points])
    keys = ("width", "height") if kind == "rectangle" else ("radiusX", "radiusY")
    pairs = [[value[key] for key in names] for names in (("x", "y"), keys)]
    (x, y), (across, down), (degrees, _) = points_of([*pairs, [value.get("rotation") or 0, 0]], place)
    x, across, y, down = x * width / 100, across * width / 100, y * height / 100, down * height / 100
    shape = box(x, y, x + across, y + down) if kind == "rectangle" else ellipse(x, y, across, down)
    return rotated(shape, degrees, (x, y)) if degrees else shape  # a rectangle turns around its first corner


def _name(task: dict[str, Any], place: str) -> str:
    """Return the path of a task's image from the address in its data."""
    paths = [_path(text) for text in task["data"].values() if isinstance(text, str)]
    found = [path for path in paths if Path(path).suffix.lower() in SUFFIXES]
    if len(found) != 1:
        raise BenchError(f"{place}: its data name {len(found)} images, {str(task['data'])[:80]}; it needs one.")
    return found[0]


def _path(address: str) -> str:
    """Return the path in an address such as /data/upload/1/a.jpg, s3://bucket/a.jpg or /data/local-files/?d=a.jpg."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    local = parse_qs(parts.query).get("d")
    return local[0] if local else unquote(parts.path)


LAYOUT = Layout(
    name="label-studio",
    summary="Label Studio's JSON export: brush masks, polygons, rectangles and ellipses.",
    files="a JSON file with a list of tasks",
    fits=fits,
    read=read,
    deep=True,
)
