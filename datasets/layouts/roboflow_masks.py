"""Roboflow's export "Semantic Segmentation Masks".

    train/NAME_jpg.rf.HASH.jpg, train/NAME_jpg.rf.HASH_mask.png, also valid/ and test/
    train/_classes.csv                                  Pixel Value, Class

Classes: those of _classes.csv, which must be the same in each folder.
Splits: the folders' names.
Groups: NAME, since an export may have several augmented copies of an image.
"""

import csv
from pathlib import Path

from bench.core.errors import BenchError
from bench.datasets.layout import Contents, Item, Layout, Masks
from bench.datasets.mask_meaning import Meaning
from bench.datasets.matching import Files, folders, match
from bench.datasets.split_names import read_lines, split_of

_TABLE, _MASK = "_classes.csv", "_mask"


def fits(folder: Path) -> bool:
    """Return whether a split folder has the table and a mask beside it."""
    return any(next(place.glob(f"*{_MASK}.png"), None) for place in _places(folder).values())


def read(folder: Path) -> Contents:
    """Match the images and masks of each split folder."""
    places = _places(folder)
    tables = {place / _TABLE: _classes(place / _TABLE) for place in places.values()}
    if different := [table for table, labels in tables.items() if labels != next(iter(tables.values()))]:
        raise BenchError(f"{different[0]}: its classes differ from those of {next(iter(tables))}. Export them again.")
    items: list[Item] = []
    for name, place in places.items():
        both, masks = Files.of(place), Files.of(place, _MASK)
        images = Files(place, {name: path for name, path in both.found.items() if path not in masks.found.values()})
        items += match(images, masks, prefix=f"{name}/", split=split_of(name), group=_source)
    classes = next(iter(tables.values()), {})
    return Contents(items, Masks(Meaning(tuple(classes.values()), {value: i for i, value in enumerate(classes)})))


def _places(folder: Path) -> dict[str, Path]:
    return {name: path for name, path in folders(folder).items() if split_of(name) and (path / _TABLE).is_file()}


def _source(name: str) -> str:
    """Return the name of the image of which this is a copy."""
    return name.partition(".rf.")[0]


def _classes(table: Path) -> dict[int, str]:
    """Read the value and name of each class, in the order of the values."""
    rows = [row for row in csv.reader(read_lines(table), skipinitialspace=True) if row][1:]
    values = [row[0].strip() for row in rows]
    if not all(len(row) == 2 and row[0].strip().isdecimal() for row in rows) or len(set(values)) < max(2, len(rows)):
        raise BenchError(
            f"{table}: it isn't a table of values and classes. Accepted: rows such as '1, car' below a header."
        )
    return dict(sorted((int(row[0]), row[1].strip()) for row in rows))


LAYOUT = Layout(
    name="roboflow-masks",
    summary='Roboflow\'s export "Semantic Segmentation Masks".',
    files="train/_classes.csv, train/*_mask.png",
    fits=fits,
    read=read,
)
