"""Pascal VOC (Everingham et al. 2010) and what tools write in its arrangement.

    JPEGImages/NAME.jpg, SegmentationClass/NAME.png     images without a mask are left out
    ImageSets/Segmentation/train.txt, val.txt           optional: one name a line; also test.txt, trainval.txt
    class_names.txt                                     optional, by labelme: the classes in the order of their values

Classes: those of class_names.txt, where `__ignore__` is no class; else the 21 of VOC, if the names are VOC's or all
masks have VOC's colours; else the values that the masks have. 255 and the colour of void (224, 224, 192) are ignored.
Masks are indices, mostly with VOC's colour table, or the colours of that table as RGB.
Splits: those of the lists; test images without masks are left out.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.core.specs import IGNORE_INDEX
from bench.datasets.classes_file import FILE
from bench.datasets.layout import Contents, Item, Layout, Masks
from bench.datasets.mask_meaning import Meaning
from bench.datasets.mask_survey import MaskFacts, survey
from bench.datasets.matching import Files, folders
from bench.datasets.split_names import read_lines
from bench.datasets.voc_folders import voc_items

_NAMES_OF_VOC = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
)
CLASSES = tuple(_NAMES_OF_VOC.split())
VOID = (224, 224, 192)
_IMAGES, _MASKS = "JPEGImages", ("SegmentationClass", "SegmentationClassPNG")
_NAMES = "class_names.txt"
_NAME = re.compile(r"\d{4}_\d{6}|\d{6}")  # 2007_000032 of VOC2012, 000032 of VOC2007


def fits(folder: Path) -> bool:
    """Return whether the folder has VOC's folders of images and masks."""
    return (folder / _IMAGES).is_dir() and any((folder / name).is_dir() for name in _MASKS)


def read(folder: Path) -> Contents:
    """Take the images with masks, and decide whose classes they have."""
    there = folders(folder)
    masks = Files.of(next((there[name] for name in _MASKS if name in there), folder / _MASKS[0]))
    items, notes = voc_items(folder, Files.of(folder / _IMAGES), masks)
    meaning, warnings = _meaning(folder, items)
    return Contents(items, Masks(meaning), notes, warnings)


def _meaning(folder: Path, items: Sequence[Item]) -> tuple[Meaning | None, tuple[str, ...]]:
    """Return whose classes the masks have; None if nothing tells."""
    if (folder / FILE).exists():
        return None, ()
    facts = [found for found in survey([item.labels for item in items if item.labels]).values() if found]
    coloured = any(found.kind == "colours" for found in facts)
    if (folder / _NAMES).exists():
        lines = read_lines(folder / _NAMES)
        names = [line.strip() for line in lines if line.strip() not in ("", "__ignore__")]
        return _of_table(names, coloured), ()
    if any(_NAME.fullmatch(item.name) for item in items):
        return _of_table(CLASSES, coloured), ()
    if _has_the_colours(facts):
        return _of_table(CLASSES, coloured), (
            "the classes are named as Pascal VOC's, since the masks have its colours; the images are not named so. If "
            f"the classes are your own, name them in classes.json or {_NAMES}.",
        )
    return None, ()


def _of_table(names: Sequence[str], coloured: bool) -> Meaning:
    """Return the meaning of indices, or of the colours of VOC's table where a mask has colours."""
    if not coloured:
        return Meaning(tuple(names), {value: value for value in range(len(names))})
    labels: dict[float, int] = {_number(colour(index)): index for index in range(len(names))}
    return Meaning(tuple(names), {**labels, _number(VOID): IGNORE_INDEX}, "colours")


def _has_the_colours(facts: Iterable[MaskFacts]) -> bool:
    """Return whether all masks with colours have those of VOC's table, and one has more than black."""
    table = {index: _hex(colour(index)) for index in range(len(CLASSES))} | {IGNORE_INDEX: _hex(VOID)}
    used = [found for found in facts if found.kind != "values"]
    tables = all(found.palette.items() <= table.items() for found in used)
    colours = {name for found in used for name in found.colours}
    return tables and colours <= set(table.values()) and len(colours) > 1


def colour(index: int) -> tuple[int, int, int]:
    """Return a class's colour in VOC's table: bit 3n of the index is bit 7 - n of red, the next of green and blue."""
    red, green, blue = (
        sum((index >> (3 * place + channel) & 1) << (7 - place) for place in range(8)) for channel in range(3)
    )
    return red, green, blue


def _number(rgb: tuple[int, int, int]) -> int:
    return int.from_bytes(rgb)


def _hex(rgb: tuple[int, int, int]) -> str:
    return f"#{bytes(rgb).hex()}"


LAYOUT = Layout(
    name="voc",
    summary="Pascal VOC, and exports of labelme and other tools in its arrangement.",
    files="JPEGImages/, SegmentationClass/",
    fits=fits,
    read=read,
)
