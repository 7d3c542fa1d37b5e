"""ADE20K as Scene Parsing Challenge 2016 has it (Zhou et al. 2017, ADEChallengeData2016.zip).

    images/training/ADE_train_00000001.jpg, images/validation/
    annotations/training/ADE_train_00000001.png, annotations/validation/
    objectInfo150.txt                                   optional: the names of the classes

Classes: the values 1 to 150, named by the first name of each row of objectInfo150.txt, else class_1, class_2, ...
0, everything else in the image, is ignored.
Splits: training and validation. There are no test labels, so validation is the test split.
A folder with the same sub-folders but neither ADE20K's names nor its table may be anybody's images and masks.
"""

import csv
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX
from bench.datasets.layout import Contents, Layout, Masks
from bench.datasets.mask_meaning import Meaning
from bench.datasets.matching import Files, match
from bench.datasets.split_names import read_lines

_SPLITS = {"training": "train", "validation": "val"}
_TABLE = "objectInfo150.txt"
_COUNT = 150


def fits(folder: Path) -> bool:
    """Return whether images and annotations both have ADE20K's sub-folders."""
    return all((folder / part / name).is_dir() for part in ("images", "annotations") for name in _SPLITS)


def sure(folder: Path) -> bool:
    """Return whether there is ADE20K's table or a mask with ADE20K's name."""
    masks = (folder / "annotations" / "training").glob("ADE_train_*.png")
    return fits(folder) and ((folder / _TABLE).is_file() or next(masks, None) is not None)


def read(folder: Path) -> Contents:
    """Match the images and masks of training and validation."""
    items = [
        item
        for name, split in _SPLITS.items()
        for item in match(
            Files.of(folder / "images" / name), Files.of(folder / "annotations" / name), prefix=f"{name}/", split=split
        )
    ]
    labels: dict[float, int] = {0: IGNORE_INDEX, **{label + 1: label for label in range(_COUNT)}}
    return Contents(items, Masks(Meaning(_classes(folder / _TABLE), labels)))


def _classes(table: Path) -> tuple[str, ...]:
    """Read the first name of each class; the whole text where two classes share the first."""
    if not table.is_file():
        return tuple(f"class_{value}" for value in range(1, _COUNT + 1))
    names = [row.get("Name") or "" for row in csv.DictReader(read_lines(table), delimiter="\t")]
    if len(names) != _COUNT or not all(names):
        raise BenchError(f"{table}: it has {len(names)} names, not {_COUNT} in a column Name divided by tabs.")
    first = [name.partition(",")[0].strip() for name in names]
    return tuple(short if first.count(short) == 1 else name for short, name in zip(first, names, strict=True))


LAYOUT = Layout(
    name="ade20k",
    summary="ADE20K's 150 classes, as in Scene Parsing Challenge 2016.",
    files="images/training/, annotations/training/, ADE_train_*.png or objectInfo150.txt",
    fits=fits,
    read=read,
    sure=sure,
)
