"""Make the contents of a layout from annotated images: labels that are drawn, their identity, and what was left out."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError, first_few
from bench.core.files import text_hash
from bench.core.specs import IGNORE_INDEX
from bench.datasets.drawing import Form, draw, is_outside
from bench.datasets.image_index import ImageIndex, base_name
from bench.datasets.layout import Contents, Drawn, Item, Size
from bench.datasets.pairing import name_of
from bench.datasets.split_names import divide

BACKGROUND = "background"
_BACKGROUND_NAMES = {"background", "_background_", "__background__"}
MOST_LEFT_OUT = 0.5  # of a folder's images; more is rarely meant
_ONE_SET = "Give the folder of one data set, and move away what isn't part of it."
_MOST_NAMED = 3  # annotation files in a note
_IGNORED_NAMES = {"__ignore__", "_ignore_"}


@dataclass(frozen=True)
class Shape:
    """One annotated object."""

    label: int  # or IGNORE_INDEX
    form: Form
    what: str  # names it in messages, such as "annotation 17"


@dataclass(frozen=True)
class Annotated:
    """One image and all that is annotated in it."""

    image: str  # as the annotation file names it
    size: Size | None  # when it was annotated, if that is known
    source: Path  # the annotation file
    entry: Any  # the annotations as plain values, whose hash identifies the labels
    shapes: Sequence[Shape] = ()
    split: str = ""
    other_name: str = ""  # of the image, if none has the first one
    labels: Path | None = None  # a file that `draw` reads
    draw: Callable[[Size], np.ndarray] | None = None  # draws the labels if shapes don't


def class_table(names: Iterable[str]) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the classes, background first, and the label of each annotated name.

    Names such as `_background_` are the background, and such as `__ignore__` are ignored.
    """
    ordered = list(dict.fromkeys(names))
    others = [name for name in ordered if name.lower() not in _BACKGROUND_NAMES | _IGNORED_NAMES]
    labels = {name: label for label, name in enumerate(others, 1)}
    labels |= {name: 0 for name in ordered if name.lower() in _BACKGROUND_NAMES}
    labels |= {name: IGNORE_INDEX for name in ordered if name.lower() in _IGNORED_NAMES}
    return (BACKGROUND, *others), labels


def contents(
    folder: Path,
    images: Sequence[Annotated],
    classes: tuple[str, ...],
    *,
    near: Sequence[Path] = (),
    left_out: Counter[str] | None = None,
    notes: Sequence[str] = (),
    warnings: Sequence[str] = (),
    if_missing: str = "",
    largest_first: bool = False,
) -> Contents:
    """Join annotated images with the files of a folder.

    Args:
        near: folders in which an image is looked for first if several files have its name.
        left_out: how many shapes of each kind the layout doesn't draw.
        notes: facts of the layout's own.
        warnings: doubts of the layout's own.
        if_missing: what to do if images are missing; empty: reading them is an error that says enough.
        largest_first: draw large shapes before small ones; by default in the given order.
    """
    _check(folder, images, classes)
    index = ImageIndex(folder, frozenset(each.labels.parent for each in images if each.labels))
    found: dict[str, Annotated] = {}
    items, renamed = [], []
    for each in images:
        path = index.find(each.image, (each.source.parent, *near))
        if path is None and each.other_name:
            path = index.find(each.other_name, (each.source.parent, *near))
            renamed += [each.image] if path else []
        item = _item(folder, each, path, classes)
        if item.name in found:
            raise BenchError(_twice(found[item.name], each, item.name))
        found[item.name] = each
        items.append(item)
    there = {item.image for item in items}.intersection(index.files)
    if not there:
        raise BenchError(f"{images[0].source}: not one of its {len(images)} images, such as '{images[0].image}', is in "
                         f"'{folder}'. Put the images into it, under the names of the annotations.")  # fmt: skip
    items, said = divide(folder, items)

    def painted(item: Item, size: Size) -> np.ndarray:
        return _painted(found[item.name], size, largest_first)

    left = [path.relative_to(folder).as_posix() for path in index.files if path not in there]
    most = len(left) > MOST_LEFT_OUT * len(index.files)
    unnamed = _counted(left, "images are in no annotation file and left out")
    facts = (
        _sources(folder, images),
        *_kinds(left_out or Counter()),
        *_outside(images),
        *_counted([each.image for each in images if not each.shapes and not each.draw],
                  "images have no annotation and are all background"),
        *_counted(renamed, "images have the name of their annotation file, not the one in it"),
        *(() if most else unnamed),
    )  # fmt: skip
    drawn = Drawn(classes, painted, lambda item: found[item.name].size)
    missing = [found[item.name].image for item in items if item.image not in there] if if_missing else []
    doubts = (
        *warnings,
        *(f"{text}. {if_missing}" for text in _counted(missing, "images are missing")),
        *(f"{text}; {len(there)} others are. {_ONE_SET}" for text in unnamed[:most]),
    )
    return Contents(items, drawn, (*notes, *facts, *said), doubts)


