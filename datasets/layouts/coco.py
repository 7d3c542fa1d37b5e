"""COCO's JSON files: instances, and panoptic segmentation, as labels of their categories.

    annotations/instances_train2017.json, train2017/     COCO's own tree
    annotations/panoptic_train2017.json, annotations/panoptic_train2017/, train2017/
    train/_annotations.coco.json, train/                 Roboflow's export
    annotations.json, images/                            exports of CVAT, Label Studio and others

Instances: background is 0, and the categories in the order of their ids are 1, 2, ...; a category called background
is 0. Where objects overlap, the smaller lies on top. Crowds (`iscrowd`) are ignored where no object is drawn.
pycocotools draws the polygons. An image without annotations is all background.
Panoptic: the categories, things and stuff, in the order of their ids are 0, 1, ...; what has no segment is ignored.
Splits: a split's name in the name of the JSON file or of its folder.
`annotations=panoptic` reads the files whose names have that text, where there are several kinds.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError, first_few
from bench.core.specs import IGNORE_INDEX, Param
from bench.datasets.annotated import Annotated, Shape, class_table, contents
from bench.datasets.coco_file import CocoFile, Segmentation, read_coco, same_categories
from bench.datasets.coco_panoptic import panoptic
from bench.datasets.image_index import MOST_FILES, chosen_files, files_near, heads
from bench.datasets.layout import Contents, Layout
from bench.datasets.split_names import split_in, split_of

_KEYS = ('"images"', '"annotations"', '"categories"', '"licenses"')
_OTHERS = ('"shapes"', '"imageData"')  # LabelMe's
PANOPTIC = "panoptic"
_OF_COCO = ("instances", PANOPTIC, "stuff", "person_keypoints", "captions", "image_info")


def fits(folder: Path) -> bool:
    """Return whether there is a JSON file with the keys of COCO's."""
    return any(_is_coco(path, head) for path, head in heads(folder, ".json", MOST_FILES))


def _is_coco(path: Path, head: str) -> bool:
    if not head.startswith("{") or any(key in head for key in _OTHERS):
        return False
    return any(key in head for key in _KEYS) or path.name.endswith(".coco.json")


def read(folder: Path, annotations: str = "") -> Contents:
    """Read the annotation files and the images that they name."""
    paths, notes = _chosen(folder, annotations)
    read_files = [read_coco(path) for path in paths]
    files, warnings = [file for file, _ in read_files], _strange(paths, [count for _, count in read_files])
    near = [place for path in paths for place in _image_folders(folder, path)]
    if PANOPTIC in paths[0].name:
        images, classes = panoptic(folder, files, same_categories(files), [_split(path) for path in paths])
        return contents(folder, images, classes, near=near, notes=notes, warnings=warnings)
    images, classes, left_out = _instances(files)
    if left_out:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(left_out.items()))
        warnings.append(f"{left_out.total()} annotations have no outline ({kinds}) and aren't drawn, so that "
                        "their objects are background. Export them as polygons or masks.")  # fmt: skip
    return contents(folder, images, classes, near=near, notes=notes, warnings=warnings, largest_first=True)


def _chosen(folder: Path, text: str) -> tuple[list[Path], list[str]]:
    """Return the files of one kind, and a note on those that aren't read."""
    there = list(files_near(folder, ".json", anywhere=True))
    found = chosen_files(folder, ".json", (lambda path, head: text in path.name) if text else _is_coco)
    if not found:
        shown = first_few((path.name for path in there), 8) or "none"
        what = f"with '{text}' in its name" if text else "like COCO's"
        raise BenchError(f"'{folder}' has no JSON file {what}. There is: {shown}.")
    kinds = [next((kind for kind in _OF_COCO if path.name.startswith(kind)), "") for path in found]
    if {"instances", PANOPTIC} <= set(kinds):
        raise BenchError(f"'{folder}' has files of instances and of panoptic segmentation. Say which with "
                         f"--dataset-param annotations=instances or annotations={PANOPTIC}.")  # fmt: skip
    wanted = next((kind for kind in ("instances", PANOPTIC, "") if kind in kinds), kinds[0])
    others = [path.name for path, kind in zip(found, kinds, strict=True) if kind != wanted]
    note = [f"{', '.join(others)}: not read; `annotations` would choose them"] if others else []
    return [path for path, kind in zip(found, kinds, strict=True) if kind == wanted], note


def _strange(paths: Sequence[Path], counts: Sequence[int]) -> list[str]:
    return [
        f"{path}: {count} annotations are of images that the file doesn't list, and aren't drawn. Export it anew."
        for path, count in zip(paths, counts, strict=True)
        if count
    ]


def _split(path: Path) -> str:
    return split_in(path.stem) or split_of(path.parent.name)


def _image_folders(folder: Path, path: Path) -> list[Path]:
    """Return where the images of a file may be, such as train2017/ for instances_train2017.json."""
    name = path.stem.rpartition("_")[2]
    return [folder / name, folder / "images" / name]


def _instances(files: Sequence[CocoFile]) -> tuple[list[Annotated], tuple[str, ...], Counter[str]]:
    table = same_categories(files)
    names = list(table.values())
    if len(set(names)) < len(names):
        raise BenchError(f"{files[0].path}: two of its categories have one name: {', '.join(names)[:200]}.")
    classes, labels = class_table(names)
    left_out: Counter[str] = Counter()
    by_id = {number: labels[name] for number, name in table.items()}
    images = [
        Annotated(
            image["file_name"], file.size(image), file.path, file.annotations.get(image["id"], []),
            _shapes(file, file.annotations.get(image["id"], []), by_id, left_out), _split(file.path),
        )
        for file in files for image in file.images
    ]  # fmt: skip
    if left_out and not any(image.shapes for image in images):
        raise BenchError(f"{files[0].path}: not one annotation has a segmentation, and boxes aren't drawn.")
    return images, classes, left_out


def _shapes(
    file: CocoFile, annotations: Sequence[dict[str, Any]], labels: dict[int, int], left_out: Counter[str]
) -> tuple[Shape, ...]:
    shapes = []
    for number, found in enumerate(annotations, 1):
        what = f"annotation {found.get('id', f'number {number}')}"
        if (category := found.get("category_id")) not in labels:
            raise BenchError(f"{file.path}, {what}: the category {category} is not among {list(labels)[:20]}.")
        form = Segmentation(found.get("segmentation"))
        if fault := form.fault():
            left_out[fault] += 1
            continue
        shapes.append(Shape(IGNORE_INDEX if found.get("iscrowd") else labels[category], form, what))
    return tuple(shapes)


LAYOUT = Layout(
    name="coco",
    summary="COCO's JSON files of instances or panoptic segmentation, of COCO itself, Roboflow and many tools.",
    files="annotations/instances_*.json or another JSON with images, annotations and categories",
    fits=fits,
    read=read,
    deep=True,
    params=(Param("annotations", "str", "", "text in the names of the JSON files to read, such as panoptic"),),
)
