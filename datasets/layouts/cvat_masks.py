"""CVAT's export "Segmentation mask 1.1" (also Datumaro's): VOC's arrangement with a table of the labels' colours.

    labelmap.txt                                        one label a line: name:r,g,b:parts:actions
    SegmentationClass/NAME.png                          the labels' colours
    JPEGImages/NAME.jpg                                 or images/, or beside labelmap.txt
    ImageSets/Segmentation/default.txt                  one name a line; train.txt, val.txt and test.txt give splits

Classes: the labels of labelmap.txt in its order. Pixels without an annotation are black: they are the class
`background`, whether it is listed or not. The colour of VOC's void (224, 224, 192) is ignored.
SegmentationObject/ is not used.
"""

from pathlib import Path

from bench.core.specs import IGNORE_INDEX
from bench.datasets.colour_table import ColourTable, colours_of_rows
from bench.datasets.layout import Contents, Layout, Masks
from bench.datasets.mask_meaning import Meaning
from bench.datasets.matching import Files, folders
from bench.datasets.pairing import SUFFIXES, is_junk, name_of
from bench.datasets.split_names import read_lines
from bench.datasets.voc_folders import voc_items

_TABLE, _MASKS = "labelmap.txt", "SegmentationClass"
_IMAGES = ("JPEGImages", "images")
_BLACK, _VOID = 0x000000, 0xE0E0C0


def fits(folder: Path) -> bool:
    """Return whether the folder has masks and the table of their colours."""
    return (folder / _TABLE).is_file() and (folder / _MASKS).is_dir()


def read(folder: Path) -> Contents:
    """Read the table of colours, and take the images with masks."""
    items, notes = voc_items(folder, _images(folder), Files.of(folder / _MASKS))
    colours = _colours(folder / _TABLE)
    if _BLACK not in colours.values():
        colours = {"background": _BLACK, **colours}
        notes = (*notes, f"{_TABLE} has no black label: black is the class background")
    classes = [name for name, colour in colours.items() if colour != _VOID]
    labels: dict[float, int] = {colours[name]: label for label, name in enumerate(classes)}
    labels[_VOID] = IGNORE_INDEX
    return Contents(items, Masks(Meaning(tuple(classes), labels, "colours")), notes)


def _images(folder: Path) -> Files:
    """Find the images in a folder of their own or beside the table."""
    if place := next((path for name, path in folders(folder).items() if name in _IMAGES), None):
        return Files.of(place)
    beside = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES and not is_junk(path.name)]
    return Files(
        folder if beside else folder / _IMAGES[0], {name_of(path.relative_to(folder)): path for path in beside}
    )


def _colours(table: Path) -> ColourTable:
    """Read the colours of the labels."""
    lines = read_lines(table)
    parts = [(number, line.strip().split(":")) for number, line in enumerate(lines, 1) if line.strip()]
    rows = [(number, part[0], ":".join(part[1:2]).split(",")) for number, part in parts if not part[0].startswith("#")]
    return colours_of_rows(table, rows, "name:r,g,b::")


LAYOUT = Layout(
    name="cvat-masks",
    summary='CVAT\'s export "Segmentation mask 1.1".',
    files="labelmap.txt, SegmentationClass/",
    fits=fits,
    read=read,
    sure=fits,
)