def _twice(first: Annotated, second: Annotated, name: str) -> str:
    if first.source == second.source and first.image != second.image:
        return (
            f"{first.source}: '{first.image}' and '{second.image}' have one name, '{name}'. Rename one of the images."
        )
    return f"The image '{name}' is annotated in {first.source} and in {second.source}."


def _check(folder: Path, images: Sequence[Annotated], classes: Sequence[str]) -> None:
    if not images:
        raise BenchError(f"'{folder}': the annotation files have no image.")
    if not 2 <= len(classes) <= IGNORE_INDEX:
        raise BenchError(
            f"{images[0].source}: it has {len(classes)} classes, {first_few(classes)}; with background, 2 to "
            f"{IGNORE_INDEX} fit."
        )


def _item(folder: Path, each: Annotated, path: Path | None, classes: tuple[str, ...]) -> Item:
    """Make an item; an image that isn't there is kept, so that reading it reports what is missing."""
    image = path or each.source.parent / base_name(each.image)
    name = name_of(image.relative_to(folder))
    token = text_hash(json.dumps([classes, each.size, each.entry], sort_keys=True, default=str))
    return Item(name, image, each.labels, each.split, token=token)


def _painted(each: Annotated, size: Size, largest_first: bool) -> np.ndarray:
    if each.draw:
        return each.draw(size)
    regions = []
    for shape in each.shapes:
        try:
            regions.append((shape.label, shape.form.region(size)))
        except (TypeError, ValueError) as error:
            raise DataFault(f"{each.source}, {each.image}, {shape.what}: {error}.", "unreadable") from error
    return draw(regions, size, largest_first=largest_first)


def _sources(folder: Path, images: Sequence[Annotated]) -> str:
    """Name the annotation files that were read."""
    names = list(dict.fromkeys(each.source.relative_to(folder).as_posix() for each in images))
    if len(names) > _MOST_NAMED:
        return f"annotations of {len(names)} files (the first: {names[0]})"
    return f"annotations of {', '.join(names)}"


def _kinds(left_out: Counter[str]) -> list[str]:
    return [f"{count} shapes of the kind {kind} aren't drawn" for kind, count in sorted(left_out.items())]


def _outside(images: Sequence[Annotated]) -> list[str]:
    outside = [
        f"{shape.what} of {each.image}"
        for each in images
        if each.size
        for shape in each.shapes
        if _is_outside(shape.form, each.size)
    ]
    return _counted(outside, "shapes lie wholly outside their image and aren't drawn")


def _is_outside(form: Form, size: Size) -> bool:
    try:
        return is_outside(form.bounds, size)
    except (TypeError, ValueError):  # reported when it is drawn
        return False


def _counted(names: Sequence[str], text: str) -> list[str]:
    return [f"{len(names)} {text} (the first: {names[0]})"] if names else []
